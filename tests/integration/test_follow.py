"""The promise: two URLs are enough. The schema comes, the data comes, every change follows."""

import difflib
import io
import re
import signal
import time

import pytest
import rig
import workload


def test_an_application_moves(source, target, rebeco):
    workload.install(source)
    rebeco.start()
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    with workload.Application(source, writers=3, clerks=1, two_phase=1) as app:
        time.sleep(3)
    assert app.done > 20
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    rebeco.terminate()


def test_the_schema_is_the_same(source, target, rebeco):
    """Indexes, constraints, foreign keys, triggers, defaults, comments: all of it, once in sync."""
    workload.install(source, rows=20)
    source.psql("""
        CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN new.name := upper(new.name); RETURN new; END$$;
        CREATE TRIGGER shout BEFORE INSERT ON customer FOR EACH ROW EXECUTE FUNCTION shout();
        CREATE VIEW rich AS SELECT * FROM customer WHERE balance > 0;
        CREATE SCHEMA "other one"; CREATE DOMAIN "other one".positive AS int CHECK (value > 0);
        CREATE TABLE "other one".d (id int PRIMARY KEY, p "other one".positive DEFAULT 1 CHECK (p <> 13));
        COMMENT ON TABLE customer IS 'it''s -- a "comment"';
        CREATE INDEX ON customer (lower(name)) WHERE balance > 0;
    """)
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.terminate()
    rebeco.ok("uninstall")
    ours, theirs = source.dump_schema(), target.dump_schema()
    if source.major != target.major:  # views are printed with table names or without, NOT NULL with a name or without
        ours, theirs = (re.sub(r" CONSTRAINT \w+ NOT NULL", " NOT NULL", text.replace("customer.", "")) for text in (ours, theirs))
    strip = lambda text: sorted(line for line in text.splitlines()  # noqa: E731
                                if line and " OWNER TO " not in line and not line.startswith(("--", "GRANT", "REVOKE")))
    differences = [line for line in difflib.ndiff(strip(ours), strip(theirs)) if line[:1] in "+-"]
    assert not differences, "\n".join(differences)


def test_rows_of_a_batch_that_is_made_again_count_once(source, target, rebeco):
    """A lock at the target holds one table up until the connection breaks; the other one was written by then."""
    for t in "ab":
        source.psql(f"CREATE TABLE {t} (id int PRIMARY KEY, v int); INSERT INTO {t} SELECT i, 0 FROM generate_series(1, 10) i")
    rebeco.start()
    rebeco.wait_in_sync()
    for n, held in enumerate("ab", 1):
        with target.connect() as app:
            app.run("BEGIN")
            app.run(f"SELECT 1 FROM {held} WHERE id = 10 FOR UPDATE")
            source.run("BEGIN; UPDATE a SET v = v + 1; UPDATE b SET v = v + 1; COMMIT")
            waiting = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'rebeco%%' AND wait_event_type = 'Lock'"
            rebeco.wait("it waits for the row", lambda: target.value(waiting, user="postgres"))
            first = target.value(waiting, user="postgres")
            target.run("SELECT pg_terminate_backend(%s)", first, user="postgres")
            rebeco.wait("and once more", lambda: target.value(waiting, user="postgres") not in (None, first))
            app.run("ROLLBACK")
        rebeco.wait_in_sync()
        rig.check_equal(source, target)
        rebeco.wait("each row is counted once", lambda: [t["rows_applied"] for t in rebeco.status()["tables"]] == [10 * n] * 2)
    rebeco.terminate()


