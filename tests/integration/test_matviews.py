"""Materialized views at the target are refreshed in order, when they should be, without holding up readers."""

import time

import psycopg2

CONFIG = """
databases:
  s: { url: "{source}" }
  t: { url: "{target}" }
syncs:
  - name: default
    source: s
    target: t
    materialized_views: { refresh: REFRESH }
"""

# The names are against the alphabet: a_top reads v, which reads m_mid, which reads z_low.
TOWER = """
CREATE TABLE t (id int PRIMARY KEY, v int);
INSERT INTO t SELECT i, i FROM generate_series(1, 100) i;
CREATE TABLE alone (id int PRIMARY KEY);
CREATE MATERIALIZED VIEW z_low AS SELECT id, v FROM t;
CREATE MATERIALIZED VIEW m_mid AS SELECT v % 10 AS k, sum(v) AS s FROM z_low GROUP BY 1;
CREATE VIEW v AS SELECT s FROM m_mid WHERE s > 0;
CREATE MATERIALIZED VIEW a_top AS SELECT sum(s) AS total FROM v;
CREATE MATERIALIZED VIEW other AS SELECT count(*) AS n FROM alone;
"""


def started(rebecos, source, target, refresh="[initial]"):
    r = rebecos(source, target, config=CONFIG.replace("REFRESH", refresh)).start()
    r.wait_phase("follow")
    return r


def total(server):
    try:
        return server.value("SELECT total FROM a_top")
    except psycopg2.errors.ObjectNotInPrerequisiteState:
        return None


def refreshed(target, name):
    """When Rebeco last refreshed it, as text; None when it never did."""
    return target.value("SELECT refreshed_at::text FROM rebeco.matview WHERE relid = %s::regclass::oid", name)


def problems(target):
    return dict(target.run("SELECT object, message FROM rebeco.problem WHERE kind = 'matview'"))


def test_initially_in_order_and_only_once(source, target, rebecos):
    source.run(TOWER)
    # Before PostgreSQL 17 a function in a materialized view may count on its session's search_path.
    where = "" if max(source.major, target.major) < 17 else "public."
    source.run("CREATE FUNCTION look() RETURNS bigint LANGUAGE plpgsql STABLE AS "
               f"'BEGIN RETURN (SELECT count(*) FROM {where}alone); END'")
    source.run("CREATE MATERIALIZED VIEW looks AS SELECT look() AS n")
    r = started(rebecos, source, target)
    r.wait("all are filled", lambda: total(target) == 5050 and refreshed(target, "other") is not None, 20)
    assert target.value("SELECT n FROM looks") == 0
    times = target.run("SELECT c.relname FROM rebeco.matview m JOIN pg_class c ON c.oid = m.relid ORDER BY refreshed_at")
    order = [name for name, in times if name not in ("other", "looks")]
    assert order == ["z_low", "m_mid", "a_top"]
    assert problems(target) == {}
    before = target.run("SELECT * FROM rebeco.matview ORDER BY relid")
    source.run("INSERT INTO t VALUES (101, 101)")
    r.wait_in_sync()
    r.kill9()
    r.start()
    r.wait_phase("follow")
    r.wait_in_sync()
    time.sleep(1.5)
    assert target.run("SELECT * FROM rebeco.matview ORDER BY relid") == before
    assert total(target) == 5050
    r.terminate()


def test_not_at_all_when_not_wanted(source, target, rebecos):
    source.run(TOWER)
    r = started(rebecos, source, target, "[]")
    r.wait_in_sync()
    time.sleep(2)
    assert total(target) is None
    assert target.value("SELECT count(*) FROM rebeco.matview") == 0


def test_on_a_schedule(source, target, rebecos):
    source.run(TOWER)
    source.run("CREATE MATERIALIZED VIEW clock AS SELECT clock_timestamp() AS at")
    r = started(rebecos, source, target, "[initial, {every: 2s}]")
    r.wait("filled", lambda: total(target) == 5050, 20)
    source.run("INSERT INTO t VALUES (101, 101)")
    r.wait("refreshed", lambda: total(target) == 5151, 10)
    seen = set()
    end = time.monotonic() + 7
    while time.monotonic() < end:
        seen.add(target.value("SELECT at FROM clock"))
        time.sleep(0.1)
    # Also what no table below could tell; every two seconds, and not more often.
    assert 3 <= len(seen) <= 5, seen
    # One that is created later is taken in.
    source.run("CREATE MATERIALIZED VIEW later AS SELECT max(v) AS m FROM t")
    target.run("CREATE MATERIALIZED VIEW later AS SELECT max(v) AS m FROM t WITH NO DATA")
    r.wait("the new one is filled", lambda: target.value("SELECT m FROM later") == 101, 10)


