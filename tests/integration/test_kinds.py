"""Kinds of tables: partitioned, inherited, unlogged, typed, with rules; what TRUNCATE does to each; and
names that nobody should have given."""

import contextlib
import functools
import os
import threading

import psycopg2.errors
import pytest
import rig

KINDS = """
CREATE SCHEMA p; SET search_path = p;
CREATE TABLE event (region text, day date, id bigint, body text, PRIMARY KEY (region, day, id)) PARTITION BY LIST (region);
CREATE TABLE event_eu (day date, body text, id bigint, region text, PRIMARY KEY (region, day, id)) PARTITION BY RANGE (day);
ALTER TABLE event ATTACH PARTITION event_eu FOR VALUES IN ('eu', 'uk');
CREATE TABLE event_eu_old PARTITION OF event_eu FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
CREATE TABLE event_eu_new (gone int, id bigint, region text, day date, body text, PRIMARY KEY (region, day, id)) PARTITION BY HASH (id);
ALTER TABLE event_eu_new DROP COLUMN gone;
ALTER TABLE event_eu ATTACH PARTITION event_eu_new FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);
CREATE TABLE event_eu_new_0 PARTITION OF event_eu_new FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE event_eu_new_1 PARTITION OF event_eu_new FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE event_rest PARTITION OF event DEFAULT PARTITION BY LIST (region);
CREATE TABLE event_us PARTITION OF event_rest FOR VALUES IN ('us');
CREATE TABLE event_else PARTITION OF event_rest DEFAULT;
CREATE TABLE spread (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE spread_0 PARTITION OF spread FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE alone (id int PRIMARY KEY, v text);
CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE parted_all PARTITION OF parted DEFAULT;
CREATE TABLE empty_tree (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);

CREATE TABLE city (name text PRIMARY KEY, people int);
CREATE TABLE capital (PRIMARY KEY (name), state text NOT NULL) INHERITS (city);
CREATE TABLE old_capital (PRIMARY KEY (name), until date) INHERITS (capital);

CREATE TYPE person AS (name text, age int);
CREATE TABLE typed OF person (PRIMARY KEY (name), age WITH OPTIONS DEFAULT 7);
CREATE TABLE ruled (id int PRIMARY KEY, v text);
CREATE TABLE ruled_log (id serial PRIMARY KEY, what text);
CREATE RULE upd AS ON UPDATE TO ruled DO ALSO INSERT INTO ruled_log (what) VALUES ('update ' || old.id);
CREATE RULE del AS ON DELETE TO ruled DO ALSO INSERT INTO ruled_log (what) VALUES ('delete ' || old.id);
CREATE TABLE ruled_off (id int PRIMARY KEY, v text);
CREATE RULE ins AS ON INSERT TO ruled_off WHERE new.v = 'nothing' DO INSTEAD NOTHING;
CREATE VIEW seen AS SELECT * FROM ruled;
CREATE TABLE versioned (id int PRIMARY KEY, v text, since timestamptz DEFAULT clock_timestamp());
CREATE TABLE versioned_old (id int, v text, since timestamptz, until timestamptz, PRIMARY KEY (id, since));
CREATE FUNCTION keep_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO p.versioned_old VALUES (old.id, old.v, old.since, clock_timestamp()); new.since := clock_timestamp(); RETURN new; END $$;
CREATE TRIGGER keep BEFORE UPDATE ON versioned FOR EACH ROW EXECUTE FUNCTION keep_version();
CREATE TABLE secured (id int PRIMARY KEY, who text); ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON secured USING (who = current_user);
CREATE TABLE nothing (id int PRIMARY KEY);
CREATE TABLE only_key (a int, b int, PRIMARY KEY (b, a));
CREATE TABLE computed (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) STORED, c text GENERATED ALWAYS AS (id || ':' || a) STORED UNIQUE);
"""

DATA = """
SET search_path = p;
INSERT INTO event SELECT (ARRAY['eu', 'uk', 'us', 'jp'])[1 + i % 4], '2023-12-01'::date + i % 60, i, 'b' || i FROM generate_series(1, 400) i;
INSERT INTO spread SELECT i, 'v' || i FROM generate_series(1, 100) i;
INSERT INTO alone SELECT i, 'v' || i FROM generate_series(1, 100) i;
INSERT INTO parted SELECT i, 'v' || i FROM generate_series(1, 100) i;
INSERT INTO city SELECT 'city ' || i, i FROM generate_series(1, 50) i;
INSERT INTO capital SELECT 'city ' || i, i, 'state' FROM generate_series(40, 90) i;
INSERT INTO old_capital SELECT 'city ' || i, i, 'state', now() FROM generate_series(80, 120) i;
INSERT INTO typed SELECT 'n' || i, i FROM generate_series(1, 20) i;
INSERT INTO ruled SELECT i, 'v' || i FROM generate_series(1, 20) i;
INSERT INTO ruled_off SELECT i, 'nothing' FROM generate_series(1, 20) i; INSERT INTO ruled_off VALUES (30, 'x');
INSERT INTO versioned SELECT i, 'v' || i FROM generate_series(1, 20) i;
INSERT INTO secured SELECT i, CASE WHEN i % 2 = 0 THEN 'app' ELSE 'clerk' END FROM generate_series(1, 20) i;
INSERT INTO only_key SELECT i, i % 3 FROM generate_series(1, 20) i;
INSERT INTO computed (id, a) SELECT i, i FROM generate_series(1, 20) i;
"""