def test_rows_written_by_a_role_that_knows_nothing(source, target, rebeco):
    source.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    source.run("GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON t TO clerk")
    rebeco.start()
    rebeco.wait_in_sync()
    # A hostile search path: whatever is found there must not be used by the capture trigger.
    source.run("CREATE SCHEMA trap AUTHORIZATION clerk", user="postgres")
    with source.connect("clerk") as c:
        c.run("CREATE FUNCTION trap.txid_current() RETURNS bigint LANGUAGE sql AS 'SELECT 1 / 0'")
        c.run("CREATE FUNCTION trap.nextval(regclass) RETURNS bigint LANGUAGE sql AS 'SELECT 1 / 0'")
        c.run("SET search_path = trap, pg_catalog, public")
        c.run("INSERT INTO public.t SELECT i, 'x' FROM generate_series(1, 100) i")
        c.run("UPDATE public.t SET b = 'y', a = a + 1000 WHERE a < 50")
        c.run("DELETE FROM public.t WHERE a = 77")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    with source.connect("clerk") as c:
        c.run("TRUNCATE t")
    rebeco.wait_in_sync()
    assert target.value("SELECT count(*) FROM t") == 0


def test_every_way_to_write(source, target, rebeco):
    """COPY, ON CONFLICT, MERGE, writable CTE, cascades, partitions written directly and through the parent."""
    workload.install(source, rows=100)
    rebeco.start()
    rebeco.wait_in_sync()
    writes = [
        "INSERT INTO item SELECT 'bulk', i, i FROM generate_series(1, 5000) i",
        "INSERT INTO tag VALUES ('word 1', 'lang 1', 1), ('brand new', 'x', 1) "
        "ON CONFLICT (lang, word) DO UPDATE SET uses = 99",
        "WITH gone AS (DELETE FROM item WHERE no < 20 RETURNING *) INSERT INTO tag SELECT region || no, 'cte', 1 FROM gone",
        "DELETE FROM customer WHERE id < 10",
        "INSERT INTO event_0 VALUES (90001, 0, 'direct')",
        "INSERT INTO event VALUES (90002, 0, 'through the parent'), (90003, 77, 'default')",
        "UPDATE event SET kind = 1 WHERE id = 90001",
        "UPDATE event_0 SET body = 'direct' WHERE id = 90002",
        "TRUNCATE event_1",
        "UPDATE item SET no = no + 100000",
        "UPDATE seat SET place = 201 - place",
        "TRUNCATE customer CASCADE",
        "TRUNCATE event",
    ]
    if source.major >= 15:
        writes.insert(3, "MERGE INTO tag USING (VALUES ('word 2', 'lang 2'), ('merged', 'm')) v (w, l) "
                         "ON word = w AND lang = l WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (w, l, 5)")
    for sql in writes:
        source.run(sql)
        rebeco.wait_in_sync()
        assert rig.compare(source, target) == [], sql
    with source.connect() as c, c.raw.cursor() as cursor:
        cursor.copy_expert("COPY queue FROM STDIN", io.StringIO("".join(f"{i}\tcopied {i}\n" for i in range(3000))))
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


