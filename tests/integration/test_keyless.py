"""Tables whose rows cannot be told apart: by images, and as a whole. Duplicates are counted, at both ends."""

import random
import time
from collections import Counter

import pytest
import rig


def rows(server, table):
    """The rows of a table as a multiset of texts, read without any help of Rebeco."""
    return Counter(r[0] for r in server.run(f"SELECT t::text FROM {table} t", user="postgres"))


def check(rebeco, source, target, step):
    source.psql(step)
    rebeco.wait_in_sync(30)
    differences = rig.compare(source, target)
    assert not differences, f"{step}\n{differences}\n{rebeco.log_tail(12)}"


def no_pause(rebeco):
    assert not rebeco.log_lines("paused"), rebeco.log_tail()


def copies(rebeco, table):
    return len([line for line in rebeco.log_lines("table copied") if table in line])


STEPS = [
    "INSERT INTO t SELECT 1, 'one' FROM generate_series(1, 5)",
    "DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE a = 1 LIMIT 2)",
    "UPDATE t SET b = 'two' WHERE ctid IN (SELECT ctid FROM t WHERE a = 1 LIMIT 1)",
    "UPDATE t SET b = b",
    "INSERT INTO t VALUES (NULL, NULL), (NULL, NULL), (NULL, ''), (2, NULL), (0, NULL)",
    "DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE a IS NULL AND b IS NULL LIMIT 1)",
    "BEGIN; INSERT INTO t VALUES (9, 'gone'); DELETE FROM t WHERE a = 9; INSERT INTO t VALUES (8, 'x'); UPDATE t SET b = 'y' WHERE a = 8; COMMIT",
    "BEGIN; INSERT INTO t VALUES (7, 'kept'); SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; COMMIT",
    "UPDATE t SET a = a + 1; UPDATE t SET a = a - 1; UPDATE t SET a = 3 - a WHERE a IN (1, 2)",
    "INSERT INTO t SELECT * FROM t; INSERT INTO t SELECT * FROM t",
    "TRUNCATE t",
    "INSERT INTO t SELECT i % 3, 'x' FROM generate_series(1, 10) i; TRUNCATE t; INSERT INTO t VALUES (5, 'after'), (5, 'after')",
    "BEGIN; INSERT INTO t VALUES (6, 'before'); TRUNCATE t; INSERT INTO t VALUES (6, 'between'); DELETE FROM t; INSERT INTO t VALUES (6, 'after'); COMMIT",
    "BEGIN; SAVEPOINT s; TRUNCATE t; INSERT INTO t VALUES (1, 'undone'); ROLLBACK TO s; INSERT INTO t VALUES (6, 'after'); COMMIT",
    "MERGE INTO t USING (VALUES (6, 'm'), (7, 'n')) v (a, b) ON t.a = v.a WHEN MATCHED THEN UPDATE SET b = v.b WHEN NOT MATCHED THEN INSERT VALUES (v.a, v.b)",
    "COPY (SELECT 1) TO STDOUT; DELETE FROM t",
]


@pytest.mark.parametrize("form", ["row", "statement"])
def test_duplicates_are_counted(source, target, rebecos, form):
    source.psql("CREATE TABLE t (a int, b text); INSERT INTO t SELECT i % 4, 'x' FROM generate_series(1, 20) i; CREATE TABLE k (a int PRIMARY KEY)")
    rebeco = rebecos(source, target, rig.config(capture=form)).start()
    rebeco.wait_in_sync()
    assert rebeco.log_lines("table without a key"), rebeco.log_tail()
    for step in STEPS:
        if "MERGE" in step and source.value("SHOW server_version_num") < "150000":
            continue
        check(rebeco, source, target, step + "; INSERT INTO k SELECT count(*) FROM k")
    no_pause(rebeco)
    assert copies(rebeco, "public.t") == 1


TYPES = """
CREATE TYPE pair AS (a int, b text);
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN small AS int CHECK (VALUE < 1000);
CREATE TABLE t (j json, x xml, p point, n numeric, f float8, c char(4), v varchar(5), d small, m mood, cp pair, ar int[], r int4range,
    ts timestamptz, iv interval, bt bit(3), vb varbit, by bytea, mo money, "we""ird, %s" text, g numeric GENERATED ALWAYS AS (1 + n) STORED, rc regclass, tq tsquery, lp jsonb);
"""