STEPS = [
    "UPDATE event SET body = body || '!' WHERE id % 3 = 0",
    "UPDATE event SET region = 'us' WHERE region = 'eu' AND id < 100; UPDATE event SET day = day + 40 WHERE region = 'uk'",
    "UPDATE event_eu_new_1 SET body = NULL; DELETE FROM event_us WHERE id % 7 = 0; INSERT INTO event_else VALUES ('mars', '2024-01-01', 1, NULL)",
    "UPDATE event_rest SET region = 'uk' WHERE region = 'jp' AND id < 200 AND false; UPDATE event SET id = id + 1000 WHERE id > 350",
    "UPDATE spread SET id = -id; UPDATE alone SET id = 101 - id WHERE false; UPDATE alone SET v = 'x'; UPDATE parted SET id = id + 1000 WHERE id > 50",
    "UPDATE city SET people = people + 1; DELETE FROM ONLY city WHERE name = 'city 1'; DELETE FROM city WHERE name = 'city 45'",
    "UPDATE ONLY capital SET state = 'other'; INSERT INTO city VALUES ('city 45', 1); UPDATE old_capital SET name = name || ' old', until = NULL",
    "UPDATE typed SET age = NULL WHERE age > 10; INSERT INTO typed VALUES ('new')",
    "UPDATE ruled SET v = v || '!' WHERE id < 5; DELETE FROM ruled WHERE id = 6; INSERT INTO ruled VALUES (50, 'new')",
    "UPDATE ruled_off SET v = 'y'; INSERT INTO ruled_off VALUES (60, 'nothing'), (61, 'z')",
    "UPDATE versioned SET v = v || '!'; UPDATE versioned SET v = 'twice' WHERE id < 4",
    "UPDATE secured SET who = 'nobody' WHERE id < 10; DELETE FROM secured WHERE id = 20",
    "INSERT INTO nothing VALUES (1), (2); DELETE FROM nothing WHERE id = 1; UPDATE only_key SET a = a + 100; INSERT INTO only_key VALUES (1, 1)",
    "UPDATE computed SET a = a + 1; UPDATE computed SET id = id + 100 WHERE id > 15; INSERT INTO computed (id, a) VALUES (0, 0)",
]


@pytest.fixture
def target(servers):
    """One whose role may switch triggers and rules off: before PostgreSQL 15 that can be granted to nobody, so that it is a superuser there."""
    version = os.environ.get("REBECO_PG_TARGET") or rig.installed_versions()[-1]
    return servers("target", "rds" if int(version) >= 15 else "postgres", version)


def check(rebeco, source, target, step, **how):
    source.psql("SET search_path = p; " + step)
    rebeco.wait_in_sync(30)
    differences = rig.compare(source, target, **how)
    assert not differences, f"{step}\n{differences}\n{rebeco.log_tail(12)}"


def create(source, target, sql):
    """At the source; at the target too where its server cannot read what pg_dump writes of a child's own NOT NULL: from 18 to
    an older one."""
    for end in (source, target) if source.major >= 18 > target.major else (source,):
        end.psql(sql)


def test_kinds_of_tables(source, target, rebeco):
    create(source, target, KINDS)
    source.psql(DATA)
    create(source, target, "CREATE UNLOGGED TABLE p.unlogged (id int PRIMARY KEY, v text)")
    source.psql("INSERT INTO p.unlogged SELECT i, 'x' FROM generate_series(1, 9) i")
    rebeco.start()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
    for step in STEPS:
        check(rebeco, source, target, step)
    source.psql("UPDATE p.unlogged SET v = 'y' WHERE id < 4; DELETE FROM p.unlogged WHERE id = 9")
    rebeco.wait_in_sync()
    unlogged = "SELECT string_agg(u::text, ' ' ORDER BY id), (SELECT relpersistence FROM pg_class WHERE oid = 'p.unlogged'::regclass) FROM p.unlogged u"
    assert source.run(unlogged) == target.run(unlogged, user="postgres")
    assert target.value("SELECT count(*) FROM p.seen", user="postgres") == source.value("SELECT count(*) FROM p.seen")
    assert not rebeco.log_lines("paused"), rebeco.log_tail()


def test_other_partitions_at_the_target(source, target, rebecos):
    """A plain table where the source has partitions, partitions where it has none, and others than it has."""
    source.psql(KINDS)
    source.psql(DATA)
    target.psql("""
        CREATE SCHEMA p; SET search_path = p;
        CREATE TABLE event (id bigint, region text, day date, body text, PRIMARY KEY (day, region, id)) PARTITION BY RANGE (id);
        CREATE TABLE event_low PARTITION OF event FOR VALUES FROM (MINVALUE) TO (200);
        CREATE TABLE event_high PARTITION OF event FOR VALUES FROM (200) TO (MAXVALUE);
        CREATE TABLE spread (v text, id int PRIMARY KEY);
        CREATE TABLE alone (v text, id int PRIMARY KEY) PARTITION BY LIST (id);
        CREATE TABLE alone_1 PARTITION OF alone FOR VALUES IN (1, 2, 3, 200);
        CREATE TABLE alone_rest PARTITION OF alone DEFAULT;
        CREATE TABLE parted (id int PRIMARY KEY DEFERRABLE, v text)""")
    tables = ["event", "spread", "alone", "parted"]
    rebeco = rebecos(source, target, rig.config(schema="expect", tables={"include": [f"p.{t}" for t in tables]}))
    rebeco.start()
    rebeco.wait_in_sync(60)

    def same():
        for t in tables:
            sql = f"SELECT count(*), md5(string_agg(r, ' ' ORDER BY r COLLATE \"C\")) FROM (SELECT to_jsonb(x)::text FROM p.{t} x) y (r)"
            assert source.run(sql) == target.run(sql), t
    same()
    for step in [*STEPS[:5], "UPDATE alone SET id = 200 WHERE id = 50; DELETE FROM alone WHERE id < 3; UPDATE parted SET id = -id",
                 "TRUNCATE alone; INSERT INTO alone VALUES (1, 'one'), (9, 'nine')", "TRUNCATE event_eu; TRUNCATE spread",
                 "TRUNCATE event, parted; INSERT INTO event VALUES ('eu', '2020-01-01', 5, 'new')"]:
        source.psql("SET search_path = p; " + step)
        rebeco.wait_in_sync(30)
        same()
    assert not rebeco.log_lines("paused"), rebeco.log_tail()