def test_on_change_with_a_least_interval(source, target, rebecos):
    source.run(TOWER)
    source.run("""
        CREATE TABLE p (id int, d int, PRIMARY KEY (id, d)) PARTITION BY LIST (d);
        CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
        CREATE MATERIALIZED VIEW parts AS SELECT count(*) AS n FROM p;
        CREATE TABLE hidden (id int PRIMARY KEY);
        CREATE FUNCTION look() RETURNS bigint LANGUAGE plpgsql STABLE AS
            'BEGIN RETURN (SELECT count(*) FROM public.hidden); END';
        CREATE MATERIALIZED VIEW through AS SELECT look() AS n""")
    r = started(rebecos, source, target, "[initial, on-change, {every: 3s}]")
    r.wait("filled", lambda: total(target) == 5050 and target.value("SELECT n FROM through") == 0
           and target.value("SELECT n FROM parts") == 0, 20)
    time.sleep(4)
    low, other = refreshed(target, "z_low"), refreshed(target, "other")
    time.sleep(4)
    assert refreshed(target, "z_low") == low  # nothing changes, nothing is refreshed
    # A change after a quiet time is there at once, through two materialized views and a view.
    source.run("UPDATE t SET v = v + 1 WHERE id = 1")
    r.wait("the top shows it", lambda: total(target) == 5051, 3)
    assert refreshed(target, "other") == other
    # Under steady change: not more often than every 3 s.
    seen = set()
    end = time.monotonic() + 9
    while time.monotonic() < end:
        source.run("UPDATE t SET v = v + 1 WHERE id = 1")
        seen.add(refreshed(target, "z_low"))
        time.sleep(0.1)
    assert 3 <= len(seen) <= 5, seen
    assert refreshed(target, "other") == other
    last = source.value("SELECT sum(v) FROM t")
    r.wait("the last change is there", lambda: total(target) == last, 10)
    # Into a partition, and where only a function knows.
    source.run("INSERT INTO p1 VALUES (1, 1); INSERT INTO hidden VALUES (1)")
    r.wait("parts", lambda: target.value("SELECT n FROM parts") == 1, 10)
    r.wait("through", lambda: target.value("SELECT n FROM through") == 1, 10)


def test_a_change_before_a_restart_is_not_forgotten(source, target, rebecos):
    source.run(TOWER)
    r = started(rebecos, source, target, "[initial, on-change, {every: 3s}]")
    r.wait("filled", lambda: total(target) == 5050, 20)
    source.run("UPDATE t SET v = v + 1 WHERE id = 1")
    r.wait("the rows are there, the sum not yet", lambda: target.value("SELECT v FROM t WHERE id = 1") == 2, 3, 0.01)
    r.kill9()
    r.start()
    r.wait("the sum is there", lambda: total(target) == 5051, 20)


def test_a_server_whose_clock_is_set_back(source, target, rebecos):
    """What was refreshed is in its future then: neither is a change forgotten that came before the restart, nor does one wait for that time."""
    source.run(TOWER)
    r = started(rebecos, source, target, "[initial, on-change, {every: 1s}]")
    r.wait("the tower is there", lambda: total(target) == 5050)
    r.terminate()
    # As if its clock had been an hour ahead until now.
    target.run("UPDATE rebeco.matview SET refreshed_at = refreshed_at + interval '1 hour'", user="postgres")
    target.run("REFRESH MATERIALIZED VIEW other WITH NO DATA")
    r.start()
    r.wait("all of them are refreshed", lambda: target.value("SELECT relispopulated FROM pg_class WHERE relname = 'other'"), 60)
    source.run("INSERT INTO t VALUES (101, 950)")
    r.wait("a change is seen", lambda: total(target) == 6000, 60)