VALUES = [
    "NULL",
    """'{"a":1,"a":2}','<a/>','(0,1)',1.0,0,'a','a',1,'sad','(1,x)','{1,NULL}','[1,3)','2024-01-01 00:00:00.000001+00','1 mon','101','1','\\x00ff','1.50','%s',DEFAULT,'pg_class','','{"b":1.0}'""",
    """'{"a":1, "a":2}','<a />','(-0,1)',1.00,'-0','a ','a ',1,'sad','(1,)','{}','[1,2)','2024-01-01 00:00:00+00','30 days','111','10','\\x','1.51','',DEFAULT,'pg_type','a & b','{"b":1.00}'""",
    """'{}','<?xml version="1.0" encoding="utf-8"?><a/>',NULL,'NaN','NaN','A','A',NULL,'ok',NULL,'[2:3]={1,2}','empty','infinity','1 mon 00:00:01','000','','\\x5c','-1','a,b',DEFAULT,NULL,NULL,'null'""",
    """'{}','<?xml version="1.0"?><a/>','(Infinity,NaN)','-0.0','-NaN'::float8 * 1,'','',0,NULL,'(,)',NULL,NULL,'-infinity','1 mon -1 day','001',NULL,NULL,NULL,NULL,DEFAULT,NULL,NULL,NULL""",
]


def test_types_without_equality(source, target, rebeco):
    """What looks equal and is not stays apart; what has no equality at all is found."""
    source.psql(TYPES)
    names = "j, x, p, n, f, c, v, d, m, cp, ar, r, ts, iv, bt, vb, by, mo, \"we\"\"ird, %s\", g, rc, tq, lp"
    lines = [f"INSERT INTO t ({names}) VALUES ({v})" for v in VALUES[1:]] + ["INSERT INTO t (j) VALUES (NULL)"]
    source.psql(";".join(lines))
    rebeco.start()
    rebeco.wait_in_sync()
    check(rebeco, source, target, ";".join(lines + lines[::-1]))
    for i, name in enumerate(n.strip() for n in names.split(", ") if not n.startswith('"we') and n not in ("g", '%s"')):
        # Each row that is not like the first in this column, once.
        check(rebeco, source, target, f"DELETE FROM t WHERE ctid = (SELECT ctid FROM t ORDER BY {name}::text COLLATE \"C\" DESC NULLS LAST, ctid DESC LIMIT 1);"
              + lines[i % len(lines)])
    check(rebeco, source, target, "UPDATE t SET n = CASE WHEN n::text = '1.0' THEN 1.00 ELSE 1.0 END, f = CASE WHEN f::text = '-0' THEN 0 ELSE '-0' END "
          "WHERE f = 0; UPDATE t SET x = '<?xml version=\"1.0\"?><a/>'::xml WHERE x::text LIKE '%utf%'")
    check(rebeco, source, target, "UPDATE t SET j = j; DELETE FROM t WHERE x::text = '<a/>'; UPDATE t SET \"we\"\"ird, %s\" = 'w'")
    check(rebeco, source, target, "DELETE FROM t")
    no_pause(rebeco)


def test_collations_have_no_say(source, target, rebeco):
    source.psql("CREATE EXTENSION citext; CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
                "CREATE TABLE t (a citext, b text COLLATE blind); INSERT INTO t VALUES ('A', 'x'), ('a', 'x'), ('a', 'X')")
    rebeco.start()
    rebeco.wait_in_sync()
    check(rebeco, source, target, "UPDATE t SET a = 'B' WHERE a::text = 'a' AND b::bytea = 'x'; DELETE FROM t WHERE b::bytea = 'X'")
    check(rebeco, source, target, "UPDATE t SET a = 'b' WHERE a::text = 'B'; INSERT INTO t VALUES ('b', 'X'); UPDATE t SET b = upper(b)")
    no_pause(rebeco)


