"""Rows of tables without a key that the target refuses and a person leaves out: what is there and what is left out
are together what the source has, whatever is written, tried again or killed meanwhile."""

import json
import random
import time
from collections import Counter

import pytest
import rig
from test_poison import in_step, refused, table

TABLES = """
CREATE TABLE t (a int, v text, c char(3), d float8[]);
CREATE TABLE k (a int PRIMARY KEY);
INSERT INTO t SELECT i % 10, 'v' || i % 7 FROM generate_series(1, 3000) i;
"""


def rows(server, where="true"):
    return Counter(r[0] for r in server.run(f"SELECT t::text FROM t WHERE {where}", user="postgres"))


def left_out(target):
    """{(a, v): copies}, of what is left out now."""
    return {(json.loads(row)["a"], json.loads(row)["v"]): n for row, n in target.run(
        "SELECT row, copies FROM rebeco.skipped WHERE settled_at IS NULL", user="postgres")}


def wait_left_out(rebeco, target, **expected):
    expected = {("1", v): n for v, n in expected.items()}
    rebeco.wait(f"{expected} are left out", lambda: left_out(target) == expected, 60)


def skip_named(rebeco):
    """Leaves the row out that is named; its short hash."""
    key = json.loads(refused(rebeco, "t")["key"])
    assert len(key) == 1 and len(key[0]) == 12
    r = rebeco.command("skip", "t", "f" * 12)
    assert r.code == 1, r
    rebeco.wait("the row is left out", lambda: rebeco.command("skip", "t", *key).code == 0, 60)
    return key[0]


@pytest.fixture
def refusing(source, target, rebeco):
    """In step, with a target that takes no v that begins with 'bad'."""
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync(60)
    target.psql("ALTER TABLE t ADD CONSTRAINT good CHECK (v NOT LIKE 'bad%')", user="postgres")
    return rebeco


def test_they_are_counted(source, target, refusing):
    r = refusing
    source.psql("INSERT INTO t SELECT 1, v, 'x', '{1,NaN}' FROM unnest('{bad,bad,fine,badly,bad}'::text[]) v;"
                "DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE a = 2 LIMIT 5)")
    row = refused(r, "t")
    assert row["operation"] == "write" and "good" in row["error"]
    assert json.loads(row["row"]) == {"a": "1", "v": json.loads(row["row"])["v"], "c": "x", "d": "{1,NaN}"}
    t = table(r, "t")
    assert json.loads(row["key"])[0] in t["hint"] and '"v" : "bad' in t["detail"]
    source.run("INSERT INTO k VALUES (1)")
    rig.eventually("the others move", lambda: target.value("SELECT count(*) FROM k") == 1, 30)
    first = skip_named(r)
    r.wait("another is named", lambda: (table(r, "t")["refused"] or {"key": first})["key"] not in (first, f'["{first}"]'), 60)
    skip_named(r)
    wait_left_out(r, target, bad=3, badly=1)
    assert rows(target) == rows(source, "v NOT LIKE 'bad%'")
    r.wait("status shows it", lambda: sorted(s["rows"] for s in table(r, "t")["skipped"]) == [1, 3])
    assert "3 such rows" in r.ok("status") and r.status()["consistent"] is False
    # More of them, over a restart; then fewer; one is another row now.
    r.kill9()
    source.run("INSERT INTO t VALUES (1, 'bad', 'x', '{1,NaN}')")
    r.start()
    wait_left_out(r, target, bad=4, badly=1)
    source.psql("DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE v = 'bad' LIMIT 2); UPDATE t SET v = 'mended' WHERE v = 'badly'")
    wait_left_out(r, target, bad=2)
    assert target.value("SELECT count(*) FROM rebeco.skipped WHERE settled_at IS NOT NULL") == 1
    assert rows(target) == rows(source, "v NOT LIKE 'bad%'")
    # Tried again: in vain, and when the target takes them.
    answer = r.command("retry", "t")
    assert answer.code == 1 and "good" in answer.err, answer
    wait_left_out(r, target, bad=2)
    target.psql("ALTER TABLE t DROP CONSTRAINT good", user="postgres")
    r.ok("retry", "t")
    in_step(r)
    rig.check_equal(source, target)
    assert left_out(target) == {} and target.value("SELECT consistent_since FROM rebeco.sync") is not None
    source.psql("DELETE FROM t WHERE v = 'bad'")
    r.wait_in_sync()
    rig.check_equal(source, target)


