"""conflict.merge and conflict.counters: rows that both ends have updated keep both changes."""

import itertools
import random
import threading
import time

import psycopg2
import pytest
import rig
import test_two_way_storm
import yaml
from two_way import (HELD, check_equal, disturb, end_of, half_round, make_equal, meet, meet_and_pause, mixes, position, roles,  # noqa: F401
                     source, target, wait_both)

POLICIES = ["source", "target", "latest", "skip", "rules.resolve"]


def config(lock_timeout="200ms", **conflict):
    return yaml.safe_dump(yaml.safe_load(rig.config(mode="two-way", lock_timeout=lock_timeout, conflict=conflict)) | {"http": {"listen": "none"}})


def conflicts(server):
    return server.run("SELECT table_name, key->>0, decision, source_row::jsonb, target_row::jsonb FROM rebeco.conflict ORDER BY 1, 2")


# ------------------------------------------------------------------ every pair of changes

# `apart` is to a column of each end's own, `both` to the same; each counts as well.
OPS = {
    "insert": "BEGIN; DELETE FROM {t} WHERE id = 1; INSERT INTO {t} VALUES (1, '{end}', '{end}', '{end}', {n}); COMMIT",
    "apart": "UPDATE {t} SET {column} = '{end}', n = n + {n} WHERE id = 1",
    "both": "UPDATE {t} SET {column} = '{end}', both_write = '{end}', n = n + {n} WHERE id = 1",
    "delete": "DELETE FROM {t} WHERE id = 1",
    "truncate": "TRUNCATE {t}",
}
OLD = ("old", "old", "old", 100)


def row_of(op, end, n):
    """What an end's row is after its own change: its column, the other's, the common one, the counter."""
    if op == "insert":
        return end, end, end, n
    if op in ("apart", "both"):
        changed = (end, "old") if end == "source" else ("old", end)
        return *changed, end if op == "both" else "old", 100 + n
    return None


def outcome(policy, at_source, at_target):
    """Both ends' rows, and whether there was something to decide; the target wrote later."""
    s, t = row_of(at_source, "source", 10), row_of(at_target, "target", 1)
    updates = ("apart", "both")
    if at_source in updates and at_target in updates:
        clash = at_source == at_target == "both"
        winner = {"latest": "target", "rules.resolve": "source"}.get(policy, policy)
        common = {"source": (s[2], s[2]), "target": (t[2], t[2]), "skip": (s[2], t[2])}[winner] if clash else \
            ("source" if at_source == "both" else "target" if at_target == "both" else "old",) * 2
        return ("source", "target", common[0], 111), ("source", "target", common[1], 111), clash
    if s == t:
        return s, t, False
    if policy == "skip":
        return s, t, True
    row = {"source": s, "target": t, "latest": t, "rules.resolve": s or t}[policy]
    return row, row, True


@pytest.mark.limit(200)
@pytest.mark.parametrize("roles", mixes("neither"), indirect=True)
def test_what_becomes_of_each_pair(source, target, rebecos):
    """Insert, update, delete and truncate against each other, in the same column and apart; prints the table."""
    cases = {f"t_{p.replace('.', '_')}_{a}_{b}": (p, a, b) for p, a, b in itertools.product(POLICIES, OPS, OPS)}
    source.psql("CREATE SCHEMA rules;" + "".join(
        f"CREATE TABLE {t} (id int PRIMARY KEY, source_writes text, target_writes text, both_write text, n numeric);"
        f"INSERT INTO {t} SELECT i, 'old', 'old', 'old', 100 FROM generate_series(1, 2) i;" for t in cases))
    source.psql("""
        CREATE FUNCTION rules.resolve(text, json, s json, t json, timestamptz, timestamptz) RETURNS text LANGUAGE sql
            AS $$ SELECT CASE WHEN s IS NULL THEN 'target' ELSE 'source' END $$""")
    tables = {f"public.t_{p.replace('.', '_')}_*": p for p in POLICIES}
    rebeco = rebecos(source, target, config=config(default="abort", tables=tables, merge=["public.t_*"], counters={"public.t_*": ["n"]}))
    rebeco.start()
    wait_both(rebeco, 150)
    meet(rebeco, source, target,
         "".join(OPS[a].format(t=t, end="source", column="source_writes", n=10) + ";\n" for t, (_, a, _) in cases.items()),
         "".join(OPS[b].format(t=t, end="target", column="target_writes", n=1) + ";\n" for t, (_, _, b) in cases.items()))
    decided = {row[0] for row in conflicts(target)}
    wrong = []
    for t, (policy, a, b) in cases.items():
        *want, is_conflict = outcome(policy, a, b)
        got = [(s.run(f"SELECT source_writes, target_writes, both_write, n FROM {t} WHERE id = 1") or [None])[0] for s in (source, target)]
        others = [s.value(f"SELECT count(*) FROM {t} WHERE id = 2") for s in (source, target)]
        line = f"{policy:12} {a:9} {b:9} {want[0] and ' '.join(map(str, want[0])) or '-':30} {'decided' if t in decided else 'merged'}"
        print(line)
        if got != want or (t in decided) != is_conflict or others != [0 if "truncate" in (a, b) else 1] * 2:
            wrong.append(f"{line}: wanted {want} {is_conflict}, got {got} {others}")
    assert not wrong, "\n".join(wrong)
    assert conflicts(source) == conflicts(target)
    rebeco.terminate()