def test_one_that_fails_does_not_stop_the_others(source, target, rebecos):
    source.run(TOWER)
    source.run("""
        CREATE MATERIALIZED VIEW b_bad AS SELECT 100 / (v - 1) AS q FROM t WITH NO DATA;
        CREATE MATERIALIZED VIEW b_on_bad AS SELECT count(*) AS n FROM b_bad WITH NO DATA;
        CREATE MATERIALIZED VIEW "we""ird.mv; DROP TABLE t; --" AS SELECT count(*) AS n FROM t WITH NO DATA""")
    r = started(rebecos, source, target, "[initial, {every: 1s}]")
    r.wait("the others are filled", lambda: total(target) == 5050
           and target.value('SELECT n FROM "we""ird.mv; DROP TABLE t; --"') == 100, 20)
    r.wait("both are on record", lambda: problems(target).keys() == {
        "MATERIALIZED VIEW public.b_bad", "MATERIALIZED VIEW public.b_on_bad"}, 10)
    assert "division by zero" in problems(target)["MATERIALIZED VIEW public.b_bad"]
    assert "has not been populated" in problems(target)["MATERIALIZED VIEW public.b_on_bad"]
    assert r.log_lines("division by zero")
    source.run("DELETE FROM t WHERE v = 1")
    r.wait("they are filled in the end", lambda: target.value("SELECT n FROM b_on_bad") == 99, 40)
    r.wait("nothing is on record any more", lambda: problems(target) == {}, 10)
    # One that fails and is dropped leaves nothing behind.
    source.run("CREATE TABLE zero (id int PRIMARY KEY, z int); INSERT INTO zero VALUES (1, 0)")
    target.run("CREATE MATERIALIZED VIEW c_bad AS SELECT 1 / (random() * 0)::int AS q WITH NO DATA")
    r.wait("on record", lambda: "MATERIALIZED VIEW public.c_bad" in problems(target), 10)
    target.run("DROP MATERIALIZED VIEW c_bad")
    r.wait("nothing is on record any more", lambda: problems(target) == {}, 10)


def refresh_statements(target, name):
    with open(target.log_path, errors="replace") as f:
        return [line.split("REFRESH ")[1].strip() for line in f if "REFRESH MATERIALIZED VIEW" in line and name in line]


def test_readers_are_not_held_up(source, servers, rebecos):
    target = servers("target", "rds", log_statement="all")
    source.run("""
        CREATE TABLE t (id int PRIMARY KEY, v int);
        INSERT INTO t SELECT i, i FROM generate_series(1, 100) i;
        CREATE FUNCTION slowly(int) RETURNS int LANGUAGE plpgsql VOLATILE AS
            'BEGIN PERFORM pg_catalog.pg_sleep(0.02); RETURN $1; END';
        CREATE MATERIALIZED VIEW slow AS SELECT id, slowly(v) AS v FROM t WITH NO DATA;
        CREATE UNIQUE INDEX ON slow (id) WHERE id > 0;
        CREATE UNIQUE INDEX ON slow ((id + 0))""")
    r = started(rebecos, source, target, "[initial, {every: 4s}]")
    r.wait("refreshed again", lambda: len(refresh_statements(target, "slow")) >= 2, 30)
    # An index with a condition, or on an expression, is not enough: only plain ones so far.
    assert not any("CONCURRENTLY" in s for s in refresh_statements(target, "slow"))
    with target.connect() as c:
        c.run("SET lock_timeout = '30s'")
        c.run("CREATE UNIQUE INDEX slow_id ON slow (id)")  # waits for a refresh that goes on
    r.wait("CONCURRENTLY once there is a plain unique index",
           lambda: refresh_statements(target, "slow")[-1].startswith("MATERIALIZED VIEW CONCURRENTLY"), 20)

    def is_refreshing():
        return target.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%; REFRESH MATERIALIZED VIEW CONCURRENTLY public.slow' "
                            "AND state = 'active'")
    for _ in range(3):
        r.wait("a refresh goes on", is_refreshing, 10, 0.01)
        with target.connect() as c:
            c.run("SET statement_timeout = '500ms'")
            assert c.value("SELECT count(*) FROM slow") == 100
        assert is_refreshing()  # it took two seconds: the reader was there in between
        r.wait("it ends", lambda: not is_refreshing(), 10)