def test_all_are_tried_again_without_a_name(source, target, rebeco):
    """`retry` alone tries what was left out of each table, and says when some of it is refused again."""
    source.psql("CREATE TABLE t (a int, v text); CREATE TABLE u (a int, v text); CREATE TABLE k (a int PRIMARY KEY)")
    rebeco.start()
    rebeco.wait_in_sync(60)
    for name in "tu":
        target.psql(f"ALTER TABLE {name} ADD CONSTRAINT good CHECK (v NOT LIKE 'bad%')", user="postgres")
        source.psql(f"INSERT INTO {name} VALUES (1, 'bad'), (2, 'bad'), (2, 'bad'), (3, 'fine')")
        for n in 1, 2:
            rebeco.wait("a row is named and left out", lambda: rebeco.command(
                "skip", name, *json.loads((table(rebeco, name)["refused"] or {"key": '["-"]'})["key"])).code == 0, 60)
            rebeco.wait("the next", lambda: len(table(rebeco, name)["skipped"]) == n, 60)
        rebeco.wait("it is followed", lambda: table(rebeco, name)["paused"] is None, 60)
    target.psql("ALTER TABLE t DROP CONSTRAINT good", user="postgres")
    answer = rebeco.command("retry")
    assert answer.code == 1 and "2 of 4" in answer.err and "good" in answer.err, answer
    assert rows(target) == rows(source)
    assert target.value("SELECT count(*) FROM rebeco.skipped WHERE settled_at IS NULL") == 2
    target.psql("ALTER TABLE u DROP CONSTRAINT good", user="postgres")
    assert "is at the target now" in rebeco.ok("retry")
    in_step(rebeco)
    rig.check_equal(source, target)
    assert "no table stands still" in rebeco.ok("retry")


def test_truncated_and_gone(source, target, refusing):
    """What is left out goes with the table's rows; the same row is asked for anew when it comes again."""
    r = refusing
    bad = "INSERT INTO t SELECT 1, 'bad' FROM generate_series(1, {})"
    source.psql(bad.format(5))
    skip_named(r)
    wait_left_out(r, target, bad=5)
    source.psql("BEGIN; TRUNCATE t; " + bad.format(2) + "; INSERT INTO t VALUES (1, 'after'); COMMIT")
    wait_left_out(r, target, bad=2)
    assert rows(target) == rows(source, "v = 'after'")
    source.psql("DELETE FROM t WHERE v = 'bad'")
    in_step(r)
    rig.check_equal(source, target)
    source.psql(bad.format(1))
    skip_named(r)
    wait_left_out(r, target, bad=1)
    source.psql("TRUNCATE t")
    in_step(r)
    rig.check_equal(source, target)
    # Refused, and gone again before anybody let it be left out.
    source.psql(bad.format(1))
    refused(r, "t")
    source.psql("DELETE FROM t")
    r.ok("retry", "t")
    in_step(r)
    # Left out, and gone before it was read again: nothing stays recorded. And a copy brings everything.
    source.psql(bad.format(1))
    refused(r, "t")
    source.psql("DELETE FROM t")
    r.command("skip", "t", *json.loads(refused(r, "t")["key"]))
    in_step(r)
    source.psql(bad.format(3))
    skip_named(r)
    wait_left_out(r, target, bad=3)
    target.psql("ALTER TABLE t DROP CONSTRAINT good", user="postgres")
    r.ok("resync", "t")
    in_step(r)
    rig.check_equal(source, target)
    assert left_out(target) == {}


def test_a_removal_cannot_be_left_out(source, target, refusing):
    r = refusing
    target.psql("""CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'it stays'; END $$;
        CREATE TRIGGER stay BEFORE DELETE ON t FOR EACH ROW WHEN (OLD.v = 'v5') EXECUTE FUNCTION stay(); ALTER TABLE t ENABLE ALWAYS TRIGGER stay""",
                user="postgres")
    source.psql("DELETE FROM t WHERE v IN ('v4', 'v5') AND a = 3")
    row = refused(r, "t")
    assert row["operation"] == "delete" and json.loads(row["row"])["v"] == "v5" and "skip" not in table(r, "t")["hint"]
    answer = r.command("skip", "t", *json.loads(row["key"]))
    assert answer.code == 1 and "removal" in answer.err
    target.psql("DROP TRIGGER stay ON t", user="postgres")
    r.ok("retry", "t")
    in_step(r)
    rig.check_equal(source, target)