def test_counters_alone(source, target, rebecos):
    """Without merge the other columns are one block, which one end wins; the counter is added to all the same."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, a text, b text, n int); INSERT INTO t SELECT i, 'old', 'old', 100 FROM generate_series(1, 3) i")
    rebeco = rebecos(source, target, config=config(default="source", counters={"public.t": ["n"]}))
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target,
         "UPDATE t SET a = 'source', n = n + 10 WHERE id = 1; UPDATE t SET n = n + 10 WHERE id IN (2, 3)",
         "UPDATE t SET b = 'target', n = n + 1 WHERE id = 1; UPDATE t SET b = 'target', n = n + 1 WHERE id = 2; UPDATE t SET n = n - 4 WHERE id = 3")
    check_equal(source, target)
    assert source.run("SELECT * FROM t ORDER BY id") == [(1, "source", "old", 111), (2, "old", "target", 111), (3, "old", "old", 106)]
    assert [c[1] for c in conflicts(source)] == ["1"]
    rebeco.terminate()


def test_abort_stops_for_a_column_only(source, target, rebecos):
    source.psql("CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, 'old', 'old'), (2, 'old', 'old')")
    rebeco = rebecos(source, target, config=config(default="abort", merge=["public.t"]))
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target, "UPDATE t SET a = 'source' WHERE id = 1", "UPDATE t SET b = 'target' WHERE id = 1")
    check_equal(source, target)
    assert target.run("SELECT a, b FROM t WHERE id = 1") == [("source", "target")]
    meet_and_pause(rebeco, source, target, "a", 2)
    make_equal(rebeco, source, target, "a", 2)
    rebeco.terminate()


# ------------------------------------------------------------------ values and tables of all kinds


def test_values_of_all_kinds(source, target, rebecos):
    """What a column holds travels as it is, also where a type has no equality, and with hostile names."""
    columns = {"json": "'{\"a\": 1}'", "jsonb": "'[1]'", "bytea": "'\\x00ff'", "float8": "0.1", "numeric": "1.50", "text": "E'q\"''\\n\\\\'",
               "timestamptz": "'infinity'", "int[]": "'{{1,2},{3,NULL}}'", "text[]": "'[2:3]={a,NULL}'", "point": "'(1,2)'", "xml": "'<a/>'",
               "char(5)": "'ab'", "\"char\"": "'x'", "interval": "'1 mon 2 days'", "money": "'1.5'", "bit(3)": "'101'", "inet": "'10.0.0.1'",
               "int4range": "'[1,5)'", "mood": "'sad'", "pair": "'(1,\"x y\")'", "small": "7", "name": "'n'", "uuid": "'6d1b8c6e-0f1e-4c6a-9a38-4ad0a9a1c0de'"}
    names = {f'c"{i} %s\'{t[:3]}': (t, v) for i, (t, v) in enumerate(columns.items())}
    q = {n: '"' + n.replace('"', '""') + '"' for n in names}
    source.psql("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN small AS int CHECK (VALUE < 10);"
                'CREATE TABLE "T %" ("I""d" int PRIMARY KEY, g int GENERATED ALWAYS AS ("I""d" * 2) STORED, other text, ' +
                ", ".join(f"{q[n]} {t}" for n, (t, _) in names.items()) + ");"
                f'INSERT INTO "T %" ("I""d", other) SELECT i, \'old\' FROM generate_series(1, {2 * len(names)}) i')
    rebeco = rebecos(source, target, config=config(default="abort", merge=["public.*"]))
    rebeco.start()
    wait_both(rebeco)
    set_one = "".join(f'UPDATE "T %" SET {q[n]} = {v} WHERE "I""d" = {i + 1};' for i, (n, (_, v)) in enumerate(names.items()))
    set_other = f'UPDATE "T %" SET other = \'target\' WHERE "I""d" <= {2 * len(names)};'
    back = "".join(f'UPDATE "T %" SET {q[n]} = {v} WHERE "I""d" = {len(names) + i + 1};' for i, (n, (_, v)) in enumerate(names.items()))
    meet(rebeco, source, target, set_one + f'UPDATE "T %" SET other = \'target\' WHERE "I""d" > {len(names)}', set_other + back)
    check_equal(source, target)
    assert source.value('SELECT count(*) FROM "T %" WHERE other = \'target\'') == 2 * len(names)
    for n in names:
        assert source.value(f'SELECT count(*) FROM "T %" WHERE {q[n]} IS NOT NULL') == 2, n
    meet(rebeco, source, target, "".join(f'UPDATE "T %" SET {q[n]} = NULL;' for n in names), 'UPDATE "T %" SET other = \'again\'')
    check_equal(source, target)
    assert conflicts(source) == conflicts(target) == []
    rebeco.terminate()


def test_tables_of_all_kinds(source, target, rebecos):
    """Partitions, keys of several columns, keys that move, rows that trade unique values, and foreign keys."""
    source.psql("""
        CREATE TABLE p (r int, id text, a text, n bigint, PRIMARY KEY (r, id)) PARTITION BY RANGE (r);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
        INSERT INTO p SELECT i, 'k' || i, 'old', 0 FROM generate_series(1, 19) i;
        CREATE TABLE u (id int PRIMARY KEY, place int UNIQUE, a text, n int); INSERT INTO u SELECT i, i, 'old', 0 FROM generate_series(1, 6) i;
        CREATE TABLE head (id int PRIMARY KEY, a text);
        CREATE TABLE line (id int PRIMARY KEY, head int REFERENCES head, a text);
        INSERT INTO head VALUES (1, 'old'); INSERT INTO line VALUES (1, 1, 'old'), (2, 1, 'old')""")
    rebeco = rebecos(source, target, config=config(default="latest", merge=["public.*"], counters={"public.p": ["n"], "public.u": ["n"]}))
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target,
         """UPDATE p SET n = n + 10; UPDATE p1 SET a = 'source' WHERE r = 1;
            UPDATE u SET place = -place WHERE id <= 3; UPDATE u SET place = 2 WHERE id = 1; UPDATE u SET place = 3 WHERE id = 2; UPDATE u SET place = 1 WHERE id = 3;
            UPDATE u SET n = n + 10 WHERE id <> 3;
            INSERT INTO head VALUES (2, 'new'); UPDATE line SET head = 2""",
         """UPDATE p SET n = n + 1; UPDATE p SET id = 'moved' WHERE r = 19; UPDATE u SET a = 'target', n = n + 1 WHERE id IN (1, 2, 4);
            UPDATE line SET a = 'target' WHERE id = 1; UPDATE head SET a = 'target'""")
    check_equal(source, target)
    assert source.run("SELECT DISTINCT n FROM p WHERE r < 19") == [(11,)]
    assert source.value("SELECT a FROM p WHERE r = 1") == "source"
    assert source.run("SELECT * FROM u ORDER BY 1 LIMIT 4") == [(1, 2, "target", 11), (2, 3, "target", 11), (3, 1, "old", 0), (4, 4, "target", 11)]
    assert source.run("SELECT * FROM line ORDER BY id") == [(1, 2, "target"), (2, 2, "old")]
    assert source.value("SELECT a FROM head WHERE id = 1") == "target"
    rebeco.terminate()


def test_counters_that_have_no_sum(source, target, rebecos):
    """NULL and a sum that does not fit: the policy, and tables that stand still until they are mended."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, n smallint); INSERT INTO t VALUES (1, NULL), (2, 7), (3, 32000);"
                "CREATE TABLE u (id int PRIMARY KEY, m numeric CHECK (m >= 0)); INSERT INTO u VALUES (1, 5)")
    rebeco = rebecos(source, target, config=config(default="source", merge=["public.*"], counters={"public.t": ["n"], "public.u": ["m"]}))
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target, "UPDATE t SET n = 5 WHERE id = 1; UPDATE t SET n = n + 1 WHERE id = 2", "UPDATE t SET n = 6 WHERE id = 1; UPDATE t SET n = NULL WHERE id = 2")
    check_equal(source, target)
    assert source.run("SELECT id, n FROM t WHERE id < 3 ORDER BY 1") == [(1, 5), (2, 8)]
    assert [c[1] for c in conflicts(target)] == ["1", "2"]
    meet(rebeco, source, target, "UPDATE t SET n = n + 500 WHERE id = 3; UPDATE u SET m = m - 3",
         "UPDATE t SET n = n + 400 WHERE id = 3; UPDATE u SET m = m - 4", wait=False)
    rebeco.wait("both stand still", lambda: target.value("SELECT count(*) FROM rebeco.sync_table WHERE paused IS NOT NULL") == 2)
    source.psql("UPDATE t SET n = n - 500 WHERE id = 3; UPDATE u SET m = m + 2")
    rebeco.ok("resume", "public.t")
    rebeco.ok("resume", "public.u")
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT n FROM t WHERE id = 3 UNION ALL SELECT m FROM u") == [(32400,), (0,)]
    rebeco.terminate()


