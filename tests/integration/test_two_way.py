"""mode: two-way: both ends take writes, nothing comes back as an echo, and both become equal."""

import itertools
import json
import random
import time
import urllib.request

import pytest
import rig
from two_way import (Storm, check_equal, config, conflicts, disturb, make_equal, meet, meet_and_pause, roles, source,  # noqa: F401
                     target, wait_both)

POLICIES = ["source", "target", "latest", "skip", "rules.resolve"]


def applied(port):
    """Rows that each direction has written, by the daemon's own count."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=10) as r:
        return [sum(t["rows_applied"] for t in s["tables"]) for s in json.load(r)]


def test_nothing_comes_back(source, target, rebecos):
    source.run("CREATE TABLE t (id int PRIMARY KEY, v text)")
    source.run("INSERT INTO t SELECT i, 'old' FROM generate_series(1, 100) i")
    port = rig.free_port()
    rebeco = rebecos(source, target, config=config(port))
    rebeco.start()
    wait_both(rebeco)
    check_equal(source, target)
    source.run("UPDATE t SET v = 'source' WHERE id <= 10")
    target.run("UPDATE t SET v = 'target' WHERE id > 90")
    target.run("INSERT INTO t VALUES (1000, 'target')")
    target.run("DELETE FROM t WHERE id = 50")
    target.run("UPDATE t SET id = 2000 WHERE id = 60")
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT v, count(*) FROM t GROUP BY v ORDER BY v") == [("old", 79), ("source", 10), ("target", 11)]
    assert applied(port) == [10, 14]  # a changed key is two rows
    for _ in range(3):
        wait_both(rebeco)
    assert applied(port) == [10, 14]
    assert conflicts(source) == conflicts(target) == []
    rebeco.terminate()


def test_an_idle_sync_rests(servers, roles, rebecos):
    """Nobody writes: after a while the status is not written every second any more. One direction's slow look, every 10 s, called the
    other, which took that for work, and called back for as long as the daemon ran."""
    ends = [servers(name, role, max_prepared_transactions="10") for name, role in zip(("source", "target"), roles)]
    ends[0].run("CREATE TABLE t (id int PRIMARY KEY, v text)")
    rebeco = rebecos(*ends, config=config())
    rebeco.start()
    wait_both(rebeco)
    before = []

    def rests():
        before.append([end.run("SELECT sync, at FROM rebeco.status") for end in ends])
        time.sleep(1)
        return len(before) > 5 and before[-1] == before[-6]

    rig.eventually("both ends rest", rests, 45)
    ends[1].run("INSERT INTO t VALUES (1, 'awake')")
    rig.eventually("a change wakes it", lambda: ends[0].value("SELECT v FROM t") == "awake", 5)
    rebeco.terminate()


# ------------------------------------------------------------------ who wins

OPS = {
    "insert": "BEGIN; DELETE FROM {t} WHERE id = 1; INSERT INTO {t} VALUES (1, '{end}'); COMMIT",
    "update": "UPDATE {t} SET v = '{end}' WHERE id = 1",
    "delete": "DELETE FROM {t} WHERE id = 1",
    "truncate": "TRUNCATE {t}",
}


def outcome(policy, at_source, at_target):
    """The row with id 1 at both ends afterwards, and whether that was a conflict; the target wrote later."""
    row_s = "source" if at_source in ("insert", "update") else None
    row_t = "target" if at_target in ("insert", "update") else None
    if row_s == row_t:
        return row_s, row_t, False
    if policy == "skip":
        return row_s, row_t, True
    row = row_s if policy == "source" else row_t
    if policy == "rules.resolve":  # prefers the row that is there, and the source's
        row = row_s or row_t
    return row, row, True


@pytest.mark.limit(200)
def test_who_wins(source, target, rebecos, capsys):
    """Every pair of changes under every policy; prints the table."""
    cases = {f"t_{p.replace('.', '_')}_{a}_{b}": (p, a, b) for p, a, b in itertools.product(POLICIES, OPS, OPS)}
    source.psql("CREATE SCHEMA rules;" + "".join(
        f"CREATE TABLE {t} (id int PRIMARY KEY, v text); INSERT INTO {t} VALUES (1, 'old'), (2, 'bystander');" for t in cases))
    source.psql("""
        CREATE FUNCTION rules.resolve(text, json, s json, t json, timestamptz, timestamptz) RETURNS text LANGUAGE sql
            AS $$ SELECT CASE WHEN s IS NULL THEN 'target' ELSE 'source' END $$""")
    tables = {f"public.t_{p.replace('.', '_')}_*": p for p in POLICIES}
    rebeco = rebecos(source, target, config=config(conflict={"default": "abort", "tables": tables}))
    rebeco.start()
    wait_both(rebeco, 120)
    meet(rebeco, source, target, *("".join(OPS[c[which]].format(t=t, end=end) + ";\n" for t, c in cases.items())
                                   for end, which in (("source", 1), ("target", 2))))
    kinds = {row[0]: row[2:4] for row in conflicts(target)}
    wrong = []
    for t, (policy, a, b) in cases.items():
        want_s, want_t, is_conflict = outcome(policy, a, b)
        got = [s.value(f"SELECT v FROM {t} WHERE id = 1") for s in (source, target)]
        others = [s.value(f"SELECT count(*) FROM {t} WHERE id = 2") for s in (source, target)]
        good = got == [want_s, want_t] and (t in kinds) == is_conflict and others == [0 if "truncate" in (a, b) else 1] * 2
        line = f"{policy:12} {a:9} {b:9} {want_s or '-':7} {want_t or '-':7} {kinds.get(t, '')}"
        print(line)
        if not good:
            wrong.append(f"{line}: {got} {others}")
    assert not wrong, "\n".join(wrong)
    assert [r[:2] + r[3:] for r in conflicts(source)] == [r[:2] + r[3:] for r in conflicts(target)]
    rebeco.terminate()


def test_what_a_function_writes_that_decides(source, target, rebecos):
    """It is a change of the target, and travels, although a session of ours has asked the function. A row that the round brings,
    and the function changes as well, holds nothing up for good."""
    source.psql("""
        CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old'), (2, 'old'); CREATE TABLE audit (id serial PRIMARY KEY, key json);
        CREATE TABLE sum (id int PRIMARY KEY, n int); INSERT INTO sum VALUES (1, 0), (2, 0); CREATE TABLE emptied (id int PRIMARY KEY); INSERT INTO emptied VALUES (1);
        CREATE SCHEMA rules; CREATE FUNCTION rules.resolve(name text, key json, s json, t json, timestamptz, timestamptz) RETURNS text LANGUAGE plpgsql AS $$
            BEGIN INSERT INTO public.audit (key) VALUES (key); UPDATE public.sum SET n = n + 1; TRUNCATE public.emptied; RETURN 'source'; END$$""")
    rebeco = rebecos(source, target, config=config(conflict={"default": "latest", "tables": {"public.t": "rules.resolve"}}))
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target, "UPDATE t SET v = 'source'", "UPDATE t SET v = 'target'")
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT DISTINCT v FROM t") == [("source",)] and source.value("SELECT count(*) FROM emptied") == 0
    assert source.value("SELECT count(*) FROM audit") >= 2 and source.value("SELECT min(n) FROM sum") >= 2
    meet(rebeco, source, target, "UPDATE t SET v = 'again'; UPDATE sum SET n = 100 WHERE id = 1", "UPDATE t SET v = 'target'")
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT DISTINCT v FROM t") == [("again",)] and source.value("SELECT min(n) FROM sum") > 2
    rebeco.terminate()


def test_abort_pauses_the_table(source, target, rebecos):
    source.psql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old'); "
                "CREATE TABLE u (id int PRIMARY KEY, v text)")
    rebeco = rebecos(source, target, config=config(conflict={"default": "abort"}))
    rebeco.start()
    wait_both(rebeco)
    meet_and_pause(rebeco, source, target, "v", 1)
    target.run("INSERT INTO u VALUES (1, 'goes on')")
    rebeco.wait("the other goes on", lambda: source.value("SELECT v FROM u"))
    assert [s.value("SELECT v FROM t") for s in (source, target)] == ["source", "target"]
    make_equal(rebeco, source, target, "v", 1)
    rebeco.terminate()


def test_a_write_in_between_is_not_overwritten(source, target, rebecos):
    """The application holds a row at the target while the source's change is on its way to it."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, 9) i")
    rebeco = rebecos(source, target, config=config(conflict={"default": "target"}))
    rebeco.start()
    wait_both(rebeco)
    for i in range(1, 10):
        with target.connect() as app:
            app.run("BEGIN")
            app.run("UPDATE t SET v = 'target' WHERE id = %s", i)
            source.run("UPDATE t SET v = 'source' WHERE id = %s", i)
            time.sleep(0.05 * i)
            app.run("COMMIT")
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT DISTINCT v FROM t") == [("target",)]
    assert [c[1] for c in conflicts(source)] == [str(i) for i in range(1, 10)]
    assert conflicts(source) == conflicts(target)
    rebeco.terminate()