def test_a_character_that_the_target_lacks(source, target, rebecos):
    target.run("CREATE DATABASE latin OWNER rds TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'", user="postgres")
    source.psql(TABLES)
    r = rebecos(source, target.url(database="latin"))
    r.start()
    r._target_admin = lambda: target.admin(database="latin")
    in_step(r)
    source.psql("INSERT INTO t SELECT 1, chr(8364) FROM generate_series(1, 2); INSERT INTO t VALUES (1, chr(228))")
    skip_named(r)
    rig.eventually("the rest is there", lambda: target.value("SELECT count(*) FROM t WHERE v = chr(228)", database="latin") == 1, 30)
    answer = r.command("retry", "t")
    assert answer.code == 1 and "LATIN1" in answer.err, answer
    assert target.value("SELECT copies FROM rebeco.skipped WHERE settled_at IS NULL", database="latin") == 2
    source.psql("DELETE FROM t WHERE v = chr(8364)")
    in_step(r)
    assert target.value("SELECT count(*) FROM t", database="latin") == source.value("SELECT count(*) FROM t")


def statement(rng):
    a, v = rng.randrange(3), rng.choice(["'bad'", "'badly'", "'x'", "'y'", "NULL"])
    some = f"ctid IN (SELECT ctid FROM t WHERE a = {a} AND v IS NOT DISTINCT FROM {v} LIMIT {rng.randrange(1, 4)})"
    return rng.choices([
        f"INSERT INTO t SELECT {a}, {v} FROM generate_series(1, {rng.randrange(1, 5)})",
        f"DELETE FROM t WHERE {some}",
        f"UPDATE t SET v = {rng.choice(['v', chr(39) + 'bad' + chr(39), chr(39) + 'x' + chr(39)])} WHERE {some}",
        "TRUNCATE t"], [10, 8, 5, 0.1])[0]


def write(c, rng, number):
    for _ in range(rng.randrange(1, 5)):
        c.run(statement(rng))
    time.sleep(0.005)


@pytest.mark.limit(240)
def test_many_writers_kills_and_retries(source, target, rebecos):
    """The target refuses rows and takes them again while they are written, left out and tried again, and the
    daemon is killed in between. In the end nothing is there twice, and nothing is missing."""
    rng = random.Random(7)
    source.psql("CREATE TABLE t (a int, v text)")
    r = rebecos(source, target).start()
    r.wait_in_sync(60)
    strict = "ALTER TABLE t ADD CONSTRAINT good CHECK (v NOT LIKE 'bad%') NOT VALID"
    target.psql(strict, user="postgres")
    left, tried = 0, 0
    with rig.Crew(source, write, 4):
        for _ in range(12 if rig.LONG else 3):
            until = time.monotonic() + rng.uniform(3, 6)
            while time.monotonic() < until:
                row = ((r.status() or {}).get("tables") or [{}])[0].get("refused")
                if row:
                    left += r.command("skip", "t", *json.loads(row["key"])).code == 0
                elif rng.random() < 0.3 and left_out(target):
                    target.psql("ALTER TABLE t DROP CONSTRAINT good", user="postgres")
                    tried += r.command("retry", "t").code == 0
                    target.psql(strict, user="postgres")
            r.check_alive()
            r.kill9()
            r.start()
    assert left and tried, (left, tried)

    def is_settled():
        row = table(r, "t")["refused"] if r.status() else None
        if row:
            r.command("skip", "t", *json.loads(row["key"]))
        return r.command("kick", "--wait").code in (0, 1) and not table(r, "t")["paused"]
    r.wait("everything is there or left out", is_settled, 90)
    r.command("kick", "--wait")
    left = Counter({f"({a},{v})": n for (a, v), n in left_out(target).items()})
    assert rows(target) + left == rows(source)
    assert not r.log_lines("are not there"), r.log_tail()
    target.psql("ALTER TABLE t DROP CONSTRAINT good", user="postgres")
    if left:
        r.ok("retry", "t")
    in_step(r)
    rig.check_equal(source, target)