def test_counters_that_are_no_numbers(source, target, rebecos):
    """NaN and infinity have no difference: what sets or leaves them is a matter of the policy, and what does not is no conflict."""
    infinity = "'Infinity'" if source.version.major >= 14 <= target.version.major else "'NaN'"
    source.psql("CREATE TABLE t (id int PRIMARY KEY, n numeric, a text, i int GENERATED ALWAYS AS IDENTITY);"
                f"INSERT INTO t SELECT i, (ARRAY['NaN', 'NaN', '5', {infinity}, {infinity}, '1'])[i]::numeric, 'old' FROM generate_series(1, 6) i")
    rebeco = rebecos(source, target, config=config(default="target", merge=["public.t"], counters={"public.t": ["n"]}))
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target, "UPDATE t SET n = 5; UPDATE t SET n = 'NaN' WHERE id = 3; UPDATE t SET a = 'source' WHERE id IN (3, 6); UPDATE t SET n = 2 WHERE id = 6",
         "UPDATE t SET a = 'target' WHERE id IN (1, 4); UPDATE t SET n = 7 WHERE id IN (2, 5); UPDATE t SET n = n + 1 WHERE id = 3; UPDATE t SET i = DEFAULT WHERE id = 6")
    check_equal(source, target)
    assert source.run("SELECT id, n::text, a FROM t ORDER BY 1") == [(1, "5", "target"), (2, "7", "old"), (3, "6", "source"), (4, "5", "target"), (5, "7", "old"), (6, "1", "old")]
    assert [c[1] for c in conflicts(target)] == ["2", "3", "5", "6"]
    rebeco.terminate()


def test_the_same_sum_looks_the_same(source, target, rebecos):
    source.psql("CREATE TABLE t (id int PRIMARY KEY, n numeric); INSERT INTO t SELECT i, 1 FROM generate_series(1, 9) i")
    rebeco = rebecos(source, target, config=config(default="target", merge=["public.t"], counters={"public.t": ["n"]}))
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target,
         "UPDATE t SET n = n + 0.50; UPDATE t SET n = 3 WHERE id < 5; UPDATE t SET n = 1.000 WHERE id = 9",
         "UPDATE t SET n = n + 1 WHERE id < 7; UPDATE t SET n = 1.0 WHERE id = 9; UPDATE t SET n = 1 WHERE id = 9")
    check_equal(source, target)
    assert source.run("SELECT DISTINCT n FROM t WHERE id < 5") == [(4,)]
    rebeco.terminate()


# ------------------------------------------------------------------ foreign keys

ACTIONS = {"NO ACTION": 1, "RESTRICT": 1, "NO ACTION DEFERRABLE INITIALLY DEFERRED": 1, "CASCADE": "gone", "SET NULL": None, "SET DEFAULT": 9}

# Parent 1 is removed at one end (END), and the child was updated at both: (what it refers to before; the update at END; the other
# one's). `refers`: the other end alone lets it refer to 1. `left`: END alone lets it refer to something else. `both`: each does.
REFERS = {
    "refers": (2, "", "p = 1, "),
    "left": (1, "p = 2, ", ""),
    "both": (2, "p = 3, ", "p = 1, "),
}


def family(t, action):
    return f"""
        CREATE TABLE p{t} (id int PRIMARY KEY); INSERT INTO p{t} VALUES (1), (2), (3), (9);
        CREATE TABLE c{t} (id int PRIMARY KEY, source_writes text, target_writes text, n int, p int DEFAULT 9 REFERENCES p{t} ON DELETE {action});
        INSERT INTO c{t} VALUES (1, 'old', 'old', 100, (SELECT %s));
        CREATE TABLE d{t} (id int PRIMARY KEY, c int REFERENCES c{t} ON DELETE CASCADE); INSERT INTO d{t} VALUES (1, 1);"""