def test_partitions_come_and_go(source, target, rebeco):
    """Attached with rows, detached, dropped, while rows are written; the target follows when its owner does."""
    source.psql("CREATE SCHEMA p; CREATE TABLE p.t (k int, id int, v text, PRIMARY KEY (k, id)) PARTITION BY LIST (k); "
                "CREATE TABLE p.t1 PARTITION OF p.t FOR VALUES IN (1); CREATE TABLE p.t2 PARTITION OF p.t FOR VALUES IN (2); "
                "CREATE TABLE p.t_rest PARTITION OF p.t DEFAULT; CREATE TABLE p.other (id int PRIMARY KEY); "
                "INSERT INTO p.t SELECT i % 3, i, 'v' FROM generate_series(1, 300) i")
    rebeco.start()
    rebeco.wait_in_sync()

    def same(timeout=30):
        sql = "SELECT count(*), md5(string_agg(r, ' ' ORDER BY r COLLATE \"C\")) FROM (SELECT to_jsonb(x)::text FROM p.t x) y (r)"

        def equal():
            assert source.run(sql) == target.run(sql)
            return True
        rebeco.wait("the table is the same", equal, timeout)
    with rig.Crew(source, lambda c, rng, n: c.run("INSERT INTO p.other VALUES (%s) ON CONFLICT DO NOTHING", rng.randint(0, 10**9)), 1, pause_s=0.02):
        # The target has a default partition that takes what the source now keeps elsewhere.
        source.psql("CREATE TABLE p.t7 (v text, id int, k int, PRIMARY KEY (k, id)); INSERT INTO p.t7 SELECT 'a', i, 7 FROM generate_series(1, 50) i; "
                    "ALTER TABLE p.t ATTACH PARTITION p.t7 FOR VALUES IN (7)")
        same()
        source.psql("UPDATE p.t7 SET v = 'b' WHERE id < 9; INSERT INTO p.t VALUES (7, 900, 'c'); DELETE FROM p.t WHERE k = 7 AND id = 20")
        same()
        source.psql("TRUNCATE p.t7; INSERT INTO p.t VALUES (7, 1, 'again')")
        same()
        source.psql("ALTER TABLE p.t DETACH PARTITION p.t2; UPDATE p.t2 SET v = 'away'; INSERT INTO p.t2 VALUES (2, 1000, 'away')")
        same()
        source.psql("ALTER TABLE p.t ATTACH PARTITION p.t2 FOR VALUES IN (2)")
        same()
        source.psql("DROP TABLE p.t1; INSERT INTO p.t VALUES (1, 5, 'in the default now')")
        same()
        source.psql("UPDATE p.t SET v = 'end', k = k + 5")
        same()
    rebeco.wait_in_sync()
    same()


def wait_same(rebeco, source, target, left):
    """p.t has so many rows at the source, and the target comes to have the same ones."""
    sql = "SELECT count(*), md5(string_agg(r, ' ' ORDER BY r COLLATE \"C\")) FROM (SELECT to_jsonb(x)::text FROM p.t x) y (r)"
    assert source.value("SELECT count(*) FROM p.t") == left
    rebeco.wait("the table is the same", lambda: source.run(sql) == target.run(sql), 40)


@pytest.mark.parametrize("below", ["", "PARTITION BY RANGE (id); CREATE TABLE p.t2a PARTITION OF p.t2 FOR VALUES FROM (0) TO (100); CREATE TABLE p.t2b PARTITION OF p.t2 DEFAULT"])
@pytest.mark.parametrize("records", ["key", "image"])
def test_rows_of_a_partition_go_right_after_it_has_left(source, target, rebeco, records, below):
    """Its row triggers go with it, and Rebeco has not seen that yet: what is removed then, or gets another key, was at the
    target with the whole table, and nothing else would say that it is not there any more. It may have partitions itself."""
    key = "PRIMARY KEY (k, id)" if records == "key" else "CHECK (id > 0)"
    source.psql(f"CREATE SCHEMA p; CREATE TABLE p.t (k int, id int, v text, {key}) PARTITION BY LIST (k); "
                "CREATE TABLE p.t1 PARTITION OF p.t FOR VALUES IN (1); CREATE TABLE p.t2 PARTITION OF p.t FOR VALUES IN (2) " + below +
                "; CREATE TABLE p.rest PARTITION OF p.t DEFAULT; "
                "INSERT INTO p.t SELECT 1 + i % 2, i, 'v' FROM generate_series(1, 300) i")
    rebeco.start()
    rebeco.wait_in_sync()

    same = functools.partial(wait_same, rebeco, source, target)
    source.psql("ALTER TABLE p.t DETACH PARTITION p.t2; DELETE FROM p.t2 WHERE id < 50; UPDATE p.t2 SET id = id + 1000 WHERE id < 70; "
                "BEGIN ISOLATION LEVEL REPEATABLE READ; DELETE FROM p.t2 WHERE id BETWEEN 70 AND 90; COMMIT")
    same(150)
    source.psql("ALTER TABLE p.t ATTACH PARTITION p.t2 FOR VALUES IN (2); UPDATE p.t2 SET v = 'back'; DELETE FROM p.t1 WHERE id < 9")
    same(source.value("SELECT count(*) FROM p.t"))
    source.psql("BEGIN; ALTER TABLE p.t DETACH PARTITION p.t2; DELETE FROM p.t2 WHERE id < 130; ALTER TABLE p.t ATTACH PARTITION p.t2 FOR VALUES IN (2); "
                "COMMIT; ALTER TABLE p.t DETACH PARTITION p.t2; DELETE FROM p.t2")
    same(source.value("SELECT count(*) FROM p.t"))
    rebeco.wait_in_sync()


def until_cancelled(c, sql):
    with contextlib.suppress(psycopg2.errors.QueryCanceled):
        c.run(sql)