NAMES = ['"', "a.b", "semi;colon", "new\nline", "SELECT", "with space", "Ünïcödé 名前", "it's", "\\", "$1", "%I %s",
         "rebeco-something", "x" * 62 + "a", "x" * 62 + "b", "); DROP TABLE t; --", "${HOME}"]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def test_hostile_names(source, target, rebeco):
    for i, name in enumerate(NAMES):
        source.run(f"CREATE SCHEMA {quoted(name)}")
        q = f"{quoted(name)}.{quoted(NAMES[-1 - i])}"
        source.run(f"CREATE TABLE {q} ({quoted(name)} text DEFAULT 'a''b\"c\\$$', {quoted(name[:60] + ' 2')} int, "
                   f"PRIMARY KEY ({quoted(name)}))")
        source.run(f"INSERT INTO {q} ({quoted(name)}) VALUES ('1'), (E'\\n\\t\\\\N'), ('\\.')")
    rebeco.start()
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    for i, name in enumerate(NAMES):
        q = f"{quoted(name)}.{quoted(NAMES[-1 - i])}"
        source.run(f"INSERT INTO {q} ({quoted(name)}) VALUES ('follow'), ('\\x'), ('{{\"json\"}}')")
        source.run(f"UPDATE {q} SET {quoted(name)} = 'changed' WHERE {quoted(name)} = '1'")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_values_of_every_type_arrive_unchanged(source, target, rebeco):
    if min(source.major, target.major) < 14:
        pytest.skip("multiranges came with 14")
    source.psql("""
        CREATE TYPE pair AS (a int, b text); CREATE TYPE color AS ENUM ('red', 'gr,een', 'b"l\\ue');
        CREATE DOMAIN code AS text CHECK (length(value) < 50); CREATE DOMAIN short AS char(3); CREATE DOMAIN bits AS bit(4);
        CREATE TABLE k (a char(4), b varchar(4), c bit(3), d short, v text, PRIMARY KEY (a, b, c, d));
        CREATE TABLE v (id int PRIMARY KEY, b bool, c "char", n numeric, f4 float4, f8 float8, t text, vc varchar(5),
            ch char(5), by bytea, ts timestamp, tz timestamptz, d date, ti time, tt timetz, iv interval, u uuid,
            j json, jb jsonb, x xml, i4 int4range, inet inet, cidr cidr, mac macaddr, bits bit varying, pt point,
            po polygon, tsv tsvector, ia int[], ta text[], ia2 int[][], p pair, pa pair[], e color, ea color[],
            dc code, da code[], m money, oid oid, name name, hs int8multirange, bi bit(5), dch short, dba bits[])
    """)
    rows = """
        (1, true, 'x', 'NaN', 'Infinity', '-0', '', 'abc', 'ab', '\\x00ff', 'infinity', '-infinity', '4713-01-01 BC', '24:00',
         '12:00+05:30', '1 year -3 days 04:05:06.000007', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a" :  1, "a": 2}',
         '{"z": [null, "\\u00e9"]}', '<a>&amp;</a>', '[1,5)', '::1/128', '10.0.0.0/8', '08:00:2b:01:02:03', B'1011', '(1.1,2.2)',
         '((0,0),(1,1),(1,0))', 'fat & cat', '{1,NULL,3}', '{"a b","NULL",NULL,"q\\"x"}', '{{1,2},{3,4}}', '(1,"x,y")',
         '{"(1,\\"a b\\")"}', 'gr,een', '{red,"gr,een"}', 'c', '{a,b}', '12.34', 4294967295, 'nm', '{[1,3),[7,9)}', B'10110', 'ab', '{0110}'),
        (2, NULL, NULL, 0.1::numeric + 1e-30, 0.1, 1e308, E'tab\\tnl\\n\\\\', NULL, NULL, '', '2024-02-29 12:34:56.789012',
         '2024-03-31 02:30:00+01', 'infinity', '00:00', NULL, NULL, NULL, NULL, NULL, NULL, 'empty', NULL, NULL, NULL, NULL,
         NULL, NULL, NULL, '{}', '{}', NULL, '(,)', '{}', NULL, '{}', NULL, NULL, NULL, 0, '', '{}', NULL, NULL, '{}')
    """
    source.psql("INSERT INTO k VALUES ('ab', 'ab ', B'101', 'x', 'one'), ('abcd', 'abcd', B'110', 'xyz', 'two')")
    source.psql(f"INSERT INTO v VALUES {rows}")
    rebeco.start()
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    source.psql("INSERT INTO v SELECT (jsonb_populate_record(v, jsonb_build_object('id', id + 10))).* FROM v;"
                "UPDATE v SET t = t || '!', n = -n, ta = array_append(ta, 'more'), e = 'b\"l\\ue' WHERE id < 10;"
                "UPDATE k SET v = v || '!'; INSERT INTO k VALUES ('a', 'ab', B'001', 'y', 'three');"
                "DELETE FROM k WHERE a = 'abcd'; UPDATE k SET a = 'new', d = 'zz' WHERE v = 'one!'")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_until_in_sync_ends_with_zero(source, target, rebeco):
    workload.install(source, rows=100)
    rebeco.start("--until", "in-sync")
    assert rebeco.wait_exit(60) == 0
    rig.check_equal(source, target)
    # And again: a Job that is started a second time goes on where the first ended.
    source.run("UPDATE item SET price = 0")
    rebeco.start("--until", "in-sync")
    assert rebeco.wait_exit(60) == 0
    rig.check_equal(source, target)


