"""The schema is copied whole, what cannot be copied is named, and a crash in the middle is harmless."""

import contextlib
import os
import random
import re
import subprocess
import time

import psycopg2
import pytest
import rig

# Everything that pg_dump knows and an owner can create, with names that try to deceive.
RICH = r"""
CREATE SCHEMA shop;
CREATE SCHEMA "Odd .""x";
CREATE SCHEMA rebeco_like;
CREATE TYPE shop.mood AS ENUM ('a', 'b; DROP TABLE shop.orders');
CREATE TYPE shop.pair AS (a int, b text);
CREATE TYPE shop.span AS RANGE (subtype = int);
CREATE DOMAIN shop.posint AS int CONSTRAINT pos CHECK (value > 0);
ALTER DOMAIN shop.posint ADD CONSTRAINT lt CHECK (value < 1000000) NOT VALID;
CREATE COLLATION shop.german (provider = icu, locale = 'de');
CREATE TABLE shop.customer (id serial PRIMARY KEY, name text COLLATE shop.german, m shop.mood DEFAULT 'a',
    p shop.posint, s shop.span, EXCLUDE USING gist (s WITH &&));
CREATE TABLE shop.orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES shop.customer,
    at timestamptz NOT NULL DEFAULT now(), total numeric, twice numeric GENERATED ALWAYS AS (total * 2) STORED,
    CHECK (total >= 0));
CREATE INDEX ON shop.orders (at);
CREATE INDEX ON shop.orders (abs(total), at) WHERE total > 5;
ALTER TABLE shop.orders CLUSTER ON orders_at_idx;
ALTER TABLE shop.orders ADD CONSTRAINT tot CHECK (total < 1000) NOT VALID;
COMMENT ON CONSTRAINT orders_pkey ON shop.orders IS 'key';
CREATE TABLE shop.replicated (a int NOT NULL, b int PRIMARY KEY);
CREATE UNIQUE INDEX replicated_a ON shop.replicated (a);
ALTER TABLE shop.replicated REPLICA IDENTITY USING INDEX replicated_a;
CREATE TABLE shop.ev (id bigint, at date NOT NULL, x text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE shop.ev_1 PARTITION OF shop.ev FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.ev_2 PARTITION OF shop.ev FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY RANGE (at);
CREATE TABLE shop.ev_2a PARTITION OF shop.ev_2 DEFAULT;
CREATE INDEX ev_x ON shop.ev (x);
CREATE TABLE shop.parent (a int PRIMARY KEY);
CREATE TABLE shop.child (b int PRIMARY KEY) INHERITS (shop.parent);
CREATE TABLE "Odd .""x"."we""ird
name; drop table x" ("i d" int PRIMARY KEY, "select" text DEFAULT E'x\n; -- y', "TABLE DATA" int);
COMMENT ON TABLE "Odd .""x"."we""ird
name; drop table x" IS 'a
pg_restore: from TOC entry 1; 1259 1 TABLE x y
pg_restore: error: could not execute query: ERROR:  fake
b';
CREATE TABLE "Odd .""x"."sixty-three bytes: differs from another only at its last byte A" (a int PRIMARY KEY);
CREATE TABLE "Odd .""x"."sixty-three bytes: differs from another only at its last byte B" (a int PRIMARY KEY);
CREATE TABLE "Odd .""x"."表 ünïcode" ("ключ" int PRIMARY KEY);
CREATE TABLE rebeco_like.rebeco_table (a int PRIMARY KEY);
CREATE VIEW shop.grouped AS SELECT c.id, c.name, count(*) FROM shop.customer c GROUP BY c.id;
CREATE VIEW shop.plain AS SELECT * FROM shop.orders;
CREATE MATERIALIZED VIEW shop.mv AS SELECT c.id, c.name, count(*) FROM shop.customer c GROUP BY c.id;
CREATE UNIQUE INDEX ON shop.mv (id);
CREATE MATERIALIZED VIEW shop.mv_on_mv AS SELECT count(*) FROM shop.mv;
CREATE FUNCTION shop.trg() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN /*
pg_restore: error: x
*/ RETURN new; END$$;
CREATE TRIGGER tr BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.trg();
ALTER TABLE shop.orders DISABLE TRIGGER tr;
CREATE TRIGGER rebeco_of_the_users BEFORE UPDATE ON shop.customer FOR EACH ROW WHEN (false) EXECUTE FUNCTION shop.trg();
CREATE RULE r AS ON DELETE TO shop.replicated DO ALSO SELECT 1;
ALTER TABLE shop.child ENABLE ROW LEVEL SECURITY;
CREATE POLICY pol ON shop.child FOR SELECT USING (true);
CREATE STATISTICS shop.st ON id, name FROM shop.customer;
CREATE PROCEDURE shop.proc(a int) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE shop.agg (int) (SFUNC = int4pl, STYPE = int4);
CREATE OPERATOR shop.=== (FUNCTION = int4eq, LEFTARG = int4, RIGHTARG = int4);
CREATE CAST (shop.mood AS int) WITH INOUT;
CREATE SEQUENCE shop.lonely INCREMENT BY -3 CYCLE MINVALUE -100 MAXVALUE 5;
CREATE TEXT SEARCH CONFIGURATION shop.search (COPY = simple);
CREATE SCHEMA heroku_ext;
CREATE EXTENSION citext SCHEMA heroku_ext;
CREATE EXTENSION hstore;
CREATE TABLE shop.ext (email heroku_ext.citext PRIMARY KEY, h hstore);
CREATE INDEX ON shop.ext USING gin (h);
GRANT SELECT ON shop.orders TO clerk;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO clerk;
"""