@pytest.mark.parametrize("records", ["key", "image"])
def test_a_partition_is_detached_concurrently(source, target, rebeco, records):
    """In two transactions (PostgreSQL 14): between them it is still in the catalog, and no query that begins then finds its rows. That may take
    long, or be broken off."""
    if source.major < 14:
        pytest.skip("from PostgreSQL 14 on")
    key = "PRIMARY KEY (k, id)" if records == "key" else "CHECK (id > 0)"
    source.psql(f"CREATE SCHEMA p; CREATE TABLE p.t (k int, id int, v text, {key}) PARTITION BY LIST (k); CREATE TABLE p.t1 PARTITION OF p.t FOR VALUES IN (1);"
                "CREATE TABLE p.t2 PARTITION OF p.t FOR VALUES IN (2); CREATE TABLE p.t3 PARTITION OF p.t FOR VALUES IN (3) PARTITION BY RANGE (id);"
                "CREATE TABLE p.t3a PARTITION OF p.t3 FOR VALUES FROM (0) TO (10000); CREATE TABLE p.other (id int PRIMARY KEY); INSERT INTO p.t SELECT 1 + i % 3, i, 'v' FROM generate_series(1, 300) i")
    rebeco.start()
    rebeco.wait_in_sync()

    same = functools.partial(wait_same, rebeco, source, target)
    source.run("ALTER TABLE p.t DETACH PARTITION p.t2 CONCURRENTLY")
    source.psql("DELETE FROM p.t2 WHERE id < 50; UPDATE p.t2 SET id = id + 1000 WHERE id < 70; INSERT INTO p.t2 VALUES (2, 5000, 'n')")
    same(200)
    with source.connect() as reader, source.connect() as owner:
        reader.run("BEGIN; SELECT count(*) FROM p.t")
        detach = threading.Thread(target=until_cancelled, args=(owner, "ALTER TABLE p.t DETACH PARTITION p.t3 CONCURRENTLY"))
        detach.start()
        rig.eventually("it is half gone", lambda: source.value("SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == 1)
        source.psql("UPDATE p.t1 SET v = 'w'; DELETE FROM p.t3 WHERE id < 30; INSERT INTO p.other VALUES (1)")
        rebeco.wait_in_sync()
        assert target.value("SELECT count(*) FROM p.t1 WHERE v = 'w'") == 100 and target.value("SELECT count(*) FROM p.other") == 1
        source.run("SELECT pg_cancel_backend(%s)", owner.raw.get_backend_pid())
        detach.join()
        source.psql("UPDATE p.t3 SET v = 'x'; INSERT INTO p.other VALUES (2)")
        rebeco.wait_in_sync()
        reader.run("COMMIT")
    source.run("ALTER TABLE p.t DETACH PARTITION p.t3 FINALIZE")
    source.psql("DELETE FROM p.t3 WHERE id < 100")
    same(100)
    source.psql("ALTER TABLE p.t ATTACH PARTITION p.t3 FOR VALUES IN (3); UPDATE p.t SET v = 'y'")
    same(source.value("SELECT count(*) FROM p.t"))
    rebeco.wait_in_sync()
    rig.check_equal(source, target, ignore=("p.t2",))


@pytest.mark.parametrize("what", ["DETACH PARTITION p.t2", "ATTACH PARTITION p.t3 FOR VALUES IN (3)"])
def test_nobody_waits_for_the_keys_of_a_partition(source, target, rebecos, what):
    """All of them are read into the log when it comes or leaves, which takes long: the application goes on with it meanwhile."""
    made = "CREATE SCHEMA p; CREATE TABLE p.t (k int, id int, v text, PRIMARY KEY (k, id)) PARTITION BY LIST (k);" \
           "CREATE TABLE p.t2 PARTITION OF p.t FOR VALUES IN (2); CREATE TABLE p.t3 (LIKE p.t INCLUDING ALL);"
    source.psql(made + "INSERT INTO p.t SELECT 2, i, 'v' FROM generate_series(1, 9) i; INSERT INTO p.t3 SELECT 3, i, 'v' FROM generate_series(1, 9) i")
    target.psql(made)
    rebeco = rebecos(source, target, config=rig.config(schema="expect", lock_timeout="60s", tables={"include": ["p.t"]}))
    rebeco.start()
    rebeco.wait_in_sync()
    log = source.value("SELECT format('rebeco.log_%s_%s', id, segment) FROM rebeco.capture WHERE table_name = 't'")
    source.psql("CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END$$;"
                f"CREATE TRIGGER slow BEFORE INSERT ON {log} FOR EACH ROW EXECUTE FUNCTION public.slow()", user="postgres")
    partition = what.split()[2]
    with source.connect() as gate, source.connect() as app:
        gate.run("SELECT pg_advisory_lock(1)")
        app.run("SET statement_timeout = '20s'")
        target.run(f"ALTER TABLE p.t {what}")
        app.run(f"ALTER TABLE p.t {what}")
        rebeco.wait("keys are read", lambda: source.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"))
        app.run(f"BEGIN; LOCK TABLE {partition} IN ROW EXCLUSIVE MODE; SELECT count(*) FROM {partition}; COMMIT")
        gate.run("SELECT pg_advisory_unlock(1)")
    source.psql(f"INSERT INTO {partition} VALUES ({partition[-1]}, 10, 'new'); DELETE FROM {partition} WHERE id = 1")
    sql = "SELECT to_jsonb(x)::text FROM p.t x ORDER BY k, id"
    rebeco.wait("the table is the same", lambda: source.run(sql) == target.run(sql), 40)
    rebeco.wait_in_sync()
    assert len(rebeco.log_lines("table copied")) == 1 and source.value("SELECT count(*) FROM rebeco.capture_left") == 0


@pytest.mark.parametrize("below", ["", "PARTITION BY RANGE (id); CREATE TABLE p.t1a PARTITION OF p.t1 DEFAULT"])
def test_rows_of_a_partition_go_by_the_table_it_has_gone_over_to(source, target, rebecos, below):
    """At the target both tables have no partitions: what was in the one must go there, though only the other one's triggers knew."""
    made = "CREATE SCHEMA p; CREATE TABLE p.t (k int, id int, v text, PRIMARY KEY (k, id)){0}; CREATE TABLE p.archive (k int, id int, v text, PRIMARY KEY (k, id)){0};"
    source.psql(made.format(" PARTITION BY LIST (k)") + "CREATE TABLE p.t0 PARTITION OF p.t FOR VALUES IN (0); CREATE TABLE p.archive0 PARTITION OF p.archive FOR VALUES IN (0);"
                f"CREATE TABLE p.t1 PARTITION OF p.t FOR VALUES IN (1) {below}; INSERT INTO p.t SELECT i % 2, i, 'v' FROM generate_series(1, 200) i;"
                "INSERT INTO p.archive SELECT 0, i, 'v' FROM generate_series(1, 1000) i")
    target.psql(made.format(""))
    rebeco = rebecos(source, target, config=rig.config(schema="expect", tables={"include": ["p.t", "p.archive"]}))
    rebeco.start()
    rebeco.wait_in_sync()
    source.psql("ALTER TABLE p.t DETACH PARTITION p.t1; ALTER TABLE p.archive ATTACH PARTITION p.t1 FOR VALUES IN (1);"
                "DELETE FROM p.archive WHERE k = 1 AND id < 30; UPDATE p.archive SET id = id + 1000 WHERE k = 1 AND id < 50")
    for table in "t", "archive":
        sql = f"SELECT count(*), md5(string_agg(r, ' ' ORDER BY r COLLATE \"C\")) FROM (SELECT to_jsonb(x)::text FROM p.{table} x) y (r)"
        rebeco.wait(f"{table} is the same", lambda: source.run(sql) == target.run(sql), 40)
    rebeco.wait_in_sync()
    assert len(rebeco.log_lines("table copied")) == 2, "nothing was copied again"


TRUNCATES = [
    "TRUNCATE alone", "TRUNCATE alone; INSERT INTO alone VALUES (1, 'a')", "INSERT INTO alone VALUES (2, 'b')",
    "BEGIN; INSERT INTO alone VALUES (3, 'lost'); TRUNCATE alone; INSERT INTO alone VALUES (1, 'b'), (4, 'kept'); COMMIT",
    "BEGIN; TRUNCATE alone; INSERT INTO alone VALUES (9, 'never'); ROLLBACK",
    "BEGIN; SAVEPOINT s; TRUNCATE alone; ROLLBACK TO s; UPDATE alone SET v = 'still'; COMMIT",
    "BEGIN; INSERT INTO master VALUES (500, 'x'); TRUNCATE master CASCADE; INSERT INTO master VALUES (1, 'new'); "
    "INSERT INTO detail (master) VALUES (1); COMMIT",
    "TRUNCATE detail RESTART IDENTITY; INSERT INTO detail (master) VALUES (1), (1)",
    "TRUNCATE spread, parted, only_key RESTART IDENTITY; INSERT INTO parted VALUES (7, 'x')",
    "TRUNCATE event_eu_old", "BEGIN; INSERT INTO event_us VALUES ('us', '2024-01-01', 9999, 'x'); TRUNCATE event_us; COMMIT",
    "BEGIN; TRUNCATE event_eu_new; INSERT INTO event VALUES ('eu', '2024-06-01', 4, 'after'), ('us', '2024-01-01', 5, 'after'); COMMIT",
    "TRUNCATE event; INSERT INTO event VALUES ('uk', '2020-01-01', 5, 'after')",
    "BEGIN; INSERT INTO event VALUES ('uk', '2020-01-02', 6, 'lost'); TRUNCATE event; TRUNCATE event_us; INSERT INTO event_us VALUES ('us', '2020-01-01', 5, 'kept'); COMMIT",
    "TRUNCATE ONLY city", "INSERT INTO city VALUES ('x', 1); TRUNCATE ONLY capital", "INSERT INTO capital VALUES ('y', 1, 's'); TRUNCATE city",
    "INSERT INTO old_capital VALUES ('z', 1, 's'); INSERT INTO city VALUES ('z', 1); TRUNCATE ONLY city, capital; INSERT INTO city VALUES ('z', 2)",
    "TRUNCATE ruled", "TRUNCATE computed; INSERT INTO computed (id, a) VALUES (3, 3)",
]


@pytest.mark.parametrize("how", ["one by one", "in one batch"])
def test_truncate(source, target, rebeco, how):
    create(source, target, KINDS)
    source.psql(DATA)
    create(source, target, "SET search_path = p; CREATE TABLE master (id int PRIMARY KEY, v text); "
           "CREATE TABLE detail (id serial PRIMARY KEY, master int NOT NULL REFERENCES master ON DELETE CASCADE)")
    source.psql("SET search_path = p; INSERT INTO master SELECT i, 'v' FROM generate_series(1, 50) i; INSERT INTO detail (master) SELECT i FROM generate_series(1, 50) i")
    rebeco.start()
    rebeco.wait_in_sync(60)
    for step in TRUNCATES if how == "one by one" else ["; ".join(TRUNCATES)]:
        check(rebeco, source, target, step, sequences=False)
    # Where it is truncated whenever it is read, it may stand still for a moment.
    assert not [line for line in rebeco.log_lines("paused") if "again and again" not in line], rebeco.log_tail()


def test_a_parent_is_copied_again_and_its_children_stay(source, target, rebeco):
    """Classic inheritance: each table is one of its own, for `resync` too."""
    create(source, target, KINDS)
    source.psql(DATA)
    rebeco.start()
    rebeco.wait_in_sync(60)
    target.psql("DELETE FROM ONLY p.city WHERE people < 20; UPDATE ONLY p.city SET people = 0 WHERE people > 40")
    rebeco.ok("resync", "p.city")
    rig.wait_converged(source, target, 30)
    rebeco.wait_in_sync()
    target.psql("DELETE FROM p.event WHERE id < 20")
    rebeco.ok("resync", "p.event", "p.capital")
    rig.wait_converged(source, target, 30)


LONG = "x" * 62
NAMES = ['Rebeco', 'rebeco2', 'rebeco_', '"', 'a.b', 'new\nline\ttab', "it's", '\\', '$1', '%I %s %%', '); DROP TABLE p.t; --', '名前', 'ünï', LONG + 'a', LONG + 'b',
         'é' * 31, ' ', 'NULL', 'null', 'true', '{a,b}', '*', '?', 'k1', 'xid', 'op', 'r', 'u', 't', 'c1', 'n', 'gone', 'done', 'changed', 'excluded', '${x}', '#', '/*', '$$']


def ident(name):
    return '"' + name.replace('"', '""') + '"'


def test_hostile_names_everywhere(source, target, rebeco):
    """Schemas, tables, columns, types, constraints, sequences; each one as every kind."""
    sql = []
    for i, name in enumerate(NAMES):
        n, other, third = ident(name), ident(NAMES[i - 1]), ident(NAMES[i - 2])
        sql.append(f"CREATE SCHEMA {n}; CREATE TYPE {n}.{other} AS ENUM ('a', {'$q$' + name + '$q$'}); "
                   f"CREATE TABLE {n}.{n} ({other} int GENERATED ALWAYS AS IDENTITY, {third} {n}.{other}, {n} text, CONSTRAINT {third} PRIMARY KEY ({n}, {other})); "
                   f"INSERT INTO {n}.{n} ({third}, {n}) VALUES ('a', 'x'), ($q${name}$q$, $q${name}$q$)")
    # All of them as columns of one table, the first 16 as its key.
    columns = ", ".join(f"{ident(n)} {'int NOT NULL DEFAULT 1' if i < 16 else 'text'}" for i, n in enumerate(NAMES))
    sql.append(f"CREATE TABLE wide ({columns}, CONSTRAINT \"); --\" UNIQUE ({', '.join(map(ident, NAMES[:16]))}) DEFERRABLE); "
               f"INSERT INTO wide ({ident(NAMES[0])}) VALUES (1), (2)")
    source.psql(";\n".join(sql))
    rebeco.start()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
    sql = []
    for i, name in enumerate(NAMES):
        n, third = ident(name), ident(NAMES[i - 2])
        sql.append(f"INSERT INTO {n}.{n} ({n}) VALUES ('new'); UPDATE {n}.{n} SET {n} = {n} || '!', {third} = $q${name}$q$ WHERE {n} = 'x'")
        if i % 2:
            sql.append(f"TRUNCATE {n}.{n}; INSERT INTO {n}.{n} ({n}) VALUES ('after')")
    sql.append(f"UPDATE wide SET {ident(NAMES[0])} = {ident(NAMES[0])} + 1, {ident(NAMES[-1])} = 'x'")
    source.psql(";\n".join(sql))
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
    assert not rebeco.log_lines("paused") and not rebeco.log_lines("level=error"), rebeco.log_tail()
    status = rebeco.ok("status", "--json")
    assert "rebeco2" in status or rebeco.ok("status")


def test_a_crash_empties_unlogged_tables(source, target, rebeco):
    """No trigger fires when the server empties them, and rows may be there again before anybody looks."""
    source.psql("CREATE UNLOGGED TABLE u (id int PRIMARY KEY, v text); CREATE TABLE l (id int PRIMARY KEY); "
                "CREATE UNLOGGED TABLE quiet (id int PRIMARY KEY); INSERT INTO quiet VALUES (1); INSERT INTO l VALUES (1); "
                "INSERT INTO u SELECT i, 'x' FROM generate_series(1, 100) i; "
                "CREATE TABLE tree (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE UNLOGGED TABLE leaf PARTITION OF tree DEFAULT; "
                "INSERT INTO tree VALUES (1), (2)")
    rebeco.start()
    rebeco.wait_in_sync()
    assert target.value("SELECT count(*) FROM u") == 100
    source.restart()  # no crash: nothing is lost, nothing is copied again
    source.run("UPDATE u SET v = 'y' WHERE id = 5")
    rebeco.wait("the change is there", lambda: target.value("SELECT v FROM u WHERE id = 5") == "y", 40)
    assert not rebeco.log_lines("crashed")
    source.run("INSERT INTO l VALUES (2)")
    source.restart("immediate")
    source.run("INSERT INTO u VALUES (7, 'after')")
    assert source.value("SELECT count(*) FROM u") == 1
    for table, rows in (("u", [(7, "after")]), ("quiet", []), ("tree", [])):
        rebeco.wait(f"{table} is the same again", lambda: target.run(f"SELECT * FROM {table}") == rows, 60)
    rebeco.wait_in_sync()
    source.run("INSERT INTO u VALUES (8, 'more'); INSERT INTO tree VALUES (5)")
    rebeco.wait_in_sync()
    for table in ("u", "l", "quiet", "tree"):
        assert source.run(f"SELECT * FROM {table} ORDER BY 1") == target.run(f"SELECT * FROM {table} ORDER BY 1")
    assert not [line for line in rebeco.log_lines("table copied") if "table=public.l " in line][1:], "a logged table was copied again"


def test_statement_triggers_where_they_would_miss_changes(source, target, rebecos):
    """`capture: statement`: a partitioned table and an inheritance tree get row triggers, which the log says."""
    create(source, target, """CREATE TABLE plain (id int PRIMARY KEY, v text);
                   CREATE TABLE split (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
                   CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM (0) TO (100);
                   CREATE TABLE split_2 PARTITION OF split FOR VALUES FROM (100) TO (200);
                   CREATE TABLE parent (id int PRIMARY KEY, v text);
                   CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent)""")
    source.psql("""INSERT INTO plain VALUES (1, 'a'); INSERT INTO split VALUES (1, 'a'), (150, 'b'); INSERT INTO child VALUES (1, 'a')""")
    rebeco = rebecos(source, target, config=rig.config(capture="statement"))
    rebeco.start()
    rebeco.wait_in_sync(60)
    assert dict(source.run("SELECT table_name, form FROM rebeco.capture")) == {
        "plain": "statement", "split": "row", "parent": "row", "child": "row"}
    assert len(rebeco.log_lines("captured by row triggers")) == 3
    source.psql("UPDATE split SET id = id + 10; INSERT INTO split_2 VALUES (199, 'c'); UPDATE parent SET v = 'x'; DELETE FROM plain")
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)


def test_views_are_no_tables(source, target, rebeco):
    """What is written through a view, by the server itself, by INSTEAD OF triggers or by rules, comes with the tables;
    the views come with the schema, and nothing is written into them."""
    source.psql("""CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, w text);
        CREATE VIEW plain AS SELECT id, v FROM t WHERE id < 1000 WITH CHECK OPTION;
        CREATE VIEW joined AS SELECT t.id, t.v, u.w FROM t JOIN u USING (id);
        CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                DELETE FROM t WHERE id = old.id; DELETE FROM u WHERE id = old.id; RETURN old;
            ELSIF TG_OP = 'UPDATE' THEN
                UPDATE t SET id = new.id, v = new.v WHERE id = old.id; UPDATE u SET id = new.id, w = new.w WHERE id = old.id; RETURN new;
            END IF;
            INSERT INTO t VALUES (new.id, new.v); INSERT INTO u VALUES (new.id, new.w); RETURN new;
        END $$;
        CREATE TRIGGER put INSTEAD OF INSERT OR UPDATE OR DELETE ON joined FOR EACH ROW EXECUTE FUNCTION put();
        CREATE VIEW ruled AS SELECT id, upper(w) AS w FROM u;
        CREATE RULE ins AS ON INSERT TO ruled DO INSTEAD INSERT INTO u VALUES (new.id, lower(new.w));
        CREATE RULE del AS ON DELETE TO ruled DO INSTEAD (DELETE FROM u WHERE id = old.id; DELETE FROM t WHERE id = old.id);
        INSERT INTO joined SELECT i, 'v' || i, 'w' || i FROM generate_series(1, 50) i""")
    rebeco.start()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
    source.psql("UPDATE plain SET v = v || '!' WHERE id < 9; INSERT INTO plain VALUES (100, 'new'); UPDATE joined SET id = id + 200, w = 'moved' WHERE id > 40; "
                "DELETE FROM joined WHERE id = 10; INSERT INTO ruled VALUES (300, 'LOW'); DELETE FROM ruled WHERE id = 11; INSERT INTO joined VALUES (301, 'a', 'b')")
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
    for view in ("plain", "joined", "ruled"):
        assert source.run(f"SELECT * FROM {view} ORDER BY 1") == target.run(f"SELECT * FROM {view} ORDER BY 1")
    assert not rebeco.log_lines("paused") and {t["name"] for t in rebeco.status()["tables"]} == {"t", "u"}


UNLOGGED = """
CREATE UNLOGGED TABLE cache (id int PRIMARY KEY, v text);
CREATE TABLE kept (id int PRIMARY KEY, v text);
CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE UNLOGGED TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (50);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (50) TO (1000);
INSERT INTO cache SELECT i, 'v' || i FROM generate_series(1, 100) i;
INSERT INTO kept SELECT i, 'v' || i FROM generate_series(1, 100) i;
INSERT INTO parted SELECT i, 'v' || i FROM generate_series(1, 100) i;
"""


@pytest.mark.parametrize("running", [True, False])
def test_a_crash_of_the_target_empties_what_is_unlogged(source, target, rebeco, running):
    def all_there():
        return all(server.value(f"SELECT count(*) FROM {name}") == n for server in (source, target)
                   for name, n in (("cache", 101), ("kept", 101), ("parted", 100)))

    source.psql(UNLOGGED)
    rebeco.start()
    rebeco.wait_in_sync()
    if not running:
        rebeco.terminate()
    target.kill9()
    target.start()
    if not running:
        rebeco.start()
    source.psql("INSERT INTO cache VALUES (999, 'after'); INSERT INTO kept VALUES (999, 'after')")
    rebeco.wait("all rows are there again", all_there)
    rebeco.wait_in_sync()
    copied = [line for line in rebeco.log_lines("has emptied")]
    assert len(copied) == 2 and not [line for line in copied if "kept" in line], copied
    target.restart()
    source.run("UPDATE cache SET v = 'once more' WHERE id = 1")
    rebeco.wait("it goes on", lambda: target.value("SELECT v FROM cache WHERE id = 1") == "once more")
    assert len(rebeco.log_lines("has emptied")) == 2, "a server that was stopped in peace has lost nothing"


def test_a_captured_table_becomes_a_partition(source, target, rebecos):
    """What was done to it before, and is not sent yet, arrives by the table that it belongs to now; so it is for one that goes over
    from one table to another. The statement itself does not fail, whichever triggers either has."""
    source.psql("""CREATE SCHEMA p; CREATE TABLE p.t (k int, id int, v text, PRIMARY KEY (k, id)) PARTITION BY LIST (k);
        CREATE TABLE p.t1 PARTITION OF p.t FOR VALUES IN (1); CREATE TABLE p.archive (k int, id int, v text, PRIMARY KEY (k, id)) PARTITION BY LIST (k);
        CREATE TABLE p.archive0 PARTITION OF p.archive FOR VALUES IN (0); CREATE TABLE p.a (k int, id int, v text, PRIMARY KEY (k, id));
        INSERT INTO p.t SELECT 1, i, 'v' FROM generate_series(1, 100) i; INSERT INTO p.a SELECT 2, i, 'v' FROM generate_series(1, 100) i;
        INSERT INTO p.archive SELECT 0, i, 'v' FROM generate_series(1, 1000) i""")
    rebeco = rebecos(source, target, config=rig.config(capture="row"))
    rebeco.start()
    rebeco.wait_in_sync()
    attach = "ALTER TABLE p.t ATTACH PARTITION p.a FOR VALUES IN (2)"
    rebeco.ok("pause")
    source.psql(f"UPDATE p.a SET v = 'late' WHERE id < 5; DELETE FROM p.a WHERE id = 7; {attach}; UPDATE p.a SET v = 'later' WHERE id = 50")
    target.psql(attach)
    rebeco.ok("resume")
    rig.wait_converged(source, target, 60)
    source.psql("INSERT INTO p.t VALUES (2, 1000, 'new'); DELETE FROM p.a WHERE id = 8")
    rig.wait_converged(source, target)
    source.run("TRUNCATE p.a")
    rig.wait_converged(source, target)
    move = "BEGIN; ALTER TABLE p.t DETACH PARTITION p.t1; ALTER TABLE p.archive ATTACH PARTITION p.t1 FOR VALUES IN (1); COMMIT;"
    rebeco.ok("pause")
    source.psql(f"UPDATE p.t SET v = 'late' WHERE id < 5; DELETE FROM p.t WHERE id = 7; {move} UPDATE p.t1 SET v = 'later' WHERE id = 50")
    target.psql(move)
    rebeco.ok("resume")
    rig.wait_converged(source, target, 60)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_a_partition_goes_over_while_its_table_must_be_copied_again(source, target, rebecos):
    """The copy does not have it any more, and the log that is made anew took along what was removed from it."""
    source.psql("""CREATE SCHEMA p; CREATE TABLE p.t (k int, id int, v text, PRIMARY KEY (k, id)) PARTITION BY LIST (k);
        CREATE TABLE p.t1 PARTITION OF p.t FOR VALUES IN (1); CREATE TABLE p.t2 PARTITION OF p.t FOR VALUES IN (2);
        CREATE TABLE p.archive (k int, id int, v text, PRIMARY KEY (k, id)) PARTITION BY LIST (k); CREATE TABLE p.archive0 PARTITION OF p.archive FOR VALUES IN (0);
        INSERT INTO p.t SELECT 1 + i % 2, i, 'v' FROM generate_series(1, 100) i; INSERT INTO p.archive SELECT 0, i, 'v' FROM generate_series(1, 100) i""")
    rebeco = rebecos(source, target)
    rebeco.start()
    rebeco.wait_in_sync()
    move = "BEGIN; ALTER TABLE p.t DETACH PARTITION p.t1; ALTER TABLE p.archive ATTACH PARTITION p.t1 FOR VALUES IN (1); COMMIT;"
    rebeco.ok("pause")
    number = source.value("SELECT id FROM rebeco.capture WHERE relid = 'p.t'::regclass")
    source.psql(f"DELETE FROM p.t WHERE id IN (7, 8); INSERT INTO rebeco.log_{number}_0 (xid, op) VALUES (txid_current(), 'B'); {move}")
    target.psql(move)
    rebeco.ok("resume")
    rig.wait_converged(source, target, 60)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_partitions_that_are_foreign_tables(source, target, servers, rebecos):
    """Their rows are at a third server: those were read as the source's, written there a second time by way of the target's
    own such partition, and removed there when the table was emptied for a copy."""
    third = servers("third", "plain")
    third.run("CREATE TABLE archived (id int, v int); INSERT INTO archived VALUES (5000, 1), (5001, 1)")
    for server in (source, target):
        with server.admin() as c:
            c.run(f"CREATE EXTENSION postgres_fdw; CREATE SERVER archive FOREIGN DATA WRAPPER postgres_fdw OPTIONS "
                  f"(host '127.0.0.1', port '{third.port}', dbname 'app'); GRANT USAGE ON FOREIGN SERVER archive TO {server.owner};"
                  f"CREATE USER MAPPING FOR {server.owner} SERVER archive OPTIONS (user 'plain', password_required 'false')")
    source.psql("""
        CREATE TABLE t (id int, v int) PARTITION BY RANGE (id);
        CREATE TABLE new PARTITION OF t FOR VALUES FROM (1) TO (1000);
        CREATE FOREIGN TABLE old PARTITION OF t FOR VALUES FROM (1000) TO (10000) SERVER archive OPTIONS (table_name 'archived');
        CREATE TABLE ok (id int PRIMARY KEY);
        INSERT INTO t SELECT i, i FROM generate_series(1, 50) i; INSERT INTO ok VALUES (1)""")
    r = rebecos(source, target, config=rig.config())
    r.start()
    r.wait_phase("follow", 60)
    rows = "SELECT id, v FROM archived ORDER BY 1, 2"
    standing = lambda end: [t for t in (r.status() or {}).get("tables", []) if f"is a foreign table at the {end}" in (t.get("what") or "")]
    r.wait("it is said", lambda: standing("source"))
    assert r.command("resync", "t", timeout=20).code in (0, 1)
    source.run("INSERT INTO t VALUES (51, 51); INSERT INTO ok VALUES (2)")
    rig.eventually("the others go on", lambda: target.value("SELECT count(*) FROM ok") == 2)
    assert third.run(rows) == [(5000, 1), (5001, 1)]
    source.run("ALTER TABLE t DETACH PARTITION old")
    r.wait("it is said of the other end", lambda: standing("target"), 60)
    target.run("ALTER TABLE t DETACH PARTITION old")
    r.wait_in_sync(60)
    rig.eventually("it is copied", lambda: rig.compare(source, target) == [], 60)
    target.run("ALTER TABLE t ATTACH PARTITION old FOR VALUES FROM (1000) TO (10000)")
    r.wait("it is said again", lambda: standing("target"), 60)
    source.run("UPDATE t SET v = v + 1")
    target.run("ALTER TABLE t DETACH PARTITION old")
    rig.eventually("it goes on", lambda: rig.compare(source, target) == [], 60)
    assert third.run(rows) == [(5000, 1), (5001, 1)]
    r.terminate()