def families():
    ends = itertools.cycle(("source", "target"))
    for action, how, policy in itertools.product(ACTIONS, REFERS, ("source", "target", "skip")):
        if how == "both" or policy == "source":
            for end in ("source", "target") if rig.LONG else (next(ends),):
                yield action, end, how, policy


def family_outcome(action, end, how, policy):
    """What the child refers to, at both ends, whether parent 1 is there, and which records there are."""
    other = "target" if end == "source" else "source"
    records = [("c", "update")] if how == "both" else []
    if how == "left":
        return [2, 2], 0, []
    if how == "both" and policy == end:
        return [3, 3], 0, records
    if ACTIONS[action] == 1:
        differ = how == "both" and policy == "skip"
        return [1, 1] if not differ else [3, 1] if end == "source" else [1, 3], 1, sorted(records + [("p", "parent_kept")])
    return [ACTIONS[action]] * 2, 0, sorted(records + [("c", "parent_removed")])


@pytest.mark.limit(200)
def test_the_parent_goes_while_the_child_is_merged(source, target, rebecos):
    """Every ON DELETE: what both ends wrote is kept, as far as the row is; prints the table."""
    named = {f"_{i}": case for i, case in enumerate(families())}
    source.psql("".join(family(t, action) % REFERS[how][0] for t, (action, _, how, _) in named.items()))
    policies = {f"public.c{t}": policy for t, (*_, policy) in named.items()}
    rebeco = rebecos(source, target, config=config(default="latest", tables=policies, merge=["public.c_*"], counters={"public.c_*": ["n"]}))
    rebeco.start()
    wait_both(rebeco, 150)
    changes = {"source": "", "target": ""}
    for t, (_, end, how, _) in named.items():
        for name in changes:
            sets = REFERS[how][1 if name == end else 2]
            changes[name] += f"UPDATE c{t} SET {sets}{name}_writes = '{name}', n = n + {10 if name == 'source' else 1};\n"
        changes[end] += f"DELETE FROM p{t} WHERE id = 1;\n"
    meet(rebeco, source, target, changes["source"], changes["target"])
    wrong = []
    for t, case in named.items():
        refers, is_there, records = family_outcome(*case)
        want, got = [], []
        for server, p in zip((source, target), refers):
            kinds = [(r[0][:1], r[1].split("_origin")[0]) for r in server.run(
                "SELECT table_name, kind FROM rebeco.conflict WHERE table_name IN (%s, %s) ORDER BY 1, 2", f"c{t}", f"p{t}")]
            got.append((server.run(f"SELECT source_writes, target_writes, n, p FROM c{t}"), server.value(f"SELECT count(*) FROM p{t} WHERE id = 1"),
                        server.value(f"SELECT count(*) FROM d{t}"), sorted(kinds)))
            want.append(([("source", "target", 111, p)] if p != "gone" else [], is_there, int(p != "gone"), records))
        line = f"{case[0]:40} {case[1]} {case[2]:7} {case[3]:7} {got[0]}"
        print(line)
        if got != want:
            wrong.append(f"{line}\n   got {got}\n   expected {want}")
    assert not wrong, "\n".join(wrong)
    rebeco.ok("kick", "--wait")
    assert [t["name"] for t in rebeco.status()["tables"] if t["paused"]] == []
    rebeco.terminate()


@pytest.mark.parametrize("mirror", [False, True])
def test_skipped_columns_stay_different_when_the_row_waits_for_its_parent(source, target, rebecos, mirror):
    """The parent that one end gives the row goes at the other: the row is sent in the next round, but for the column that was skipped."""
    source.psql("CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1), (2);"
                "CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE SET NULL, v text, w text, x text); INSERT INTO c VALUES (1, 2, 'old', 'old', 'old')")
    rebeco = rebecos(source, target, config=config(default="skip", merge=["public.*"]))
    rebeco.start()
    wait_both(rebeco)
    child, parent = "UPDATE c SET p = 1, v = 'child', w = 'new'", "UPDATE c SET v = 'parent', x = 'new'; DELETE FROM p WHERE id = 1"
    meet(rebeco, source, target, *((parent, child) if mirror else (child, parent)))
    for _ in range(3):
        wait_both(rebeco)
    rows = [(1, None, v, "new", "new") for v in ("child", "parent")]
    assert [s.run("SELECT * FROM c") for s in ((target, source) if mirror else (source, target))] == [[rows[0]], [rows[1]]]
    rebeco.terminate()


@pytest.mark.parametrize("blocked", ["source", "target"])
def test_a_sum_that_waits_for_a_foreign_key_is_added_once(source, target, rebecos, blocked):
    """One end commits, again and again, while the other is held by its application; the daemon is killed there."""
    source.psql("".join(family(t, "SET NULL") % 2 for t in ("_a", "_b")) + "CREATE TABLE held (id int PRIMARY KEY, v int); INSERT INTO held VALUES (1, 0)")
    rebeco = rebecos(source, target, config=config(default="source", merge=["public.c_*"], counters={"public.c_*": ["n"]}))
    rebeco.start()
    wait_both(rebeco)
    rebeco.ok("pause")
    late, there = (source, target) if blocked == "source" else (target, source)
    ends = {"_a": (source, target), "_b": (target, source)}
    for t, (remover, other) in ends.items():
        remover.psql(f"UPDATE c{t} SET n = n + 1; DELETE FROM p{t} WHERE id = 1")
        other.psql(f"UPDATE c{t} SET n = n + 10, p = 1")
    there.run("UPDATE held SET v = 1")
    with late.connect() as app:
        app.run("BEGIN")
        app.run("SELECT 1 FROM held WHERE id = 1 FOR UPDATE")
        before = [position(s) for s in (there, late)]
        rebeco.ok("resume")
        rebeco.wait("one end has committed", lambda: position(there) != before[0])
        for t, n in (("_a", 100), ("_b", 200)):
            there.run(f"UPDATE c{t} SET n = n + %s", n)
        half = position(there)
        rebeco.wait("and again", lambda: position(there) != half)
        rebeco.kill9()
        assert position(late) == before[1], "the other end has not"
        # Or the server may find a deadlock: with tests' short deadlock_timeout sooner than our session ends.
        rig.eventually("its session has ended", lambda: late.value("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.application_name LIKE 'rebeco%'", user="postgres") == 0)
        app.run("UPDATE c_a SET n = n + 1000")
        app.run("COMMIT")
    rebeco.start()
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT n, p FROM c_a UNION ALL SELECT n, p FROM c_b") == [(1211, None), (311, None)]
    rebeco.terminate()