def test_large_values_that_stay(source, target, rebeco):
    """Values out of line are whole in the images, also when they were not touched."""
    source.psql("CREATE TABLE t (a int, b text, c text); ALTER TABLE t ALTER b SET STORAGE EXTERNAL;"
                "INSERT INTO t SELECT i, repeat(md5(i::text), 40000), NULL FROM generate_series(1, 20) i")
    rebeco.start()
    rebeco.wait_in_sync()
    check(rebeco, source, target, "UPDATE t SET a = a + 1 WHERE a % 2 = 0; DELETE FROM t WHERE a = 1; UPDATE t SET c = b WHERE a = 9")
    check(rebeco, source, target, "DELETE FROM t WHERE a > 3; INSERT INTO t SELECT * FROM t")
    no_pause(rebeco)


PARTITIONED = """
CREATE TABLE t (day date, region text, v text) PARTITION BY RANGE (day);
CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE t_2 (gone int, v text, region text, day date) PARTITION BY LIST (region);
ALTER TABLE t_2 DROP COLUMN gone;
ALTER TABLE t ATTACH PARTITION t_2 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE t_2_eu PARTITION OF t_2 FOR VALUES IN ('eu');
CREATE TABLE t_2_else PARTITION OF t_2 DEFAULT;
CREATE TABLE bare (a int, b text) PARTITION BY HASH (a);
INSERT INTO t SELECT '2024-01-01'::date + i % 60, (ARRAY['eu', 'us'])[1 + i % 2], 'v' || i % 7 FROM generate_series(1, 300) i;
"""

PARTITION_STEPS = [
    "INSERT INTO t SELECT * FROM t WHERE v = 'v1'; UPDATE t SET region = 'us' WHERE v = 'v2'",
    "UPDATE t SET day = day + 31 WHERE day < '2024-01-20' AND v = 'v3'; DELETE FROM t_2_eu WHERE v = 'v4'",
    "TRUNCATE t_2_eu",
    "TRUNCATE t_2; INSERT INTO t_2 VALUES ('x', 'eu', '2024-02-02'), ('x', 'eu', '2024-02-02')",
    "BEGIN; INSERT INTO t VALUES ('2024-01-02', 'eu', 'b'); TRUNCATE t; INSERT INTO t VALUES ('2024-01-02', 'eu', 'a'), ('2024-02-02', 'eu', 'a');"
    "TRUNCATE t_1; INSERT INTO t VALUES ('2024-01-02', 'eu', 'c'), ('2024-01-02', 'eu', 'c'); COMMIT",
    "BEGIN; TRUNCATE t_1; INSERT INTO t VALUES ('2024-01-02', 'eu', 'd'); TRUNCATE t; INSERT INTO t VALUES ('2024-01-02', 'eu', 'e'); COMMIT",
]


def test_partitions(source, target, rebeco):
    source.psql(PARTITIONED)
    rebeco.start()
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    for step in PARTITION_STEPS:
        check(rebeco, source, target, step)
    no_pause(rebeco)
    assert copies(rebeco, "public.t") == 1