def dump(server):
    """The users' schema as text, without what is not to be copied."""
    r = subprocess.run(["pg_dump", "--schema-only", "--no-owner", "--no-privileges", "--no-publications",
                        "--exclude-schema=rebeco", "-d", server.url()], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    # From 18 on NOT NULL is a constraint with a name; where the name is not the server's own, it is not copied
    # from a server that has none.
    text = re.sub(r' CONSTRAINT (?:"(?:[^"]|"")*"|\w+) NOT NULL', " NOT NULL", r.stdout)
    return re.sub(r"(?m)^(--.*|\\(un)?restrict .*|SET .*|" + rig.SERVERS_OWN + r")?$\n", "", text)


def expected(source, target, servers, sql):
    """dump() of what the statements make on a server of the target's version: each prints its views, ranges and
    constraints in its own way."""
    if source.major == target.major:
        return dump(source)
    pattern = servers("pattern", "rds")
    pattern.psql(sql)
    return dump(pattern)


def same_schema(before, target):
    """The expected dump(), and the target's now."""
    a, b = before.splitlines(), dump(target).splitlines()
    assert [line for line in a if line not in b] == []
    assert [line for line in b if line not in a] == []
    assert sorted(a) == sorted(b)


def problems(target):
    return {r[0]: r[1] for r in target.run("SELECT object, message FROM rebeco.problem WHERE kind = 'schema'")}


def test_the_whole_schema(source, target, servers, rebecos):
    source.psql(RICH)
    source.run("INSERT INTO shop.customer (name) VALUES ('x'), ('y')")
    source.run("INSERT INTO shop.orders (customer, total) VALUES (1, 7), (2, 8)")
    source.run("INSERT INTO shop.ev VALUES (1, '2024-05-05', 'a'), (2, '2025-05-05', 'b')")
    source.run("INSERT INTO shop.ext VALUES ('A@b.c', 'k=>v')")
    before = expected(source, target, servers, RICH)
    r = rebecos(source, target).start()
    r.wait_phase("follow", 90)
    assert problems(target) == {}
    same_schema(before, target)
    rig.wait_converged(source, target)
    # The owner is our role, nobody else was granted anything, and both are said.
    assert target.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'shop'::regnamespace "
                        "AND relowner <> 'rds'::regrole") == 0
    assert target.value("SELECT has_table_privilege('clerk', 'shop.orders', 'SELECT')") is False
    said = r.log_lines("schema: ")
    assert any("what=privileges" in line for line in said)
    assert any("default privileges" in line for line in said)
    assert any("heroku_ext" in line for line in said)
    r.terminate()


