"""Makes a failing plan smaller: takes out tables, rounds, sessions, transactions, statements and events, one
after another, and keeps what still fails in the same way. Nothing here knows why it fails."""

import copy
import time

LIMIT_S = 600


def kind(e):
    """Failures of one kind: the difference at the end is another matter than a daemon that died."""
    return type(e).__name__, str(e).split("\n")[0][:40]


def _without_table(plan, number):
    """The plan without a table, and without whatever needs it."""
    p = copy.deepcopy(plan)
    for part in ("setup", "target_setup"):
        p[part] = [s for s in p.get(part, []) if number not in s["tables"]]
    gone = [how["source"] for how in p.get("compare", []) if how["number"] == number]
    p["compare"] = [how for how in p.get("compare", []) if how["number"] != number]
    for part in ("apart", "skipped", "refused"):
        if part in p:
            p[part] = [item for item in p[part] if item[0] != number]
    for rules in p["config"].get("tables", {}).values():
        for name in gone:
            if isinstance(rules, dict):
                rules.pop(name, None)
            elif isinstance(rules, list) and name in rules:
                rules.remove(name)
    for r in p["rounds"]:
        r["events"] = [e for e in r["events"] if number not in e.get("tables", [])]
        for session in r["sessions"]:
            for t in session:
                t["items"] = [i for i in t["items"] if number not in i.get("tables", [])]
    return p


def _lists(plan):
    """Paths to every list whose items may go, the largest first."""
    yield ("rounds",)
    for i, r in enumerate(plan["rounds"]):
        yield ("rounds", i, "sessions")
        yield ("rounds", i, "events")
        for j, session in enumerate(r["sessions"]):
            yield ("rounds", i, "sessions", j)
            for k in range(len(session)):
                yield ("rounds", i, "sessions", j, k, "items")
    yield ("setup",)


def _at(plan, path):
    for key in path:
        plan = plan[key]
    return plan


def _removals(plan):
    """Smaller plans, those that lack much first."""
    numbers = sorted({n for s in plan["setup"] for n in s["tables"]})
    for n in numbers:
        yield _without_table(plan, n)
    for path in list(_lists(plan)):
        items = _at(plan, path)
        for i in range(len(items)):
            if isinstance(items[i], dict) and "savepoint" in items[i]:
                continue
            p = copy.deepcopy(plan)
            del _at(p, path)[i]
            yield p


def shrink(plan, failure, attempt, limit_s=LIMIT_S):
    """attempt(plan) returns the failure or None. Ends when nothing more can go, or the time is over."""
    wanted = kind(failure)
    until = time.monotonic() + limit_s
    again = True
    while again:
        again = False
        for smaller in _removals(plan):
            if time.monotonic() > until:
                return plan
            e = attempt(smaller)
            if e is not None and kind(e) == wanted:
                plan, again = smaller, True
                break
    return plan