def test_columns_of_one_constraint_come_from_one_end(source, target, rebecos):
    """Of (a, b), changed at one end each, a foreign key or CHECK knows two pairs, and not the third one."""
    source.psql("""
        CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); INSERT INTO p VALUES (1, 1), (1, 2), (2, 1);
        CREATE TABLE c (id int PRIMARY KEY, a int, b int, v text, w text, FOREIGN KEY (a, b) REFERENCES p); INSERT INTO c VALUES (1, 1, 1, '-', '-'), (2, 1, 1, '-', '-');
        CREATE TABLE r (id int PRIMARY KEY, low int, high int, v text, CHECK (low <= high)); INSERT INTO r VALUES (1, 3, 6, '-')""")
    rebeco = rebecos(source, target, config=config(default="source", tables={"public.r": "target"}, merge=["public.*"]))
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target, "UPDATE c SET a = 2, v = 's'; UPDATE r SET low = 5, v = 's'", "UPDATE c SET b = 2, w = 't' WHERE id = 1; UPDATE c SET w = 't' WHERE id = 2; UPDATE r SET high = 4")
    check_equal(source, target)
    assert source.run("SELECT * FROM c ORDER BY id") == [(1, 2, 1, "s", "t"), (2, 2, 1, "s", "t")]
    assert source.run("SELECT * FROM r") == [(1, 3, 4, "s")]
    assert [c[:3] for c in conflicts(source)] == [("c", "1", "source"), ("r", "1", "target")]
    rebeco.terminate()


@pytest.mark.parametrize("late", [4, 7])
def test_columns_of_one_constraint_that_are_changed_late(source, target, rebecos, late):
    """The target changes the other column of a CHECK while our write waits for its row: that pair is not written, whether it fits or not."""
    source.psql("CREATE TABLE r (id int PRIMARY KEY, low int, high int, v text, CHECK (low <= high)); INSERT INTO r VALUES (1, 3, 6, '-')")
    rebeco = rebecos(source, target, config=config("30s", default="source", merge=["public.*"]))
    rebeco.start()
    wait_both(rebeco)
    rebeco.ok("pause")
    source.run("UPDATE r SET low = 5")
    target.run("UPDATE r SET v = 'target'")
    with target.connect() as app:
        app.run("BEGIN")
        app.run("SELECT 1 FROM r FOR UPDATE")
        rebeco.ok("resume")
        rebeco.wait("our write waits", lambda: target.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        app.run("UPDATE r SET high = %s", late)
        app.run("COMMIT")
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT * FROM r") == [(1, 5, 6, "target")]
    assert [c[:3] for c in conflicts(source)] == [("r", "1", "source")]
    assert "table paused" not in rebeco.log()
    rebeco.terminate()


# ------------------------------------------------------------------ while things change


def test_turned_on_and_off(source, target, rebecos):
    """The option comes and goes with a restart; nothing that was captured before is lost; columns come and go."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, a text, b text, n int); INSERT INTO t SELECT i, 'old', 'old', 0 FROM generate_series(1, 8) i")
    rebeco = rebecos(source, target, config=config(default="target"))
    rebeco.start()
    wait_both(rebeco)
    form = "SELECT form, function_md5 FROM rebeco.capture"
    assert source.value("SELECT form FROM rebeco.capture") == "mixed"
    rebeco.terminate()
    source.run("UPDATE t SET a = 'source', n = 5 WHERE id = 1")
    target.run("UPDATE t SET b = 'target' WHERE id IN (1, 2)")
    rebeco.configure(config(default="target", merge=["public.t"], counters={"public.t": ["n"]}))
    rebeco.start()
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT * FROM t WHERE id < 3 ORDER BY 1") == [(1, "old", "target", 0), (2, "old", "target", 0)]
    assert [s.value("SELECT form FROM rebeco.capture") for s in (source, target)] == ["mixed", "mixed"]
    meet(rebeco, source, target, "UPDATE t SET a = 'source', n = n + 5 WHERE id = 3", "UPDATE t SET b = 'target', n = n + 2 WHERE id = 3")
    assert source.run("SELECT a, b, n FROM t WHERE id = 3") == [("source", "target", 7)]

    for server in (source, target):
        server.run("ALTER TABLE t ADD c text")
        server.run("UPDATE t SET c = %s WHERE id = 4", end_of(server))
        server.run("ALTER TABLE t RENAME a TO aa")
    wait_both(rebeco)
    rebeco.wait("the new columns are merged", lambda: source.value("SELECT names FROM rebeco.merge") == target.value("SELECT names FROM rebeco.merge") ==
                ["id", "aa", "b", "n", "c"])
    check_equal(source, target)
    assert source.value("SELECT c FROM t WHERE id = 4") == "target"
    meet(rebeco, source, target, "UPDATE t SET c = 'c', n = n + 5 WHERE id = 5", "UPDATE t SET aa = 'a', n = n + 2 WHERE id = 5")
    assert source.run("SELECT aa, b, n, c FROM t WHERE id = 5") == [("a", "old", 7, "c")]
    check_equal(source, target)

    rebeco.terminate()
    before = source.run(form)
    rebeco.configure(config(default="target"))
    rebeco.start()
    wait_both(rebeco)
    assert source.run(form) != before and source.value("SELECT count(*) FROM rebeco.merge") == 0
    meet(rebeco, source, target, "UPDATE t SET c = 'source', n = n + 5 WHERE id = 6", "UPDATE t SET b = 'target', n = n + 2 WHERE id = 6")
    check_equal(source, target)
    assert source.run("SELECT b, n, c FROM t WHERE id = 6") == [("target", 2, None)]
    rebeco.terminate()
    rebeco.ok("uninstall")
    assert source.value("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == 0


def test_an_alteration_does_not_disturb_the_application(source, target, rebecos):
    """Between an ALTER TABLE and the moment when we notice, updates go on, and what they change is not lost."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, a text, b text, n int); INSERT INTO t SELECT i, 'old', 'old', 0 FROM generate_series(1, 20) i")
    rebeco = rebecos(source, target, config=config(default="source", merge=["public.t"], counters={"public.t": ["n"]}))
    rebeco.start()
    wait_both(rebeco)
    rebeco.kill9()
    steps = ["ADD c int", "ADD d text DEFAULT 'x'", "ADD e numeric"]
    for i, step in enumerate(steps):
        for server in (source, target):
            server.run(f"ALTER TABLE t {step}")
        source.run("UPDATE t SET n = n + 1 WHERE id = %s", i + 1)
        target.run("UPDATE t SET n = n + 1 WHERE id = %s", i + 11)
    source.run("UPDATE t SET d = 'y' WHERE id = 20")
    rebeco.start()
    wait_both(rebeco)
    check_equal(source, target)
    assert source.value("SELECT sum(n) FROM t") == 2 * len(steps)
    assert target.value("SELECT d FROM t WHERE id = 20") == "y"
    rebeco.terminate()