def test_partitions_come_and_go(source, target, rebeco):
    """One that is made as a partition costs nothing; rows that came or went with one are counted anew."""
    source.psql(PARTITIONED)
    rebeco.start()
    rebeco.wait_in_sync()
    new = "CREATE TABLE t_3 PARTITION OF t FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')"
    target.psql(new)
    check(rebeco, source, target, new + "; INSERT INTO t SELECT '2024-03-01', 'eu', 'n' FROM generate_series(1, 4)")
    rebeco.wait("the partition is captured", lambda: source.value(
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 't_3'::regclass AND tgname LIKE 'rebeco_truncate%'", user="postgres"))
    check(rebeco, source, target, "TRUNCATE t_3; INSERT INTO t SELECT '2024-03-01', 'eu', 'o' FROM generate_series(1, 2)")
    assert copies(rebeco, "public.t") == 1
    target.psql("CREATE TABLE t_4 PARTITION OF t FOR VALUES FROM ('2024-04-01') TO ('2024-05-01')")
    source.psql("CREATE TABLE t_4 (day date, region text, v text); INSERT INTO t_4 VALUES ('2024-04-01', 'eu', 'v'), ('2024-04-01', 'eu', 'v');"
                "ALTER TABLE t ATTACH PARTITION t_4 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01'); DELETE FROM t WHERE ctid IN (SELECT ctid FROM t_4 LIMIT 1) AND day > '2024-03-31'")
    rig.wait_converged(source, target, 60)
    source.psql("ALTER TABLE t DETACH PARTITION t_1")
    rebeco.wait("its rows are gone", lambda: rows(source, "t") == rows(target, "t"), 60)


def test_a_key_comes_and_goes(source, target, rebeco):
    source.psql("CREATE TABLE t (a int, b text); INSERT INTO t SELECT i, 'x' FROM generate_series(1, 50) i;"
                "CREATE TABLE k (a int PRIMARY KEY, b text); INSERT INTO k SELECT i, 'x' FROM generate_series(1, 50) i")
    rebeco.start()
    rebeco.wait_in_sync()
    for server in (target, source):
        server.psql("ALTER TABLE t ADD PRIMARY KEY (a)")
        server.psql("ALTER TABLE k DROP CONSTRAINT k_pkey, ALTER a DROP NOT NULL")
    source.psql("UPDATE t SET b = 'y' WHERE a < 5; INSERT INTO k VALUES (1, 'twice'), (1, 'twice')")

    def kinds():
        return dict(source.run("SELECT table_name, records FROM rebeco.capture", user="postgres"))
    rebeco.wait("both are captured the other way", lambda: kinds() == {"t": "key", "k": "image"}, 60)
    rebeco.wait_in_sync(60)
    check(rebeco, source, target, "UPDATE t SET a = a + 100; DELETE FROM k WHERE ctid = (SELECT ctid FROM k WHERE b = 'twice' LIMIT 1)")
    # Once more while nobody looks.
    rebeco.terminate()
    for server in (target, source):
        server.psql("ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER a DROP NOT NULL")
    source.psql("INSERT INTO t SELECT * FROM t WHERE a < 110; UPDATE t SET b = 'z' WHERE a = 120")
    rebeco.start()
    rebeco.wait("t has none again", lambda: kinds() == {"t": "image", "k": "image"}, 60)
    rebeco.wait_in_sync(60)
    check(rebeco, source, target, "DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE a < 105 LIMIT 3)")


@pytest.mark.parametrize("awake", [True, False])
def test_altered_while_rows_are_logged(source, target, rebeco, awake):
    """No statement of the application fails, and rows of the old layout are not taken for new ones."""
    source.psql("CREATE TABLE t (a int, b text); INSERT INTO t SELECT i % 5, 'x' FROM generate_series(1, 50) i")
    rebeco.start()
    rebeco.wait_in_sync()
    for change in ("ADD c int DEFAULT 7", "RENAME b TO bb", "ALTER a TYPE bigint", "DROP bb", "ADD d text"):
        if not awake:
            rebeco.terminate()
        source.psql("INSERT INTO t SELECT * FROM t WHERE a = 1 LIMIT 2")
        source.psql(f"ALTER TABLE t {change}")
        source.psql("INSERT INTO t SELECT * FROM t WHERE a = 2 LIMIT 2; DELETE FROM t WHERE ctid = (SELECT ctid FROM t WHERE a = 3 LIMIT 1); UPDATE t SET a = 4 WHERE a = 1")
        target.psql(f"ALTER TABLE t {change}", user="postgres")
        if not awake:
            rebeco.start()
        rig.wait_converged(source, target, 60)
        rebeco.wait_in_sync(60)
    check(rebeco, source, target, "INSERT INTO t (a) VALUES (1), (1)")


def test_rows_that_somebody_took_away(source, target, rebeco):
    """The target lacks what is to be removed: the table is stopped and says so, a new copy mends it."""
    source.psql("CREATE TABLE t (a int); INSERT INTO t SELECT 1 FROM generate_series(1, 3); CREATE TABLE k (a int PRIMARY KEY)")
    rebeco.start()
    rebeco.wait_in_sync()
    target.psql("DELETE FROM t", user="postgres")
    source.psql("DELETE FROM t WHERE ctid = (SELECT ctid FROM t LIMIT 1); INSERT INTO k VALUES (1)")
    rebeco.wait("it is paused", lambda: rebeco.log_lines("1 of 1 rows that are to be removed"), 30)
    rebeco.wait("the other goes on", lambda: target.value("SELECT count(*) FROM k") == 1, 30)
    rebeco.ok("resync", "t")
    rig.wait_converged(source, target, 60)
    check(rebeco, source, target, "DELETE FROM t")


def test_prepared_transactions(source, target, rebeco):
    """One from before the capture, one that is committed while the daemon is dead."""
    source.psql("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1), (1)")
    source.psql("BEGIN; INSERT INTO t VALUES (2), (2); PREPARE TRANSACTION 'early'")
    rebeco.start()
    rebeco.wait("it waits for the lock", lambda: rebeco.log_lines("waiting for a lock to install capture"), 30)
    source.run("COMMIT PREPARED 'early'")
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
    source.psql("BEGIN; DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t); INSERT INTO t VALUES (3); PREPARE TRANSACTION 'a'")
    source.psql("INSERT INTO t VALUES (4), (4)")
    rebeco.wait("what is prepared is passed by", lambda: target.value("SELECT count(*) FROM t WHERE a = 4") == 2)
    assert target.value("SELECT count(*) FROM t WHERE a = 3") == 0
    rebeco.kill9()
    source.run("COMMIT PREPARED 'a'")
    rebeco.start()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
    no_pause(rebeco)


# ------------------------------------------------------------------ many writers

BUSY = """
CREATE TABLE plain (a int, b text);
CREATE TABLE parted (a int, b text) PARTITION BY HASH (a);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE small (a int, b text);
CREATE TABLE keyed (a int PRIMARY KEY, n int);
INSERT INTO keyed SELECT i, 0 FROM generate_series(1, 20) i;
"""
TABLES = ("plain", "parted", "small")


def statement(rng):
    t = rng.choice(TABLES)
    a, b = rng.randrange(6), rng.choice(["'x'", "'y'", "NULL", "''"])
    some = f"(tableoid, ctid) IN (SELECT tableoid, ctid FROM {t} WHERE a = {a} LIMIT {rng.randrange(1, 4)})"
    return rng.choices([
        f"INSERT INTO {t} SELECT {a}, {b} FROM generate_series(1, {rng.randrange(1, 6)})",
        f"DELETE FROM {t} WHERE {some}",
        f"UPDATE {t} SET b = {b} WHERE {some}",
        f"UPDATE {t} SET a = {rng.randrange(6)} WHERE {some}",
        f"UPDATE keyed SET n = n + 1 WHERE a = {rng.randrange(1, 21)}",
        f"TRUNCATE {rng.choice(TABLES + ('parted_0', 'parted_1'))}"], [10, 8, 5, 5, 3, 0.2])[0]


def busy(c, rng, number):
    """A transaction of any kind; with luck it commits."""
    c.raw.autocommit = True
    c.run("ROLLBACK")
    c.run("BEGIN")
    for _ in range(rng.randrange(1, 6)):
        if rng.random() < 0.2:
            c.run("SAVEPOINT s")
            c.run(statement(rng))
            c.run("ROLLBACK TO s" if rng.random() < 0.7 else "RELEASE s")
        else:
            c.run(statement(rng))
    end = rng.random()
    if end < 0.1:
        name = f"p{number}_{rng.random()}"
        c.run(f"PREPARE TRANSACTION '{name}'")
        c.run(f"{'COMMIT' if rng.random() < 0.7 else 'ROLLBACK'} PREPARED '{name}'")
    else:
        c.run("ROLLBACK" if end < 0.2 else "COMMIT")
    time.sleep(0.01)


@pytest.mark.limit(240)
def test_many_writers_and_kills(source, target, rebecos):
    """Whatever eight writers do, and however often the daemon dies, the multisets are equal in the end."""
    rng = random.Random(11)
    source.psql(BUSY)
    rebeco = rebecos(source, target, rig.config(tables={"whole": ["public.small"], "whole_every": "100ms"}))
    with rig.Crew(source, busy, 8):
        time.sleep(0.5)
        for _ in range(20 if rig.LONG else 5):
            rebeco.start()
            time.sleep(rng.choice([rng.uniform(0.05, 1), rng.uniform(1, 4)]))
            rebeco.check_alive()
            rebeco.kill9()
        rebeco.start()
        time.sleep(3)
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
    assert not rebeco.log_lines("are not there"), rebeco.log_tail()
    assert not target.value("SELECT count(*) FROM rebeco.sync_table WHERE paused IS NOT NULL", user="postgres")


def test_against_a_model(source, target, rebeco):
    """One writer, and a model of what it did that never asked a database."""
    rng = random.Random(5)
    source.psql("CREATE TABLE t (a int, b text)")
    rebeco.start()
    rebeco.wait_in_sync()
    model = Counter()
    with source.connect() as c:
        for round_ in range(6):
            c.run("BEGIN")
            for _ in range(40):
                a, n = rng.randrange(5), rng.randrange(1, 4)
                there = model[f"({a},x)"]
                if rng.random() < 0.6:
                    c.run(f"INSERT INTO t SELECT {a}, 'x' FROM generate_series(1, {n})")
                    model[f"({a},x)"] += n
                elif rng.random() < 0.5:
                    c.run(f"DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE a = {a} LIMIT {n})")
                    model[f"({a},x)"] -= min(n, there)
                else:
                    to = rng.randrange(5)
                    c.run(f"UPDATE t SET a = {to} WHERE ctid IN (SELECT ctid FROM t WHERE a = {a} LIMIT {n})")
                    model[f"({a},x)"] -= min(n, there)
                    model[f"({to},x)"] += min(n, there)
            c.run("COMMIT")
            rebeco.wait_in_sync()
            assert rows(target, "t") == +model, f"round {round_}"


# ------------------------------------------------------------------ as a whole

def test_read_as_a_whole(source, target, rebecos):
    """No reader at the target ever sees the table empty; a change waits for its turn, and is not forgotten."""
    source.psql("CREATE TABLE small (a int, b text); INSERT INTO small SELECT i % 3, 'x' FROM generate_series(1, 30) i;"
                "CREATE TABLE keyed (a int PRIMARY KEY); CREATE TABLE parted (a int) PARTITION BY HASH (a);"
                "CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    rebeco = rebecos(source, target, rig.config(tables={"whole": ["public.small", "public.parted"], "whole_every": "500ms"})).start()
    rebeco.wait_in_sync()
    seen = set()

    def look(c, rng, number):
        seen.add(c.value("SELECT count(*) FROM small"))
    with rig.Crew(target, look, 1, user="postgres"):
        for i in range(6):
            check(rebeco, source, target, f"UPDATE small SET b = 'y' || a WHERE a = {i % 3}; DELETE FROM small WHERE ctid = (SELECT min(ctid) FROM small);"
                  f"INSERT INTO parted VALUES ({i}), ({i}); INSERT INTO keyed VALUES ({i})")
        source.psql("BEGIN; TRUNCATE small; INSERT INTO small SELECT 1, 'z' FROM generate_series(1, 7); COMMIT; TRUNCATE parted")
        rebeco.wait_in_sync()
    rig.check_equal(source, target)
    assert seen and 0 not in seen and min(seen) >= 7
    no_pause(rebeco)
    assert dict(source.run("SELECT table_name, records FROM rebeco.capture", user="postgres")) == {"small": "nothing", "parted": "nothing", "keyed": "key"}
    # Altered, at both ends: nothing but the new columns is to be fetched.
    for server in (target, source):
        server.psql("ALTER TABLE small ADD c int DEFAULT 5")
    source.psql("UPDATE small SET c = 6")
    rig.wait_converged(source, target, 60)
    # What was not read yet when the daemon died is read by the next.
    rebeco.wait_in_sync(60)
    source.psql("INSERT INTO small VALUES (9, 'late')")
    source.psql("INSERT INTO small VALUES (9, 'later')")
    rebeco.kill9()
    rebeco.start()
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_a_change_that_waits_is_not_in_sync(source, target, rebecos):
    source.psql("CREATE TABLE small (a int); CREATE TABLE keyed (a int PRIMARY KEY)")
    rebeco = rebecos(source, target, rig.config(tables={"whole": ["public.small"], "whole_every": "1h"})).start()
    rebeco.wait_in_sync()
    source.psql("INSERT INTO small VALUES (1)")
    rebeco.wait("the first change comes at once", lambda: target.value("SELECT count(*) FROM small") == 1)
    rebeco.wait_in_sync()
    source.psql("INSERT INTO small VALUES (2); INSERT INTO keyed VALUES (1)")
    rebeco.wait("the others are not held up", lambda: target.value("SELECT count(*) FROM keyed") == 1)
    assert target.value("SELECT count(*) FROM small") == 1
    assert target.value("SELECT consistent_since FROM rebeco.sync", user="postgres") is None
    rebeco.kill9()
    rebeco.start()
    rebeco.wait("a new daemon reads it", lambda: target.value("SELECT count(*) FROM small") == 2)
    rebeco.wait_in_sync()


def test_a_pattern_that_means_nothing(source, target, rebecos):
    source.run("CREATE TABLE t (a int)")
    rebeco = rebecos(source, target, rig.config(tables={"whole": ["public.s"]})).start()
    assert rebeco.wait_exit() == 2
    assert "no table at the source is meant by public.s" in rebeco.log()


def test_with_a_follower(source, target, rebecos):
    """A follower's snapshots cannot be compared with transactions: what is one piece is read at the source."""
    source.psql("CREATE TABLE t (a int); CREATE TABLE k (a int PRIMARY KEY); INSERT INTO k SELECT generate_series(1, 100)")
    follower = source.standby()

    def work(c, rng, number):
        c.run("INSERT INTO t VALUES (%s), (1)", rng.randrange(3))
        c.run("DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE a = %s)", rng.randrange(3))
    with rig.Crew(source, work, 2, pause_s=0.01):
        rebeco = rebecos(source, target, rig.config(copy={"follower": follower.url()})).start()
        rebeco.wait_phase("follow")
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
    no_pause(rebeco)


def test_an_index_of_the_target_finds_what_is_removed(source, target, rebeco):
    """In a large table no scan for a few rows, where statistics say that an index is better; duplicates and rows
    that have no value in its column are counted right nevertheless, and an index that would not help is left."""
    source.psql("""CREATE TABLE big (at int, v text, flag boolean, n numeric); CREATE INDEX big_flag ON big (flag); CREATE INDEX big_at ON big (at);
                   INSERT INTO big SELECT i / 2, 'v' || i / 4, i % 2 = 0, i FROM generate_series(1, 20000) i;
                   INSERT INTO big SELECT at, v, flag, n FROM big WHERE at < 100; INSERT INTO big SELECT NULL, 'null' || i % 5, NULL, 1 FROM generate_series(1, 50) i""")
    rebeco.start()
    rebeco.wait_in_sync(60)
    target.run("ANALYZE big")
    assert target.value("SELECT rebeco.image_index('big', '{v,at}', '{text,integer}', 10)") == 2
    assert target.value("SELECT rebeco.image_index('big', '{v,at}', '{text,integer}', 5000)") == 0
    assert target.value("SELECT rebeco.image_index('big', '{at}', '{bigint}', 10)") == 0

    def scans():
        return target.run("SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'big'")[0]

    # Sessions tell their numbers when they end; the applier's must have ended for the last ones.
    rebeco.terminate()
    rig.eventually("numbers are told", lambda: scans()[0] > 0)
    before = scans()
    rebeco.start()
    rebeco.wait_in_sync(60)
    source.psql("DELETE FROM big WHERE ctid IN (SELECT ctid FROM big WHERE at = 50 LIMIT 3); UPDATE big SET v = 'x' WHERE at = 51 AND flag")
    rebeco.wait_in_sync(60)
    rebeco.terminate()
    rig.eventually("the index was used", lambda: scans()[1] > before[1])
    assert scans()[0] == before[0]
    assert rig.compare(source, target) == []
    rebeco.start()
    rebeco.wait_in_sync(60)
    check(rebeco, source, target, "DELETE FROM big WHERE ctid IN (SELECT ctid FROM big WHERE at IS NULL AND v = 'null2' LIMIT 4);"
                                  "DELETE FROM big WHERE ctid IN (SELECT ctid FROM big WHERE at = 52 LIMIT 1); UPDATE big SET at = 60 WHERE at = 61")
    check(rebeco, source, target, "DELETE FROM big WHERE n > 5000; DELETE FROM big")