@pytest.mark.parametrize("policy, tied", [("source", ""), ("latest", ""), ("latest", "constraints"), ("latest", "partitions")])
def test_rows_that_rest_do_not_wait_for_rows_that_never_do(source, target, rebecos, policy, tied):
    """Three rows of t are changed at both ends all the time, so that each round meets one that was changed too late. What else was
    changed arrives all the same while that goes on; and the three are equal when it ends."""
    source.psql("CREATE TABLE q (id int PRIMARY KEY); INSERT INTO q VALUES (1), (2);"
                "CREATE TABLE t (id numeric PRIMARY KEY, v text) " + ("PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (15);"
                                                                      "CREATE TABLE t2 PARTITION OF t DEFAULT; " if tied == "partitions" else ";") +
                "INSERT INTO t SELECT i, 'old' FROM generate_series(1, 100) i;" +
                ("ALTER TABLE t ADD q int REFERENCES q DEFAULT 1, ADD u int UNIQUE, ADD e text; CREATE UNIQUE INDEX ON t (lower(e)) WHERE q > 0; UPDATE t SET u = id, e = id;"
                 "CREATE TABLE r (id int PRIMARY KEY, t numeric REFERENCES t); INSERT INTO r VALUES (1, 1), (2, 99);" if tied == "constraints" else "") +
                "CREATE TABLE p (id int PRIMARY KEY, v text UNIQUE); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p)")
    rebeco = rebecos(source, target, config=config(conflict={"default": policy}))
    rebeco.start()
    wait_both(rebeco)

    def work(c, rng, number):
        c.run("UPDATE t SET v = %s WHERE id = %s", str(rng.random()), number + 1)

    with rig.Crew(source, work, 3), rig.Crew(target, work, 3):
        time.sleep(0.5)
        for n in range(3):
            source.psql(f"UPDATE t SET v = 'source {n}' WHERE id BETWEEN 10 AND 19; INSERT INTO p VALUES ({n}, {n}); INSERT INTO c VALUES ({n}, {n})")
            target.psql(f"UPDATE t SET v = 'target {n}' WHERE id BETWEEN 20 AND 29; DELETE FROM t WHERE id = {30 + n}; INSERT INTO p VALUES (1{n}, 1{n})")
            rebeco.wait("the target has them", lambda: target.value(f"SELECT count(*) FROM t WHERE v = 'source {n}'") == 10
                        and target.value("SELECT count(*) FROM c") == n + 1, 30)
            rebeco.wait("the source has them", lambda: source.value(f"SELECT count(*) FROM t WHERE v = 'target {n}'") == 10
                        and source.value("SELECT count(*) FROM p WHERE id > 9") == n + 1, 30)
        print("rounds given up:", rebeco.status()["back"]["redone"])
    wait_both(rebeco)
    check_equal(source, target)
    assert source.value("SELECT count(*) FROM t") == 97
    rebeco.terminate()