# ------------------------------------------------------------------ storms


class Writers(rig.Writers):
    """Sessions at both ends that move money between the same few accounts, and know what they did."""

    def __init__(self, seed, each, *servers, most=3):
        self.most = most
        self.lock = threading.Lock()
        self.added = {}
        self.commits = 0
        super().__init__((s, random.Random(f"{seed} {i} {s.name}")) for s in servers for i in range(each))

    def write(self, server, r):
        c = psycopg2.connect(server.url())
        while not self.stop.is_set():
            changes = {}
            try:
                with c, c.cursor() as cursor:
                    for _ in range(r.randint(1, self.most)):
                        account, amount = r.randint(1, 5), r.choice([-7, 1, 20, 300])
                        cursor.execute("UPDATE account SET balance = balance + %s, hits = hits + 1 WHERE id = %s", (amount, account))
                        changes[account] = [a + b for a, b in zip(changes.get(account, [0, 0]), (amount, 1))]
                    if self.most > 1 and r.random() < 0.3:
                        cursor.execute(f"UPDATE account SET {end_of(server)}_note = %s, both_note = %s WHERE id = %s",
                                       (str(r.random()), str(r.random()), r.randint(1, 5)))
            except psycopg2.errors.DeadlockDetected:
                continue
            with self.lock:
                self.commits += 1
                for account, (amount, hits) in changes.items():
                    known = self.added.setdefault(account, [0, 0])
                    known[0] += amount
                    known[1] += hits
            time.sleep(r.random() * 0.03)
        c.close()


ACCOUNTS = """
    CREATE TABLE account (id int PRIMARY KEY, balance numeric, hits int, source_note text, target_note text, both_note text);
    INSERT INTO account SELECT i, 1000, 0, '-', '-', '-' FROM generate_series(1, 5) i"""


def check_sums(writers, *servers):
    truth = [(i, 1000 + writers.added.get(i, [0, 0])[0], writers.added.get(i, [0, 0])[1]) for i in range(1, 6)]
    for server in servers:
        assert server.run("SELECT id, balance, hits FROM account ORDER BY id") == truth, server.name


def start_accounts(source, target, rebecos, **conflict):
    source.psql(ACCOUNTS)
    rebeco = rebecos(source, target, config=config(merge=["public.account"], counters={"public.account": ["balance", "hits"]}, **conflict))
    rebeco.start()
    wait_both(rebeco)
    return rebeco


@pytest.mark.limit(300)
@pytest.mark.parametrize("roles", mixes("neither", "target"), indirect=True)
def test_sums_are_true_after_kills(source, target, rebecos):
    """8 writers at each end add to the same five rows; the daemon and its connections are killed at random."""
    rebeco = start_accounts(source, target, rebecos)
    seed = random.randrange(10**6)
    print("seed", seed)
    r = random.Random(seed)
    with Writers(seed, 8, source, target) as writers:
        end = time.monotonic() + (120 if rig.LONG else 6)
        while time.monotonic() < end:
            time.sleep(r.uniform(0.1, 0.9))
            if r.random() < 0.6:
                rebeco.kill9()
                rebeco.start()
            else:
                r.choice([source, target]).terminate_backends()
    print("commits", writers.commits)
    assert writers.commits > 100
    wait_both(rebeco, 120)
    check_equal(source, target)
    check_sums(writers, source, target)
    rebeco.terminate()