def test_until_in_sync_stopped_early_is_not_done(source, target, rebecos):
    """A Job whose node is drained gets SIGTERM: with 0 it would count as complete."""
    source.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    source.run("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) i")
    slow = rig.config(copy={"max_rate": "200kB/s", "split_size": "1MB"})
    rebeco = rebecos(source, target, slow).start("--until", "in-sync")
    rebeco.wait_phase("copy")
    rebeco.process.send_signal(signal.SIGTERM)
    assert rebeco.wait_exit(20) == 1
    assert rebeco.log_lines("stopped before what --until asked for was reached")
    rebeco.configure(rig.config())
    rebeco.start("--until", "in-sync")
    assert rebeco.wait_exit(60) == 0
    rig.check_equal(source, target)


def test_only_one_daemon_holds_a_sync(source, target, rebeco, rebecos):
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    rebeco.start()
    rebeco.wait_in_sync()
    second = rebecos(source, target).start()
    assert second.wait_exit(90) == 5
    source.run("INSERT INTO t VALUES (1)")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_restart_in_steady_state(source, target, rebeco):
    workload.install(source, rows=50)
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.terminate()
    source.run("DELETE FROM item WHERE no < 10")
    source.run("UPDATE tag SET uses = 5")
    rebeco.start()
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    assert target.value("SELECT count(*) FROM rebeco.chunk WHERE done_at IS NULL") == 0


def test_a_target_that_cannot_be_replica(source, plain_target, rebecos):
    """Without session_replication_role: foreign keys and triggers of the target are in the way."""
    workload.install(source, rows=100)
    rebeco = rebecos(source, plain_target).start()
    rebeco.wait_in_sync()
    with workload.Application(source, writers=3, clerks=1, two_phase=1, seed=3):
        time.sleep(3)
    rebeco.wait_in_sync()
    rig.check_equal(source, plain_target)


def test_passwords_are_never_shown(source, target, rebecos):
    for server, role in ((source, "app"), (target, "rds")):
        server.run(f"ALTER ROLE {role} PASSWORD 's3cr3t-{role}'", user="postgres")
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    urls = [s.url().replace("@", f":s3cr3t-{s.owner}@") for s in (source, target)]
    rebeco = rebecos(*urls).start()
    rebeco.target = target
    rebeco.wait_in_sync()
    shown = rebeco.ok("status", "--json") + rebeco.ok("status") + rebeco.ok("config")
    source.stop()
    rebeco.wait("the daemon notices", lambda: rebeco.log_lines("connect") or rebeco.log_lines("lost"))
    with open(f"/proc/{rebeco.process.pid}/cmdline") as f:
        assert "s3cr3t" not in f.read(), "the password can be seen in the process list"
    assert "s3cr3t" not in shown + rebeco.log()
    for server in (source, target):
        with open(server.log_path) as f:
            assert "s3cr3t" not in f.read().replace("ALTER ROLE", "")