def test_a_truncation_arrives_where_rows_are_changed_without_a_pause(source, target, rebecos):
    """The table is truncated at the source, and filled anew with some of the keys, while the target's application changes, adds and removes rows
    all the time: each round meets rows that were changed too late."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, 200) i;"
                "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p, v text); INSERT INTO p VALUES (1), (2);"
                "INSERT INTO c SELECT i, 1, 'old' FROM generate_series(1, 200) i; CREATE TABLE other (id int PRIMARY KEY)")
    rebeco = rebecos(source, target, config=config(conflict={"default": "latest"}))
    rebeco.start()
    wait_both(rebeco)
    keys = itertools.count(1000)

    def work(c, rng, number):
        table, parent = ("c", ", 1 + %s %% 2") if number == 2 else ("t", "")
        i = rng.randint(1, 30)
        c.run(f"UPDATE {table} SET v = %s WHERE id = %s", str(rng.random()), i)
        c.run(f"DELETE FROM {table} WHERE id = %s", 30 + i)
        key = next(keys)
        c.run(f"INSERT INTO {table} (id, v{', p' if parent else ''}) VALUES (%s, 'new'{parent})", key, *([key] if parent else []))

    with rig.Crew(target, work, 3) as crew:
        time.sleep(0.5)
        for n in range(3):
            source.psql(f"TRUNCATE t; TRUNCATE c; INSERT INTO t SELECT i, 'anew {n}' FROM generate_series(1, 100) i; INSERT INTO other VALUES ({n})")
            done = crew.done
            rebeco.wait("the target has it", lambda: target.value("SELECT count(*) FROM other") == n + 1, 30)
            assert target.value(f"SELECT count(*) FROM t WHERE v = 'anew {n}' AND id > 60") == 40
            assert target.value("SELECT count(*) FROM c WHERE v = 'old'") == 0
            rebeco.wait("and they go on writing", lambda: crew.done > done)
        print("rounds given up:", rebeco.status()["back"]["redone"], "of", crew.done)
    wait_both(rebeco)
    check_equal(source, target)
    rebeco.terminate()


# ------------------------------------------------------------------ storms


@pytest.mark.limit(240)
@pytest.mark.parametrize("policy, roles", [("latest", "neither"), ("source", "both"), ("target", "source"), ("latest", "target")][:4 if rig.LONG else 2], indirect=["roles"])
def test_writers_on_both_ends(source, target, rebecos, policy):
    """Both ends are equal after writes, kills of the daemon and of its connections; every conflict is known
    at both ends, once."""
    for table in "abc":
        source.psql(f"CREATE TABLE {table} (id int PRIMARY KEY, v text); INSERT INTO {table} SELECT i, 'old' FROM generate_series(1, 60) i")
    rebeco = rebecos(source, target, config=config(conflict={"default": policy}))
    rebeco.start()
    wait_both(rebeco)
    seed = random.randrange(10**6)
    print("seed", seed)
    r = random.Random(seed)
    with Storm(seed, source, target) as storm:
        disturb(rebeco, source, target, r, 120 if rig.LONG else 8)
    assert storm.done > 50
    wait_both(rebeco, 120)
    check_equal(source, target)
    wait_both(rebeco, 60)
    assert sorted(conflicts(source)) and len(set(conflicts(source))) > 0
    twice = "SELECT table_name, key::text FROM rebeco.conflict GROUP BY table_name, key::text, source_at, target_at HAVING count(*) > 1"
    assert source.run(twice) == target.run(twice) == []
    rebeco.terminate()


# ------------------------------------------------------------------ what is around it


def test_sequences_never_meet(source, target, rebecos):
    source.psql("CREATE TABLE t (id serial PRIMARY KEY, v text); INSERT INTO t (v) SELECT 'old' FROM generate_series(1, 10) i;"
                "CREATE TABLE d (id bigint GENERATED BY DEFAULT AS IDENTITY (INCREMENT -3 START -5) PRIMARY KEY, v text)")
    rebeco = rebecos(source, target, config=config())
    rebeco.start()
    wait_both(rebeco)
    for i in range(5):
        for server in (source, target):
            server.psql("INSERT INTO t (v) VALUES ('new'); INSERT INTO d (v) VALUES ('new')")
    wait_both(rebeco)
    assert source.run("SELECT count(*), count(DISTINCT id) FROM t") == target.run("SELECT count(*), count(DISTINCT id) FROM t") == [(20, 20)]
    assert source.value("SELECT count(*) FROM d") == target.value("SELECT count(*) FROM d") == 10
    rebeco.terminate()
    rebeco.ok("uninstall")
    for server in (source, target):
        assert server.value("SELECT to_regnamespace('rebeco')") is None
        assert server.value("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == 0
        assert server.run("SELECT DISTINCT increment_by FROM pg_sequences ORDER BY 1") == [(-3,), (1,)]
        assert server.value("INSERT INTO t (v) VALUES ('after') RETURNING id") > 20


def test_what_is_not_taken(source, target, rebecos):
    """A table without a key, and one with a trigger that would fire again; the reason is said."""
    source.psql("""
        CREATE TABLE k (v text); CREATE TABLE g (id int, half int GENERATED ALWAYS AS (id / 2) STORED, PRIMARY KEY (id, half));
        CREATE TABLE r (id int PRIMARY KEY); CREATE RULE gone AS ON DELETE TO r DO ALSO INSERT INTO k VALUES ('gone');
        CREATE TABLE good (id int PRIMARY KEY); CREATE TABLE x (id int PRIMARY KEY); CREATE TABLE y (id int PRIMARY KEY, v text);
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN new.v := coalesce(new.v, '') || '!'; RETURN new; END$$;
        CREATE TRIGGER again BEFORE INSERT ON x FOR EACH ROW EXECUTE FUNCTION stamp();
        CREATE TRIGGER once BEFORE INSERT OR UPDATE ON y FOR EACH ROW WHEN (current_setting('rebeco.applying', true) IS DISTINCT FROM 'on')
            EXECUTE FUNCTION stamp()""")
    rebeco = rebecos(source, target, config=config())
    rebeco.start()
    rebeco.wait("the others run", lambda: target.value("SELECT to_regclass('rebeco.capture')") and
                target.run("SELECT table_name FROM rebeco.capture ORDER BY 1") == [("good",), ("y",)], 60)
    rebeco.wait("the reasons are said", lambda: {t["name"] for t in rebeco.status()["tables"] if t["paused"]} == {"k", "x", "g", "r"})
    why = {t["name"]: (t["paused"], t["what"], t["hint"]) for t in rebeco.status()["tables"] if t["paused"]}
    assert "generated" in why["g"][2] and "rule gone" in why["r"][1] and "trigger" in why["r"][2]
    assert "again" in why["x"][1] and "rebeco.applying" in why["x"][2]
    target.run("INSERT INTO y VALUES (1, 'a')")
    rebeco.wait("the row comes", lambda: source.value("SELECT v FROM y") == "a!")
    rebeco.terminate()


def test_a_rule_that_comes_later(source, target, rebecos):
    """It does nothing for rows that arrive: its table stands still, and the others go on."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2); CREATE TABLE log (what int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
    rebeco = rebecos(source, target, config=config())
    rebeco.start()
    wait_both(rebeco)
    source.psql("CREATE RULE n AS ON DELETE TO t DO ALSO INSERT INTO log VALUES (old.id)")
    target.psql("DELETE FROM t WHERE id = 1; INSERT INTO other VALUES (1)")
    rebeco.wait("the other goes on", lambda: source.run("SELECT * FROM other"))
    assert source.value("SELECT count(*) FROM log") == 0 and source.value("SELECT count(*) FROM t") == 2
    assert [t["name"] for t in rebeco.status()["tables"] if t["paused"]] == ["t"] and rebeco.log_lines("rule n")
    source.psql("DROP RULE n ON t")
    rebeco.wait("it goes on by itself", lambda: source.value("SELECT count(*) FROM t") == 1)
    wait_both(rebeco)
    check_equal(source, target)
    rebeco.terminate()


def test_until_ends_where_a_capture_was_lost(source, target, rebecos):
    """Nothing is copied again by itself here, so that only a person can help: code 4, and not a Job that never ends."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
    rebeco = rebecos(source, target, config=config())
    rebeco.start()
    wait_both(rebeco)
    rebeco.terminate()
    source.psql("ALTER TABLE t DISABLE TRIGGER USER; INSERT INTO t VALUES (1); ALTER TABLE t ENABLE TRIGGER USER; INSERT INTO other VALUES (1)")
    rebeco.start("--until", "in-sync")
    assert rebeco.wait_exit(60) == 4
    assert rebeco.log_lines("rebeco resync")