@pytest.mark.parametrize("first", ["target", "source"])
def test_a_kill_between_the_two_commits(source, target, rebecos, first):
    """One end's row is locked by its application: the other end's commit comes through, again and again, while
    both go on counting; the daemon dies there. No difference is added twice, none is missing."""
    rebeco = start_accounts(source, target, rebecos)
    there, late = (target, source) if first == "target" else (source, target)
    for turn in range(3):
        rebeco.ok("pause")
        for server, n in ((source, 10), (target, 1)):
            server.run("UPDATE account SET balance = balance + %s, hits = hits + 1, both_note = %s WHERE id < 3", n, server.name)
        with late.connect() as app:
            app.run("BEGIN")
            app.run("SELECT 1 FROM account WHERE id = 1 FOR UPDATE")
            before = [position(s) for s in (there, late)]
            rebeco.ok("resume")
            rebeco.wait("one end has committed", lambda: position(there) != before[0])
            there.run("UPDATE account SET balance = balance + 100, hits = hits + 1 WHERE id < 3")
            half = position(there)
            rebeco.wait("and again", lambda: position(there) != half)
            rebeco.kill9()
            assert position(late) == before[1], "the other end has not"
            app.run("UPDATE account SET balance = balance + 1000, hits = hits + 1 WHERE id = 1")
            app.run("COMMIT" if turn != 1 else "ROLLBACK")
        rebeco.start()
        wait_both(rebeco)
        check_equal(source, target)
    assert source.run("SELECT id, balance, hits FROM account ORDER BY id LIMIT 3") == [(1, 3333, 11), (2, 1333, 9), (3, 1000, 0)]
    rebeco.terminate()


HALF = {"deleted and inserted": "BEGIN; DELETE FROM {t} WHERE id = 1; INSERT INTO {t} VALUES (1, '{end}', '{end}', '{end}', 7); COMMIT",
        "the block's other column": "UPDATE {t} SET b = '{end}' WHERE id = 1"}


@pytest.mark.parametrize("winner", ["source", "target"])
def test_what_was_won_by_half_a_round(source, target, rebecos, winner):
    """The end that wins has changed one column, the other one has changed more, and lost: it has heard nothing of that when it changes the row
    once more. The columns that the winner's log does not have are sent all the same; those changed since are kept from both ends."""
    source.psql(HELD + "".join(
        f"CREATE TABLE {t} (id int PRIMARY KEY, a text, b text, c text, n int, EXCLUDE USING btree (id WITH =, a WITH =, b WITH =));"
        f"INSERT INTO {t} VALUES (1, 'old', 'old', 'old', 100)" + ";" for t in ("by_column_0", "by_column_1", "counts_0", "counts_1")))
    tables = [("by_column_0", "counts_0"), ("by_column_1", "counts_1")]
    rebeco = rebecos(source, target, config=config(default=winner, merge=["public.by_column_*"], counters={"public.*_?": ["n"]}))
    rebeco.start()
    wait_both(rebeco)
    there, late = (source, target) if winner == "source" else (target, source)
    half_round(rebeco, there, late, ";".join(f"UPDATE {t} SET a = 'won', n = n + 10 WHERE id = 1" for pair in tables for t in pair),
               ";".join(how.format(t=t, end="lost") for pair, how in zip(tables, HALF.values()) for t in pair),
               then_late=";".join(f"UPDATE {t} SET c = 'since' WHERE id = 1" for pair in tables for t in pair))
    check_equal(source, target)
    assert source.run("SELECT a, b, c FROM by_column_0 UNION ALL SELECT a, b, c FROM by_column_1") == [("won", "old", "since")] * 2
    rebeco.terminate()


def test_what_was_won_while_a_direction_was_closed(source, target, rebecos):
    """The target's one column wins against the source's whole row, while the source is not written to; the source changes the row once more
    before the first round of both."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, a text, b text, c text); INSERT INTO t VALUES (1, 'old', 'old', 'old')")
    rebeco = rebecos(source, target, config=config(default="target", merge=["public.t"]))
    rebeco.start()
    wait_both(rebeco)
    rebeco.ok("direction", "source-to-target")
    rebeco.ok("pause")
    target.psql("UPDATE t SET a = 'won'")
    source.psql("BEGIN; DELETE FROM t; INSERT INTO t VALUES (1, 'lost', 'lost', 'lost'); COMMIT")
    rebeco.ok("resume")
    rebeco.wait("the target has decided", lambda: target.value("SELECT count(*) FROM rebeco.conflict"))
    rebeco.ok("pause")
    source.psql("UPDATE t SET c = 'since'")
    rebeco.ok("direction", "both")
    rebeco.ok("resume")
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT a, b, c FROM t") == [("won", "old", "since")]
    rebeco.terminate()


def test_a_sum_is_added_once_where_rows_trade_values(source, target, rebecos):
    """Rows that take unique values of each other are removed first and then written, merged ones among them; meanwhile the source's half fails."""
    source.psql("CREATE TABLE u (id int PRIMARY KEY, place int UNIQUE, n int); INSERT INTO u SELECT i, i, 0 FROM generate_series(1, 4) i")
    rebeco = rebecos(source, target, config=config(merge=["public.u"], counters={"public.u": ["n"]}))
    rebeco.start()
    wait_both(rebeco)
    rebeco.ok("pause")
    source.psql("UPDATE u SET place = -place, n = n + 10; UPDATE u SET place = id % 4 + 1")
    target.psql("UPDATE u SET n = n + 1")
    with source.connect() as app:
        app.run("BEGIN")
        app.run("SELECT 1 FROM u WHERE id = 1 FOR UPDATE")
        before = position(target)
        rebeco.ok("resume")
        rebeco.wait("the target has committed", lambda: position(target) != before)
        app.run("COMMIT")
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT * FROM u ORDER BY id") == [(i, i % 4 + 1, 11) for i in range(1, 5)]
    rebeco.terminate()


def test_rows_that_never_rest_still_move(source, target, rebecos):
    """Both ends count on the same rows without a pause, one at a time: each sees the other's changes all the same, before they stop."""
    rebeco = start_accounts(source, target, rebecos)
    with Writers(1, 4, source, target, most=1) as writers:
        for _ in range(3):
            before = [position(s) for s in (source, target)]
            rebeco.wait("both positions move", lambda: all(position(s) != b for s, b in zip((source, target), before)), 60)
    wait_both(rebeco)
    check_equal(source, target)
    check_sums(writers, source, target)
    rebeco.terminate()