def test_what_cannot_be_created_is_named(source, target, rebecos):
    with source.admin() as c:
        c.run("CREATE ROLE helper")
    source.run("CREATE EXTENSION hstore; CREATE TABLE good (a int PRIMARY KEY, b int); CREATE INDEX taken ON good (b);"
               "CREATE TABLE bad (a int PRIMARY KEY, h hstore); CREATE TABLE child (a int PRIMARY KEY REFERENCES bad);"
               "CREATE VIEW on_bad AS SELECT * FROM bad; CREATE POLICY pol ON good TO helper USING (true);"
               "COMMENT ON POLICY pol ON good IS 'x'; INSERT INTO good VALUES (1, 1)")
    with target.admin() as c:
        c.run("CREATE SCHEMA elsewhere; GRANT ALL ON SCHEMA elsewhere TO rds; CREATE EXTENSION hstore SCHEMA elsewhere")
    target.run("CREATE SEQUENCE taken")
    r = rebecos(source, target).start()
    r.wait("the first problems", lambda: set(problems(target)) == {"TABLE public.bad", "VIEW public.on_bad"})
    assert 'type "public.hstore" does not exist' in problems(target)["TABLE public.bad"]
    rig.eventually("the good table is copied", lambda: target.value("SELECT count(*) FROM good") == 1)
    r.terminate()
    with target.admin() as c:
        c.run("ALTER EXTENSION hstore SET SCHEMA public")
    r.start()
    r.wait_phase("follow", 60)
    assert set(problems(target)) == {"INDEX public.taken", "POLICY pol on public.good"}
    assert 'relation "taken" already exists' in problems(target)["INDEX public.taken"]
    assert 'role "helper" does not exist' in problems(target)["POLICY pol on public.good"]
    assert target.value("SELECT count(*) FROM pg_constraint WHERE conname = 'child_a_fkey'") == 1
    assert "comment not copied" in r.log()
    source.run("INSERT INTO good VALUES (2, 2)")
    rig.wait_converged(source, target)
    r.terminate()


@pytest.mark.parametrize("name, value, other", [("exit_on_error", "on", "off"), ("default_transaction_read_only", "on", "off"),
                                                ("idle_session_timeout", "'10s'", "0")])
def test_settings_of_our_role_do_not_stop_pg_restore(source, target, rebecos, name, value, other):
    """It does not set them for itself as our own sessions do; what the target refuses is still one index."""
    if target.major < 14 and name == "idle_session_timeout":
        pytest.skip("from 14 on")
    source.run("CREATE TABLE t (a int PRIMARY KEY, b int); CREATE INDEX taken ON t (b); INSERT INTO t VALUES (1, 1);"
               "CREATE FUNCTION looked(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN"
               f" IF current_setting('{name}') <> '{other}' THEN RAISE '{name} is %', current_setting('{name}'); END IF; RETURN 1; END$$;"
               "CREATE INDEX ON t (looked(a))")
    target.run("CREATE SEQUENCE taken")
    target.run(f"ALTER ROLE rds SET {name} = {value}", user="postgres")
    r = rebecos(source, target).start()
    r.wait_phase("follow", 30)
    assert set(problems(target)) == {"INDEX public.taken"}
    assert not r.log_lines("pg_restore could not finish"), r.log_tail()
    rig.wait_converged(source, target)


