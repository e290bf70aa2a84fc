"""A few seeds of the generators of schemas and workloads in tests/fuzz; `make fuzz-schema` runs many more."""

import os
import sys

import pytest
import rig

sys.path.insert(0, os.path.join(rig.TOP, "tests/fuzz"))
import schema_plan  # noqa: E402
import schema_run  # noqa: E402
import schema_run_two_way  # noqa: E402
import schema_shrink  # noqa: E402
import schema_two_way  # noqa: E402

# The same at each run: what is new is looked for by the campaign, and a seed that found something is added here.
ONE_WAY = (2, 6, 17, 105, 20261123)
TWO_WAY = (3, 20261123)


@pytest.fixture(scope="module")
def pair():
    p = schema_run.Pair(os.environ.get("REBECO_PG_SOURCE"), os.environ.get("REBECO_PG_TARGET"))
    yield p
    p.drop()


def run(pair, plan, binary=None):
    """None, or the failure."""
    try:
        schema_run_two_way.of(plan)(pair, plan, binary=binary).all()
    except Exception as e:
        return e


@pytest.mark.parametrize("make, words, seed", [*((schema_plan.make, "", seed) for seed in ONE_WAY),
                                               *((schema_two_way.make, "TWO_WAY=1 ", seed) for seed in TWO_WAY)])
@pytest.mark.limit(200)
def test_a_seed(pair, make, words, seed):
    again = f"make fuzz-schema {words}SEED={seed}"
    print(f"again with: {again}")
    e = run(pair, make(seed, source=pair.source.major, target=pair.target.major))
    assert e is None, f"{again}\n{e}\n{e.log}"


@pytest.mark.parametrize("make", [schema_plan.make, schema_two_way.make])
def test_the_generator_repeats_itself(make):
    """A seed is worth something only when it gives the same plan again."""
    assert make(7) == make(7)
    assert make(7) != make(8)


@pytest.mark.limit(200)
def test_a_difference_is_found(pair):
    """A row that somebody deletes at the target behind Rebeco's back."""
    setup = [{"sql": f"CREATE TABLE t{i} (id int PRIMARY KEY, v text); INSERT INTO t{i} VALUES (1, 'a'), (2, 'tab\t\\n')", "tables": [i]}
             for i in range(2)]
    plan = {"config": {}, "setup": setup, "rounds": [{"sessions": [], "events": [
        {"do": "wait"}, {"do": "ddl", "first": "target", "target": ["DELETE FROM t1 WHERE id = 2"], "source": ["SELECT 1"], "tables": [1], "pause": 0}]}]}
    e = run(pair, plan, rig.RELEASE)
    assert isinstance(e, schema_run.Difference) and '"public"."t1"' in str(e) and '"public"."t0"' not in str(e), e


def test_a_failing_plan_shrinks():
    """To the one statement that matters, and the tables that it needs."""
    plan = schema_plan.make(17)
    culprit = next(i for t in plan["rounds"][0]["sessions"][0] for i in t["items"] if "sql" in i)

    def attempt(p):
        found = any(i == culprit for r in p["rounds"] for session in r["sessions"] for t in session for i in t["items"])
        needs = {n for s in p["setup"] for n in s["tables"]} >= set(culprit["tables"])
        return schema_run.Difference("both ends differ") if found and needs else None
    small = schema_shrink.shrink(plan, attempt(plan), attempt)
    assert attempt(small) and len(small["rounds"]) == 1
    left = [i for session in small["rounds"][0]["sessions"] for t in session for i in t["items"]]
    assert [i for i in left if "sql" in i] == [culprit]
    assert {n for s in small["setup"] for n in s["tables"]} == set(culprit["tables"])