def test_rows_that_rest_do_not_wait_for_rows_that_never_do(source, target, rebecos):
    """Both ends count on three rows without a pause, and note when, in a column that each of them sets: what else was changed arrives
    all the same while that goes on, and no difference is lost."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, v text, n bigint, changed_at timestamptz); INSERT INTO t SELECT i, 'old', 0, now() FROM generate_series(1, 30) i")
    rebeco = rebecos(source, target, config=config(merge=["public.t"], counters={"public.t": ["n"]}))
    rebeco.start()
    wait_both(rebeco)
    added = []

    def work(c, rng, number):
        c.run("UPDATE t SET n = n + 1, changed_at = clock_timestamp() WHERE id = %s", number + 1)
        added.append(number + 1)

    with rig.Crew(source, work, 3), rig.Crew(target, work, 3):
        time.sleep(0.5)
        for n in range(3):
            source.psql(f"UPDATE t SET v = 'source {n}', n = n + 1000000 WHERE id BETWEEN 10 AND 19; UPDATE t SET n = n + 1000000 WHERE id > 25")
            target.psql(f"UPDATE t SET v = 'target {n}', n = n + 1000000 WHERE id BETWEEN 20 AND 29")
            rebeco.wait("the target has them", lambda: target.value(f"SELECT count(*) FROM t WHERE v = 'source {n}'") == 10, 30)
            rebeco.wait("the source has them", lambda: source.value(f"SELECT count(*) FROM t WHERE v = 'target {n}'") == 10, 30)
        print("rounds given up:", rebeco.status()["back"]["redone"])
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT id, n FROM t WHERE id < 4 ORDER BY id") == [(i, added.count(i)) for i in (1, 2, 3)]
    assert source.run("SELECT DISTINCT n FROM t WHERE id BETWEEN 26 AND 29") == [(6000000,)]
    rebeco.terminate()


def test_counters_with_rows_that_come_and_go(source, target, rebecos):
    """Deletes, inserts, moved keys and truncates among the counting: sums cannot be told then, but both ends are equal."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, n int, a text, b text); INSERT INTO t SELECT i, 0, '-', '-' FROM generate_series(1, 20) i")
    rebeco = rebecos(source, target, config=config(merge=["public.t"], counters={"public.t": ["n"]}))
    rebeco.start()
    wait_both(rebeco)
    seed = random.randrange(10**6)
    print("seed", seed)
    r = random.Random(seed)

    def work(c, rng, _):
        i = rng.randint(1, 20)
        kind = rng.random()
        if kind < 0.6:
            c.run("UPDATE t SET n = n + %s WHERE id = %s", rng.randint(-5, 9), i)
        elif kind < 0.75:
            c.run(f"UPDATE t SET {rng.choice('ab')} = %s WHERE id = %s", str(rng.random()), i)
        elif kind < 0.85:
            c.run("INSERT INTO t VALUES (%s, 0, 'new', 'new') ON CONFLICT (id) DO UPDATE SET n = t.n + 1", i)
        elif kind < 0.93:
            c.run("DELETE FROM t WHERE id = %s", i)
        elif kind < 0.97:
            c.run("UPDATE t SET n = CASE WHEN n IS NULL THEN 0 END WHERE id = %s", i)
        elif kind < 0.995:
            c.run("UPDATE t SET id = %s WHERE id = %s", rng.randint(1, 20), i)
        else:
            c.run("TRUNCATE t")
        time.sleep(rng.random() * 0.02)

    allowed = ("40001", "40P01", "23505")
    with rig.Crew(source, work, 4, seed=seed, allowed=allowed), rig.Crew(target, work, 4, seed=seed + 1, allowed=allowed):
        end = time.monotonic() + (90 if rig.LONG else 5)
        while time.monotonic() < end:
            time.sleep(r.uniform(0.3, 1.2))
            if r.random() < 0.5:
                rebeco.kill9()
                rebeco.start()
    wait_both(rebeco, 120)
    check_equal(source, target)
    rebeco.terminate()


@pytest.mark.limit(240)
def test_a_storm_of_merged_rows_with_foreign_keys(source, target, rebecos):
    """Ten tables with every ON DELETE, all merged, written at both ends: parents go while their children are merged."""
    source.psql(test_two_way_storm.schema())
    rebeco = rebecos(source, target, config=config(merge=["public.*"]))
    rebeco.start()
    wait_both(rebeco, 120)
    seed = random.randrange(10**6)
    print("seed", seed)
    r = random.Random(seed)
    with test_two_way_storm.Writers(seed, (source, target), 10, 0.1) as writers:
        disturb(rebeco, source, target, r, 240 if rig.LONG else 8)
    rig.wait_converged(source, target, 60, sequences=False)
    wait_both(rebeco, 60)
    check_equal(source, target)
    assert [t["name"] for t in rebeco.status()["tables"] if t["paused"]] == []
    kinds = dict(source.run("SELECT kind, count(*) FROM rebeco.conflict GROUP BY kind"))
    print(dict(writers.done), kinds)
    assert kinds.get("parent_kept", 0) + kinds.get("parent_removed", 0) > 0
    rebeco.terminate()


# ------------------------------------------------------------------ what cannot be


def test_what_cannot_be(source, target, rebecos):
    """A pattern without a table ends the program; a column that nothing can be added to makes its table stand still."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, f float8); CREATE TABLE u (id int PRIMARY KEY, f float8)")
    rebeco = rebecos(source, target, config=config())
    for wrong in ({"merge": ["public.none"]}, {"counters": {"public.none": ["n"]}}):
        rebeco.configure(config(**wrong))
        r = rebeco.command("run", "--until", "copied")
        assert r.code == 2 and "public.none" in r.err
    rebeco.configure(config(counters={"public.t": ["f"]}))
    rebeco.start()
    rebeco.wait("it stands still", lambda: "double precision" in str([t.get("what") for t in (rebeco.status() or {}).get("tables", []) if t["name"] == "t"]))
    target.run("SELECT 1")
    rebeco.wait("the other goes on", lambda: [t["state"] for t in rebeco.status()["tables"] if t["name"] == "u"] == ["follow"])
    rebeco.terminate()