@pytest.mark.parametrize("seed", range(3 if rig.LONG else 1))
@pytest.mark.limit(300)
def test_killed_at_any_moment(source, target, servers, rebecos, seed):
    sql = [RICH]
    for i in range(0, 150, 50):
        sql.append("".join(f"CREATE TABLE t{k} (a int PRIMARY KEY, b int); CREATE INDEX ON t{k} (b);\n" for k in range(i, i + 50)))
        sql.append("".join(f"ALTER TABLE t{k} ADD FOREIGN KEY (b) REFERENCES t{k - 1};\n" for k in range(max(i, 1), i + 50)))
    sql.append("CREATE VIEW zzz AS SELECT * FROM t149;")
    source.psql("\n".join(sql))
    before = expected(source, target, servers, "\n".join(sql))
    luck = random.Random(seed)
    r = rebecos(source, target)
    for _ in range(12):
        r.start()
        time.sleep(luck.uniform(0.1, 2.5))
        r.kill9()
    r.start()
    r.wait_phase("follow", 120)
    assert problems(target) == {}
    same_schema(before, target)
    r.terminate()
    rig.eventually("no program of ours is left", lambda: subprocess.run(
        ["pgrep", "-f", f"rebeco.*port='{target.port}'"], capture_output=True).stdout == b"")


@contextlib.contextmanager
def held_back(target, words):
    """The statements of these words wait at the target; gives what says whether one does."""
    with target.admin() as holder, target.admin() as looker:
        looker.run("CREATE FUNCTION hold_back() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
                   f"IF strpos(current_query(), '{words}') > 0 THEN PERFORM pg_advisory_lock_shared(4711); END IF; END $$;"
                   "CREATE EVENT TRIGGER hold_back ON ddl_command_start EXECUTE FUNCTION hold_back()")
        holder.run("SELECT pg_advisory_lock(4711)")
        try:
            yield lambda: looker.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") > 0
        finally:
            looker.run("DROP EVENT TRIGGER hold_back; DROP FUNCTION hold_back()")


@pytest.mark.limit(120)
def test_killed_when_all_tables_are_there(source, target, rebecos):
    """The first part of the schema does not end with the last table: the partitions are attached after it. A second
    start that took the tables for the schema copied into a table without partitions, was refused each row, and never came
    to what was missing."""
    source.run("CREATE TABLE event (id int PRIMARY KEY, body text) PARTITION BY RANGE (id);"
               "CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (100);"
               "CREATE TABLE event_2 PARTITION OF event DEFAULT;"
               "CREATE TABLE a (i serial PRIMARY KEY, j int DEFAULT 7);"
               "INSERT INTO event SELECT i, i FROM generate_series(1, 300) i; INSERT INTO a (j) VALUES (1)")
    before = dump(source)
    r = rebecos(source, target)
    with held_back(target, "ATTACH PARTITION") as waits:
        r.start()
        r.wait("a partition is about to be attached", waits)
        r.kill9()
        rig.eventually("pg_restore has gone, too", lambda: not waits())
    # pg_dump 13 makes a partition and attaches it in one statement: then the partitions are missing as well, and the second start sees it.
    at_once = max(source.major, target.major) < 14
    assert target.value("SELECT count(*) FROM pg_class WHERE relname IN ('event', 'event_1', 'event_2', 'a')") == (2 if at_once else 4)
    assert target.value("SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent WHERE c.relname = 'event'") == 0
    r.start()
    r.wait_in_sync(60)
    rig.check_equal(source, target)
    same_schema(before, target)
    assert problems(target) == {}
    r.terminate()


def test_auto_does_not_guess(source, target, rebecos):
    source.run("CREATE TABLE a (i int PRIMARY KEY); CREATE TABLE b (i int PRIMARY KEY); INSERT INTO b VALUES (1)")
    target.run("CREATE TABLE a (i int PRIMARY KEY)")
    before = dump(source)
    r = rebecos(source, target).start("--until", "in-sync")
    assert r.wait_exit(60) == 4
    assert "public.b" in r.log() and "schema: copy" in r.log_lines("cannot go on without a person")[-1]
    assert "schema:" not in r.ok("status")
    assert target.value("SELECT to_regclass('b')") is None
    r = rebecos(source, target, rig.config(schema="copy")).start("--until", "in-sync")
    assert r.wait_exit(60) == 0
    same_schema(before, target)
    rig.wait_converged(source, target)