def test_batches_go_on_during_a_refresh(source, target, rebecos):
    source.run("""
        CREATE TABLE t (id int PRIMARY KEY, v int);
        INSERT INTO t SELECT i, i FROM generate_series(1, 100) i;
        CREATE FUNCTION slowly(int) RETURNS int LANGUAGE plpgsql VOLATILE AS
            'BEGIN PERFORM pg_catalog.pg_sleep(0.1); RETURN $1; END';
        CREATE MATERIALIZED VIEW slow AS SELECT id, slowly(v) AS v FROM t WITH NO DATA""")
    r = started(rebecos, source, target, "[initial]")
    r.wait("a refresh goes on", lambda: target.value(
        "SELECT count(*) FROM pg_locks WHERE relation = 'slow'::regclass AND mode = 'AccessExclusiveLock'"), 10)
    source.run("INSERT INTO t VALUES (101, 101)")
    r.wait("the row is there", lambda: target.value("SELECT count(*) FROM t") == 101, 4)
    assert target.value("SELECT count(*) FROM rebeco.matview") == 0
    # Told to stop, it does not wait for the refresh.
    r.terminate(timeout=8)


def test_a_reader_holds_up_neither_the_others_nor_the_daemon(source, target, rebecos):
    source.run(TOWER)
    r = started(rebecos, source, target, "[initial, {every: 1s}]")
    r.wait("filled", lambda: total(target) == 5050, 20)
    with target.connect() as c:
        c.raw.autocommit = False
        c.run("SELECT * FROM z_low")
        r.wait("z_low cannot be refreshed", lambda: "MATERIALIZED VIEW public.z_low" in problems(target), 15)
        assert "lock timeout" in problems(target)["MATERIALIZED VIEW public.z_low"]
        before = refreshed(target, "other")
        r.wait("the others can", lambda: refreshed(target, "other") != before, 10)
        # Other readers wait for no more than our lock_timeout of a second.
        began = time.monotonic()
        target.run("SELECT count(*) FROM z_low")
        assert time.monotonic() - began < 1.8
        c.raw.commit()
    r.wait("nothing is on record any more", lambda: problems(target) == {}, 30)


def test_outage_during_a_refresh(source, target, rebecos):
    source.run(TOWER)
    source.run("""CREATE FUNCTION slowly(int) RETURNS int LANGUAGE plpgsql VOLATILE AS
                      'BEGIN PERFORM pg_catalog.pg_sleep(0.02); RETURN $1; END';
                  CREATE MATERIALIZED VIEW z_slow AS SELECT slowly(v) AS v FROM t WITH NO DATA""")
    r = started(rebecos, source, target, "[initial]")
    r.wait("a refresh goes on", lambda: target.value(
        "SELECT count(*) FROM pg_locks WHERE relation = 'z_slow'::regclass AND mode = 'AccessExclusiveLock'"), 20)
    target.restart("immediate")
    r.wait("all are filled", lambda: total(target) == 5050 and target.value("SELECT count(*) FROM z_slow") == 100, 30)
    assert problems(target) == {}


def test_on_change_by_a_copy_and_under_another_name(source, target, rebecos):
    """A table that is copied again changes, though no row of it was written at the source; and one that was renamed is still known."""
    source.run(TOWER)
    r = started(rebecos, source, target, "[initial, on-change, {every: 1s}]")
    r.wait("filled", lambda: total(target) == 5050, 20)
    r.wait_in_sync()
    target.run("DELETE FROM t WHERE id <= 50; REFRESH MATERIALIZED VIEW z_low; REFRESH MATERIALIZED VIEW m_mid; REFRESH MATERIALIZED VIEW a_top")
    assert total(target) == 5050 - 50 * 51 // 2
    r.ok("resync", "public.t")
    r.wait("the copy is seen", lambda: total(target) == 5050, 30)
    for server in source, target:
        server.run("ALTER TABLE t RENAME TO tt")
    source.run("UPDATE tt SET v = v + 1 WHERE id = 1")
    r.wait("so is a change", lambda: total(target) == 5051, 30)