@pytest.mark.alone
@pytest.mark.parametrize("writes_per_s", [1, 200])
def test_a_change_is_seen_soon(source, target, rebeco, writes_per_s):
    """Lag, asleep and awake; generous here, measured exactly by the long form."""
    source.run("CREATE TABLE beat (id int PRIMARY KEY)")
    rebeco.start()
    rebeco.wait_in_sync()
    lags = []
    with source.connect() as s, target.connect() as t, rig.Crew(
            source, lambda c, rng, n: c.run("INSERT INTO beat VALUES (%s)", rng.randint(10**6, 10**9)),
            1 if writes_per_s > 1 else 0, pause_s=1 / writes_per_s, allowed=("23505",)):
        for i in range(6 if writes_per_s == 1 else 60):
            time.sleep(1 if writes_per_s == 1 else 0.05)
            s.run("INSERT INTO beat VALUES (%s)", i)
            start = time.monotonic()
            while t.value("SELECT count(*) FROM beat WHERE id = %s", i) == 0:
                assert time.monotonic() - start < 10, f"beat {i} does not arrive:\n{rebeco.log_tail()}"
                time.sleep(0.002)
            lags.append(time.monotonic() - start)
    lags.sort()
    print("lag p50 %.1f ms, max %.1f ms" % (lags[len(lags) // 2] * 1000, lags[-1] * 1000))
    assert lags[len(lags) // 2] < 0.3


def test_kick_names_tables_without_a_part_in_the_sync(source, target, rebecos):
    """Whoever switches over after `kick --wait` must not find a table missing then."""
    for name in ("here", "gone"):
        source.run(f"CREATE TABLE {name} (a int PRIMARY KEY)")
    target.run("CREATE TABLE here (a int PRIMARY KEY)")
    rebeco = rebecos(source, target, rig.config(schema="expect")).start()
    rebeco.wait_phase("follow")
    source.run("INSERT INTO here VALUES (1)")
    said = rebeco.ok("kick", "--wait")
    assert "but for 1 table without a part in the sync (public.gone): see `rebeco status`" in said
    rebeco.wait("status says so, too", lambda: "state of the source, but for 1 table without a part in the sync\n" in rebeco.ok("status"))
    assert target.value("SELECT count(*) FROM here") == 1
    target.run("CREATE TABLE gone (a int PRIMARY KEY)")
    rebeco.wait("it is taken in", lambda: "without a part" not in rebeco.ok("kick", "--wait"))
    rig.check_equal(source, target)


def test_kick_waits_for_a_copy_beside_a_table_without_a_part(source, target, rebecos):
    """That one waits for a person; the other is about to be there."""
    for name in ("here", "gone"):
        source.run(f"CREATE TABLE {name} (a int PRIMARY KEY, b text)")
    target.run("CREATE TABLE here (a int PRIMARY KEY, b text)")
    rebeco = rebecos(source, target, rig.config(schema="expect", copy={"max_rate": "100kB/s"})).start()
    rebeco.wait_phase("follow")
    source.run("INSERT INTO here SELECT i, repeat('x', 1000) FROM generate_series(1, 800) i")
    rebeco.ok("kick", "--wait")
    rebeco.ok("resync", "here")
    assert "without a part in the sync (public.gone)" in rebeco.ok("kick", "--wait")
    assert target.value("SELECT count(*) FROM here") == 800
    target.run("CREATE TABLE gone (a int PRIMARY KEY, b text)")
    rebeco.wait("it is taken in", lambda: "without a part" not in rebeco.ok("kick", "--wait"))
    rig.check_equal(source, target)


def test_kick_where_all_tables_are_without_a_part(source, target, rebecos):
    source.run("CREATE TABLE gone (a int PRIMARY KEY)")
    rebeco = rebecos(source, target, rig.config(schema="expect", new_tables=True)).start()
    rebeco.wait("it leads", lambda: rebeco.log_lines("event=leading"))
    rebeco.wait("it is said", lambda: "(public.gone)" in rebeco.ok("kick", "--wait"))
    target.run("CREATE TABLE gone (a int PRIMARY KEY)")
    rebeco.wait("it is taken in", lambda: "without a part" not in rebeco.ok("kick", "--wait"))
    rig.check_equal(source, target)


def test_kick_where_there_is_nothing_to_follow(source, target, rebeco):
    """A source without tables is in sync, and one whose only table was paused says so: neither waits for ever."""
    rebeco.start()
    rebeco.wait_phase("follow")
    assert "is at the target" in rebeco.ok("kick", "--wait", timeout=30)
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    rebeco.wait("it is taken in", lambda: rebeco.command("pause", "t").code == 0)
    r = rebeco.command("kick", "--wait", timeout=30)
    assert r.code == 1 and "some tables are paused" in r.err
    rebeco.ok("resume", "t")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