@pytest.mark.parametrize("end", ["source", "target"])
def test_the_applications_schema_has_our_name(source, target, rebecos, end):
    """Its tables would be taken for ours and be left out: nothing begins, and it is said why."""
    source.run("CREATE TABLE public.t (a int PRIMARY KEY); INSERT INTO public.t VALUES (1)")
    server = source if end == "source" else target
    server.run("CREATE SCHEMA rebeco; CREATE TABLE rebeco.invoice (a int PRIMARY KEY); INSERT INTO rebeco.invoice VALUES (7)")
    r = rebecos(source, target).start("--until", "in-sync")
    assert r.wait_exit(60) == 4
    assert f"{end}: the schema rebeco is the application's: it holds rebeco.invoice" in r.log()
    assert server.run("SELECT relname FROM pg_class WHERE relnamespace = 'rebeco'::regnamespace ORDER BY 1") == [("invoice",), ("invoice_pkey",)]
    assert target.value("SELECT to_regclass('public.t')") is None
    server.run("ALTER SCHEMA rebeco RENAME TO billing")
    r.start()
    if end == "source":
        r.wait_in_sync()
        rig.check_equal(source, target)
    else:
        r.wait("it goes on", lambda: target.value("SELECT count(*) FROM public.t") == 1)


def test_a_schema_that_is_there_is_left_alone(source, target, rebecos):
    source.run("CREATE TABLE a (i int PRIMARY KEY, j int); CREATE INDEX ON a (j); CREATE VIEW v AS SELECT * FROM a;"
               "INSERT INTO a VALUES (1, 2)")
    target.run("CREATE TABLE a (i int PRIMARY KEY, j int)")
    before = dump(target)
    r = rebecos(source, target).start("--until", "in-sync")
    assert r.wait_exit(60) == 0
    rig.wait_converged(source, target)
    assert dump(target) == before


def test_expect_creates_nothing(source, target, rebecos):
    source.run("CREATE TABLE a (i int PRIMARY KEY); CREATE TABLE b (i int PRIMARY KEY)")
    target.run("CREATE TABLE a (i int PRIMARY KEY)")
    r = rebecos(source, target, rig.config(schema="expect")).start("--until", "in-sync")
    assert r.wait_exit(60) == 4
    assert target.value("SELECT to_regclass('b')") is None


def test_excluded_tables_are_left_out(source, target, rebecos):
    source.run("CREATE TABLE kept (i serial PRIMARY KEY); CREATE TYPE mood AS ENUM ('a');"
               "CREATE TABLE \"left out \"\"$x\" (i serial PRIMARY KEY);"
               "CREATE TABLE part (i int PRIMARY KEY) PARTITION BY LIST (i);"
               "CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);"
               "CREATE TABLE other (i int PRIMARY KEY) PARTITION BY LIST (i);"
               "CREATE TABLE other_1 PARTITION OF other FOR VALUES IN (1); CREATE INDEX ON other (i)")
    r = rebecos(source, target, rig.config(tables={
        "include": ["public.*"], "exclude": ['public."left out ""$x"', "public.other", "public.part_1"]}))
    r.start("--until", "in-sync")
    assert r.wait_exit(60) == 0
    assert target.run("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                      "AND relkind IN ('r', 'p', 'S') ORDER BY 1") == [
                          ("kept",), ("kept_i_seq",), ("part",), ("part_1",)]
    assert target.value("SELECT count(*) FROM pg_type WHERE typname = 'mood'") == 1
    assert problems(target) == {}


def test_no_secret_in_an_argument(source, target, rebecos):
    source.run("".join(f"CREATE TABLE t{i} (a int PRIMARY KEY);" for i in range(300)))
    hide = "very secret"
    urls = [f"{server.url()}{'&' if '?' in server.url() else '?'}password=very%20secret" for server in (source, target)]
    r = rebecos(*urls)
    r.source, r.target = source, target
    r.start()
    seen = set()
    while not seen >= {"pg_dump", "pg_restore"}:
        r.check_alive()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline") as f:
                line = f.read()
                if f"port='{source.port}'" in line or f"port='{target.port}'" in line:
                    seen |= {name for name in ("pg_dump", "pg_restore") for word in line.split("\0")[:4] if word.endswith(name)}
                    assert hide not in line
    r.wait_phase("copy", 60)
    assert hide not in r.log()
    r.kill9()


def test_a_lock_at_the_source_delays_and_nobody_waits_long(source, target, rebecos):
    source.run("CREATE TABLE a (i int PRIMARY KEY)")
    before = dump(source)
    holder = psycopg2.connect(source.url())
    holder.cursor().execute("LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
    r = rebecos(source, target).start()
    rig.eventually("it gives up and says why", lambda: re.search("lock|statement timeout", r.log()), 30)
    assert r.is_running()
    assert target.value("SELECT to_regclass('public.a')") is None
    holder.rollback()
    holder.close()
    r.wait_phase("follow", 60)
    same_schema(before, target)
    r.terminate()


def test_who_alters_two_tables_does_not_fail_for_the_dump(servers, target, rebecos):
    """It holds the one and waits for the other."""
    source = servers("source", "app", deadlock_timeout="1s")
    source.psql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    with source.connect() as c:
        c.run("BEGIN; LOCK TABLE b IN ACCESS EXCLUSIVE MODE")
        rebeco = rebecos(source, target).start()
        rig.eventually("the dump waits", lambda: source.value(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'b'::regclass") > 0, 30, 0.01)
        time.sleep(1.5)  # the dump has looked for a deadlock by now, and found none: the next to look is who comes later
        c.run("ALTER TABLE a ADD more int; COMMIT")
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)


FAMILY = """
CREATE TABLE a_parent (id int PRIMARY KEY, v int);
CREATE TABLE b_gate (id int PRIMARY KEY, v int);
CREATE TABLE c_child (id int PRIMARY KEY, v int, parent int REFERENCES a_parent);
CREATE TABLE d_other (id int PRIMARY KEY, v int);
CREATE INDEX late ON d_other (v);
COMMENT ON CONSTRAINT c_child_parent_fkey ON c_child IS 'goes with it';
INSERT INTO a_parent VALUES (1, 0); INSERT INTO b_gate VALUES (1, 0); INSERT INTO c_child VALUES (1, 0, 1);
"""


def test_a_foreign_key_comes_between_two_tables_of_a_batch(source, target, rebecos):
    """The batch has written the parent when the foreign key, which needs both, is to come: neither ends for the other."""
    source.run(FAMILY)
    before = dump(source)
    r = rebecos(source, target, config=rig.config(copy={"streams": 1}))
    with target.connect() as app:
        with held_back(target, "CREATE INDEX late") as waits:
            r.start()
            r.wait("the rest of the schema is under way", waits)
            app.run("BEGIN; LOCK TABLE b_gate IN SHARE MODE")
            source.run("UPDATE a_parent SET v = 1; UPDATE b_gate SET v = 1; UPDATE c_child SET v = 1")
            r.wait("the batch stands between parent and child", lambda: target.value(
                "SELECT count(*) FROM pg_locks l JOIN pg_locks p USING (pid) WHERE NOT l.granted AND l.relation = 'b_gate'::regclass"
                " AND p.relation = 'a_parent'::regclass AND p.mode = 'RowExclusiveLock'") > 0)
        r.wait("the foreign key is next", lambda: (r.status().get("schema") or {}).get("step") == "hold batches" or target.value(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'a_parent'::regclass") > 0)
        app.run("COMMIT")
    r.wait_in_sync(60)
    assert target.value("SELECT v FROM c_child") == 1
    assert r.log_lines("deadlock") == []
    assert "deadlock detected" not in open(target.log_path).read()
    same_schema(before, target)
    assert problems(target) == {}
    r.terminate()


def test_somebodys_locks_are_in_the_way_of_a_foreign_key(source, servers, rebecos):
    """A session that is not ours locks parent, then child, again and again."""
    source.run(FAMILY)
    before = dump(source)
    target = servers("target", "rds", deadlock_timeout="2s")
    r = rebecos(source, target, config=rig.config(copy={"streams": 1}))
    with target.connect() as app:
        with held_back(target, "CREATE INDEX late") as waits:
            r.start()
            r.wait("the rest of the schema is under way", waits)
            app.run("BEGIN; LOCK TABLE a_parent IN ROW EXCLUSIVE MODE")
        for _ in range(3):
            r.wait("the foreign key waits for the parent", lambda: target.value(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'a_parent'::regclass") > 0)
            app.run("LOCK TABLE c_child IN ROW EXCLUSIVE MODE; COMMIT; BEGIN; LOCK TABLE a_parent IN ROW EXCLUSIVE MODE")
        app.run("COMMIT")
    r.wait_in_sync(60)
    same_schema(before, target)
    assert problems(target) == {}
    assert len(r.log_lines("deadlock detected")) > 0
    r.terminate()


@pytest.mark.parametrize("what", ["goes on", "loses its session", "is killed"])
def test_the_rest_is_read_while_the_last_rows_come(source, target, rebecos, what):
    """The last table waits for somebody's lock at the target; what is to come after the rows was read meanwhile, and is made when they are there."""
    source.run("CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY REFERENCES a); CREATE TABLE b_ (id int PRIMARY KEY); CREATE INDEX later ON a (v);"
               "INSERT INTO a SELECT i, i FROM generate_series(1, 50000) i; INSERT INTO b VALUES (1)")
    before = dump(source)
    r = rebecos(source, target)
    with target.connect() as app:
        with held_back(target, "CREATE TABLE public.b_") as waits:
            r.start()
            r.wait("the other tables are there", waits)
            app.run("BEGIN; LOCK TABLE b IN SHARE MODE")
        r.wait("the rest was read", lambda: target.value("SELECT count(*) FROM rebeco.schema_object WHERE stage = 'post'") > 0)
        assert r.phase() == "copy"
        assert target.value("SELECT to_regclass('later') IS NULL")
        if what == "loses its session":
            source.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rebeco' AND state = 'idle'", user="postgres")
        elif what == "is killed":
            r.kill9()
            r.start()
        app.run("COMMIT")
    r.wait_in_sync(60)
    same_schema(before, target)
    assert problems(target) == {}
    rig.check_equal(source, target)
    r.terminate()


def test_a_schema_just_read_is_not_read_again(servers, target, rebecos):
    """All rows are there within seconds: what pg_dump said before them has what comes after them. One that was broken off is read anew."""
    source = servers("dumped", "app", log_connections="on")
    source.run("CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY REFERENCES a); CREATE INDEX later ON a (v)")
    before = dump(source)

    def dumps():
        with open(source.log_path) as f:
            return f.read().count("application_name=rebeco default schema")

    r = rebecos(source, target).start()
    r.wait_in_sync(60)
    same_schema(before, target)
    # Where it writes what only the source knows, the source's own program is asked as well.
    once = 2 if r.log_lines("this pg_dump is older than the source") else 1
    assert dumps() == once
    r.terminate()
    r.drop()
    target.psql("DROP SCHEMA rebeco CASCADE; DROP TABLE b; DROP TABLE a")
    r = rebecos(source, target)
    with held_back(target, "CREATE INDEX late") as waits:
        r.start()
        r.wait("the rest of the schema is under way", waits)
        r.kill9()
    r.start()
    r.wait_in_sync(60)
    same_schema(before, target)
    assert dumps() == 3 * once
    r.terminate()


def test_status_says_why_the_schema_is_not_copied(source, target, rebecos):
    """Before any table is there, too. Nothing was said to who asks from elsewhere than the daemon's log: "new"."""
    source.run("CREATE TABLE a (i int PRIMARY KEY); INSERT INTO a VALUES (1)")
    with source.admin() as c:
        c.run("CREATE TABLE public.theirs (i int)")
    r = rebecos(source, target).start()
    r.wait("it is said", lambda: "permission denied for table theirs" in r.command("status").out)
    assert "sync default: schema" in r.ok("status")
    with source.admin() as c:
        c.run("DROP TABLE public.theirs")
    r.wait_in_sync(60)
    assert "permission denied" not in r.ok("status")
    rig.check_equal(source, target)
    r.terminate()


def test_a_schema_that_we_may_not_use(source, target, rebecos):
    """What belongs there is named; everything else is copied. One look at it ended the look at all objects."""
    source.run("CREATE SCHEMA audit; CREATE TABLE audit.x (a int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, v int);"
               "CREATE VIEW audit.v AS SELECT * FROM t; INSERT INTO t VALUES (1, 1); INSERT INTO audit.x VALUES (1)")
    with target.admin() as c:
        c.run("CREATE SCHEMA audit")
    r = rebecos(source, target).start()
    r.wait_phase("follow", 60)
    assert set(problems(target)) >= {"TABLE audit.x", "VIEW audit.v"}
    assert "permission denied for schema audit" in problems(target)["TABLE audit.x"]
    assert "audit.x" in r.ok("status")
    source.run("UPDATE t SET v = 2")
    rig.wait_converged(source, target, ignore=("audit.x",))
    r.terminate()
    with target.admin() as c:
        c.run("GRANT ALL ON SCHEMA audit TO rds")
    r.start()
    r.wait("the rest is there", lambda: problems(target) == {}, 60)
    r.wait_in_sync(60)
    rig.check_equal(source, target)
    r.terminate()


def test_functions_that_need_a_search_path(source, target, rebecos):
    """pg_restore has none, nor have our sessions: where a function needs one, that is what people are told. The server's own
    hint is to add type casts."""
    source.psql("""
        CREATE FUNCTION half(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN i / 2; END';
        CREATE FUNCTION quarter(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN half(half(i)); END';
        CREATE TABLE t (id int PRIMARY KEY, v int CHECK (quarter(v) < 100));
        CREATE TABLE u (id int PRIMARY KEY, v int);
        CREATE INDEX ui ON u (quarter(v));
        INSERT INTO t SELECT i, i FROM generate_series(1, 50) i; INSERT INTO u SELECT * FROM t""")
    r = rebecos(source, target).start()
    r.wait("it is said of the table", lambda: "Rebeco's sessions have no search_path" in r.ok("status"))
    assert "half(integer) does not exist" in r.ok("status")
    target.run("ALTER FUNCTION quarter(int) SET search_path = public")
    r.ok("retry", "t")
    r.wait_phase("follow", 60)
    assert set(problems(target)) <= {"INDEX public.ui"}
    assert all("search_path" in h for h, in target.run("SELECT hint FROM rebeco.problem WHERE kind = 'schema'"))
    r.terminate()
    r.start()
    r.wait("nothing is missing", lambda: problems(target) == {}, 60)
    r.wait_in_sync(60)
    rig.check_equal(source, target)
    r.terminate()


def test_what_pg_dump_may_not_read_is_for_a_person(source, target, rebecos):
    """A Job ends and says what to do, instead of asking for the same again for ever; left out, it goes without."""
    source.run("CREATE TABLE a (i int PRIMARY KEY); INSERT INTO a VALUES (1)")
    with source.admin() as c:
        c.run("CREATE SCHEMA hidden; CREATE TABLE hidden.theirs (i int PRIMARY KEY)")
    r = rebecos(source, target, config=rig.config())
    r.start("--until", "in-sync")
    assert r.wait_exit(60) == 4
    line = r.log_lines("cannot go on without a person")[-1]
    assert "permission denied for schema hidden" in line and "GRANT USAGE ON SCHEMA" in line and "tables.exclude" in line
    assert len(r.log_lines("pg_dump could not read")) == 2, r.log_tail()
    r.configure(rig.config(tables={"exclude": ["hidden.*"]}))
    r.start("--until", "in-sync")
    assert r.wait_exit(60) == 0
    assert target.value("SELECT i FROM a") == 1
