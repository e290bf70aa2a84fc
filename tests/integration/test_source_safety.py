"""The source's application comes first: what Rebeco does there may neither fail nor hold up a statement
of the application, whoever writes and whatever is altered."""

import time

import psycopg2
import pytest
import rig

HOLD_S = 60 if rig.LONG else 8
LOCK_TIMEOUT_S = 0.2  # the default of syncs[].lock_timeout
# How much longer than the lock timeout a statement may take on a machine that does other things too.
SLACK_S = 0.5

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.busy (id int PRIMARY KEY, n int NOT NULL);
CREATE TABLE shop.calm (id int PRIMARY KEY, n int NOT NULL);
INSERT INTO shop.busy SELECT i, 0 FROM generate_series(1, 1000) i;
INSERT INTO shop.calm SELECT i, 0 FROM generate_series(1, 1000) i;
"""


class Clock:
    """The longest that any call took, per name."""

    def __init__(self):
        self.longest = {}

    def run(self, name, call):
        started = time.monotonic()
        call()
        self.longest[name] = max(self.longest.get(name, 0.0), time.monotonic() - started)


def timed_writer(clock, *tables):
    def write(c, rng, number):
        for table in tables:
            clock.run(table, lambda t=table: c.run(
                f"UPDATE {t} SET n = n + 1 WHERE id = %s", rng.randint(10, 1000)))
            c.raw.commit()
    return write


# ------------------------------------------------------------------ installing


@pytest.mark.parametrize("held", ["source", "target"])
def test_each_end_is_installed_for_itself(source, target, rebeco, held):
    """Another daemon installs at one end just then. The other end's transaction is over before that one's has begun to wait: two daemons
    with these ends the other way round never wait for each other."""
    source.psql(TABLES)
    there, other = (source, target) if held == "source" else (target, source)
    with there.connect() as holder:
        holder.run("BEGIN")
        holder.run("SELECT pg_advisory_xact_lock(7239101)")
        rebeco.start()
        rig.eventually("the other end has our objects", lambda: other.value("SELECT to_regclass('rebeco.version') IS NOT NULL"))
        assert holder.value("SELECT to_regclass('rebeco.version')") is None
        rig.eventually("its transaction has ended", lambda: other.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7239101") == 0)
        holder.run("COMMIT")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


@pytest.mark.limit(240)
@pytest.mark.parametrize("lock", [
    "UPDATE shop.busy SET n = -1 WHERE id = 1",
    "LOCK TABLE shop.busy IN SHARE UPDATE EXCLUSIVE MODE",  # as ANALYZE and VACUUM have it
])
def test_installing_on_a_locked_table(source, target, rebeco, lock):
    """A transaction keeps a lock on a table. Installation waits for it in small steps: it neither fails
    nor makes any other writer wait longer than lock_timeout at a time, and it says who it is."""
    source.psql(TABLES)
    clock = Clock()
    with source.connect() as holder:
        holder.run("BEGIN")
        holder.run(lock)
        pid = holder.value("SELECT pg_backend_pid()")
        with rig.Crew(source, timed_writer(clock, "shop.busy", "shop.calm"), 3) as crew:
            rebeco.start()
            end = time.monotonic() + HOLD_S
            if "UPDATE " in lock[:7]:
                rebeco.wait("the log names the session that is in the way", lambda: any(
                    str(pid) in line for line in rebeco.log_lines("busy")), 20)
            while time.monotonic() < end:
                rebeco.check_alive()
                time.sleep(0.2)
            if "UPDATE " in lock[:7]:
                assert source.value("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'shop.busy'::regclass "
                                    "AND NOT tgisinternal") == 0, "the lock did not stand in the way"
            holder.run("COMMIT")
            rebeco.wait_phase("follow", 90)
            crew.stop()
    rebeco.wait_in_sync()
    assert rig.compare(source, target) == []
    worst = max(clock.longest.values())
    assert worst < LOCK_TIMEOUT_S + SLACK_S, f"a writer waited {worst:.2f} s: {clock.longest}"


@pytest.mark.limit(240)
def test_the_lock_timeout_is_the_users(source, target, rebecos):
    """With a lock_timeout of 2 s a writer may wait about that long, and does: the option is obeyed."""
    source.psql(TABLES)
    clock = Clock()
    rebeco = rebecos(source, target, config="""
databases: { a: { url: "{source}" }, b: { url: "{target}" } }
syncs: [ { name: app, source: a, target: b, lock_timeout: 2s } ]
""")
    with source.connect() as holder:
        holder.run("BEGIN")
        holder.run("UPDATE shop.busy SET n = -1 WHERE id = 1")
        with rig.Crew(source, timed_writer(clock, "shop.busy"), 2) as crew:
            rebeco.start()
            rebeco.wait("a writer queued behind us", lambda: clock.longest.get("shop.busy", 0) > 1.2, 40)
            holder.run("COMMIT")
            rebeco.wait_phase("follow", 60)
            crew.stop()
    assert clock.longest["shop.busy"] < 2 + SLACK_S, clock.longest


def test_installing_beside_an_access_exclusive_lock(source, target, rebeco):
    """Somebody's ALTER TABLE takes long: the other tables need not wait for it."""
    source.psql(TABLES)
    with source.connect() as holder:
        holder.run("BEGIN")
        holder.run("LOCK TABLE shop.busy IN ACCESS EXCLUSIVE MODE")
        rebeco.start()
        time.sleep(3)
        rebeco.check_alive()
        holder.run("COMMIT")
        rebeco.wait_in_sync(60)
    assert rig.compare(source, target) == []


def test_a_long_transaction_elsewhere_does_not_hold_up_the_copy(source, target, rebeco):
    """It was open before capture was installed and writes afterwards; nothing of it is lost."""
    source.psql(TABLES + "CREATE TABLE shop.unrelated (id int PRIMARY KEY);")
    with source.connect() as old:
        old.run("BEGIN")
        old.run("INSERT INTO shop.unrelated VALUES (1)")
        rebeco.start()
        rebeco.wait("the rows of other tables arrive", lambda: target.value(
            "SELECT count(*) FROM shop.calm") == 1000, 40)
        old.run("UPDATE shop.busy SET n = 5 WHERE id = 5")
        old.run("COMMIT")
    rebeco.wait_in_sync(60)
    assert rig.compare(source, target) == []


def test_no_transaction_is_kept_open_while_following(source, rebeco):
    """An old snapshot of ours would stop the source's vacuum from cleaning up."""
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    with source.admin() as c, rig.Crew(source, timed_writer(Clock(), "shop.calm"), 1):
        oldest = 0.0
        for _ in range(40):
            oldest = max(oldest, float(c.value(
                "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity "
                "WHERE application_name LIKE 'rebeco%'")))
            time.sleep(0.1)
    assert oldest < 2.0, f"a transaction of ours was open for {oldest:.1f} s"


# ------------------------------------------------------------------ who writes

EVIL = """
CREATE SCHEMA evil;
GRANT ALL ON SCHEMA evil TO clerk;
GRANT USAGE ON SCHEMA shop TO clerk;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA shop TO clerk;
"""

# What a role with a schema of its own can put in the way of names that are not pinned.
SHADOWS = """
CREATE FUNCTION evil.txid_current() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
CREATE FUNCTION evil.pg_current_xact_id() RETURNS xid8 LANGUAGE sql AS 'SELECT ''1''::xid8';
CREATE FUNCTION evil.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT ''rebeco''::text';
CREATE FUNCTION evil.nothing(anyelement, anyelement) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION evil.never(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.never);
CREATE OPERATOR evil.<> (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.never);
SET search_path = evil, pg_catalog, shop;
CREATE TEMP TABLE log_1_0 (k1 int, xid bigint, op "char");
CREATE TEMP TABLE capture (LIKE pg_class);
CREATE TEMP TABLE new_rows (id int);
CREATE TEMP TABLE old_rows (id int);
CREATE TEMP TABLE pg_class (oid oid);
"""


@pytest.mark.parametrize("form", ["row", "statement", "auto"])
def test_another_role_writes(source, target, rebecos, form):
    """A role that may write the tables, and was granted nothing of ours, with names in its search_path
    that are meant to mislead."""
    source.psql(TABLES + EVIL)
    rebeco = rebecos(source, target, config=f"""
databases: {{ a: {{ url: "{{source}}" }}, b: {{ url: "{{target}}" }} }}
syncs: [ {{ name: app, source: a, target: b, capture: {form} }} ]
""")
    rebeco.start()
    rebeco.wait_in_sync()
    assert source.value("SELECT form FROM rebeco.capture LIMIT 1") == {"auto": "mixed"}.get(form, form)
    with source.connect("clerk") as c:
        assert c.value("SELECT has_schema_privilege('rebeco', 'USAGE')") is False
        for statement in SHADOWS.strip().split(";\n"):
            c.run(statement.rstrip(";"))
        c.run("INSERT INTO shop.busy SELECT i, 1 FROM generate_series(2001, 2050) i")
        c.run("UPDATE shop.busy SET n = 7 WHERE id OPERATOR(pg_catalog.=) 3")
        c.run("UPDATE shop.busy SET id = id + 5000 WHERE id BETWEEN 100 AND 120")
        c.run("DELETE FROM shop.busy WHERE id BETWEEN 200 AND 220")
        c.run("TRUNCATE shop.calm")
        c.run("INSERT INTO shop.calm VALUES (1, 1)")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            c.run("SELECT * FROM rebeco.capture")
    rebeco.wait_in_sync()
    assert rig.compare(source, target) == []


def test_row_security_hides_nothing_from_us(source, target, rebeco):
    """A policy must be an error or not apply, never a row that silently stays behind."""
    source.psql(TABLES + EVIL + "ALTER TABLE shop.busy ENABLE ROW LEVEL SECURITY; "
                "CREATE POLICY few ON shop.busy TO clerk USING (id < 10) WITH CHECK (true);")
    rebeco.start()
    rebeco.wait_in_sync()
    with source.connect("clerk") as c:
        c.run("INSERT INTO shop.busy VALUES (9000, 1)")
        c.run("UPDATE shop.busy SET n = 4")
    rebeco.wait_in_sync()
    assert rig.compare(source, target) == []


LAST_VALUES = """
CREATE ROLE web LOGIN;
CREATE TABLE keyed (id serial PRIMARY KEY, v text); CREATE TABLE keyless (id serial, v text);
CREATE TABLE split (id serial, v text) PARTITION BY RANGE (id); CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM (0) TO (1000);
GRANT ALL ON ALL TABLES IN SCHEMA public TO web; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO web;
"""


@pytest.mark.parametrize("form", ["row", "statement"])
def test_the_last_value_is_of_a_sequence_of_the_application(source, target, rebecos, form):
    """lastval() is how some drivers ask for the key of what they have inserted; of a sequence of ours another role may not even ask."""
    source.psql(LAST_VALUES.split(";")[0], user="postgres")
    source.psql(LAST_VALUES.split(";", 1)[1])
    rebeco = rebecos(source, target, rig.config(capture=form)).start()
    rebeco.wait_in_sync()
    for table in ("keyed", "keyless", "split"):
        rebeco.wait("it sleeps", lambda: source.value("SELECT last_value FROM rebeco.nap") == 1, 20)
        with source.connect("web") as c:
            c.run(f"INSERT INTO {table} (v) VALUES ('a'), ('b')")
            assert c.value("SELECT lastval()") == 2
            c.run(f"UPDATE {table} SET v = 'c' WHERE id = 1")
            c.run(f"DELETE FROM {table} WHERE id = 2")
            assert c.value("SELECT lastval()") == 2
        with source.connect() as c:
            c.run(f"INSERT INTO {table} (v) VALUES ('d')")
            c.run("TRUNCATE split")
            assert c.value("SELECT lastval()") == 3
    rebeco.wait_in_sync()
    assert rig.compare(source, target) == []


def test_a_limit_of_temporary_files_is_not_used_up(source, target, rebeco):
    """Transition tables are temporary files when they are large; hosted databases bound these."""
    source.run("ALTER SYSTEM SET temp_file_limit = '4MB'", user="postgres")
    source.run("SELECT pg_reload_conf()", user="postgres")
    source.psql("CREATE TABLE large (id int PRIMARY KEY, v text); CREATE TABLE small (id int PRIMARY KEY, v text); CREATE TABLE keyless (v text);"
                "INSERT INTO large SELECT i, repeat('x', 500) FROM generate_series(1, 30000) i")
    rebeco.start()
    rebeco.wait_in_sync()
    source.run("UPDATE large SET v = v || 'y'")
    source.run("INSERT INTO small SELECT * FROM large")
    source.run("INSERT INTO keyless SELECT v FROM large")
    source.run("DELETE FROM large")
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)


def test_another_role_makes_partitions(source, target, rebeco):
    """The owner's functions are nobody else's by default, and there is a publication of all tables, with which rows
    of a table without an identity cannot be removed."""
    for statement in ("CREATE ROLE web LOGIN", "GRANT web TO app", "GRANT CREATE ON SCHEMA public TO web", "CREATE PUBLICATION everything FOR ALL TABLES"):
        source.run(statement, user="postgres")
    source.psql("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    with source.connect("web") as c:
        c.run("CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)")
    rebeco.start()
    rebeco.wait_in_sync()
    for server, user in (source, "web"), (target, None):
        with server.connect(user) if user else server.connect() as c:
            c.run("CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20); CREATE TABLE p3 (id int PRIMARY KEY, v text)")
            if server is source:
                c.run("INSERT INTO p VALUES (1), (11); INSERT INTO p3 VALUES (21)")
            c.run("ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30)")
    rig.wait_converged(source, target, 40)
    rebeco.wait_in_sync()
    for server in (source, target):
        server.run("ALTER TABLE p DETACH PARTITION p2")
        server.run("TRUNCATE p2")
    source.run("UPDATE p SET v = 'x'")
    rig.wait_converged(source, target, 40)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_sessions_in_replica_role_are_captured(source, target, rebeco):
    """A superuser's script may run so, and so does a logical subscription."""
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    with source.admin() as c:
        c.run("SET session_replication_role = replica")
        c.run("UPDATE shop.busy SET n = 3")
        c.run("DELETE FROM shop.calm WHERE id < 100")
    rebeco.wait_in_sync()
    assert rig.compare(source, target) == []


@pytest.mark.parametrize("setting", [
    "statement_timeout = 200", "lock_timeout = 50", "transaction_isolation = serializable",
    "session_replication_role = replica", "search_path = ''", "plan_cache_mode = force_custom_plan",
    "check_function_bodies = off", "row_security = off", "standard_conforming_strings = off",
    "plpgsql.extra_errors = 'all'", "quote_all_identifiers = on", "array_nulls = off", "datestyle = 'SQL, DMY'"])
def test_settings_of_the_writer_do_not_matter(source, target, rebeco, setting):
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    who = source.admin if "replication_role" in setting else source.connect
    with who() as c:
        if "isolation" in setting:
            c.run("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        else:
            c.run(f"SET {setting}")
        c.run("UPDATE shop.busy SET n = 3")
        c.run("UPDATE shop.calm SET id = id + 5000 WHERE id > 900")
        c.run("TRUNCATE shop.busy")
        c.run("INSERT INTO shop.busy VALUES (1, 2)")
    rebeco.wait_in_sync()
    assert rig.compare(source, target) == []


# ------------------------------------------------------------------ ALTER TABLE under the writers' feet

# The writer names no column and no table: what fails then fails because of us. It finds the table by its
# number, so that it may be renamed.
ALTERED = """
CREATE SCHEMA shop;
CREATE SCHEMA attic;
CREATE TABLE shop.parent (id int PRIMARY KEY);
INSERT INTO shop.parent SELECT i FROM generate_series(0, 100) i;
CREATE SEQUENCE shop.numbers START 5000;
CREATE TABLE shop.item (
    id int NOT NULL DEFAULT nextval('shop.numbers') PRIMARY KEY,
    other int NOT NULL DEFAULT nextval('shop.numbers'),
    payload text DEFAULT 'new',
    number int DEFAULT 7
) %s;
%s
INSERT INTO shop.item SELECT i, i, 'row ' || i, i %% 100 FROM generate_series(1, 300) i;
CREATE TABLE shop.side (id int PRIMARY KEY, n int);
CREATE FUNCTION shop.write(t oid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %%s DEFAULT VALUES', t::regclass);
    EXECUTE format('UPDATE %%s SET payload = payload || ''.'' WHERE ctid IN (SELECT ctid FROM %%1$s ORDER BY random() LIMIT 3)', t::regclass);
    EXECUTE format('DELETE FROM %%s WHERE ctid IN (SELECT ctid FROM %%1$s ORDER BY random() LIMIT 1)', t::regclass);
END $$;
"""

ALTERATIONS = [
    "ALTER TABLE shop.item ADD a1 int",
    "ALTER TABLE shop.item ADD a2 text DEFAULT 'x' NOT NULL",
    "ALTER TABLE shop.item ADD a3 double precision DEFAULT random()",
    "ALTER TABLE shop.item ADD a4 int GENERATED ALWAYS AS (number + 1) STORED",
    "ALTER TABLE shop.item DROP a4",
    "ALTER TABLE shop.item DROP a1",
    "ALTER TABLE shop.item RENAME a2 TO a5",
    "ALTER TABLE shop.item RENAME number TO amount",
    "ALTER TABLE shop.item ALTER amount TYPE bigint",
    "ALTER TABLE shop.item ALTER amount TYPE text USING amount || '!'",
    "ALTER TABLE shop.item ALTER amount SET DEFAULT 'much'",
    "ALTER TABLE shop.item ALTER amount DROP DEFAULT",
    "ALTER TABLE shop.item ALTER a5 DROP NOT NULL",
    "ALTER TABLE shop.item ALTER payload SET STATISTICS 50",
    "ALTER TABLE shop.item ALTER payload SET STORAGE EXTERNAL",
    "ALTER TABLE shop.item ADD CONSTRAINT fine CHECK (id > 0) NOT VALID",
    "ALTER TABLE shop.item VALIDATE CONSTRAINT fine",
    "ALTER TABLE shop.item RENAME CONSTRAINT fine TO finer",
    "ALTER TABLE shop.item DROP CONSTRAINT finer",
    "ALTER TABLE shop.item ADD CONSTRAINT twice UNIQUE (id, other)",
    "ALTER TABLE shop.item DROP CONSTRAINT twice",
    "ALTER TABLE shop.item REPLICA IDENTITY FULL",
    "ALTER TABLE shop.item REPLICA IDENTITY DEFAULT",
    "ALTER TABLE shop.item ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE shop.item DISABLE ROW LEVEL SECURITY",
    "CREATE INDEX item_amount ON shop.item (amount)",
    "REINDEX TABLE shop.item",
    "DROP INDEX shop.item_amount",
    "TRUNCATE shop.item",
    "ALTER TABLE shop.item RENAME TO thing",
    "ALTER TABLE shop.thing SET SCHEMA attic",
    "ALTER TABLE attic.thing SET SCHEMA shop",
    "ALTER TABLE shop.thing RENAME TO item",
    "ALTER TABLE shop.item DISABLE TRIGGER USER",
    "ALTER TABLE shop.item ENABLE TRIGGER USER",
    # What concerns the key:
    "ALTER TABLE shop.item RENAME id TO key",
    "ALTER TABLE shop.item RENAME other TO id",       # another column has the key's old name now
    "ALTER TABLE shop.item RENAME id TO other",
    "ALTER TABLE shop.item RENAME key TO id",
    "ALTER TABLE shop.item RENAME CONSTRAINT item_pkey TO key_of_item",
    "ALTER TABLE shop.item DROP CONSTRAINT key_of_item",
    "ALTER TABLE shop.item ADD CONSTRAINT item_pkey PRIMARY KEY (id)",
    "ALTER TABLE shop.item ALTER id TYPE bigint",
    "ALTER TABLE shop.item ALTER id TYPE int",
    "ALTER TABLE shop.item DROP CONSTRAINT item_pkey, ADD CONSTRAINT item_pkey PRIMARY KEY (other)",
    "ALTER TABLE shop.item DROP id",
    "ALTER TABLE shop.item ADD id int NOT NULL DEFAULT nextval('shop.numbers')",
    "ALTER TABLE shop.item DROP CONSTRAINT item_pkey, ADD CONSTRAINT item_pkey PRIMARY KEY (id)",
]

PLAIN_ONLY = [
    "ALTER TABLE shop.item SET (fillfactor = 50)",
    "ALTER TABLE shop.item RESET (fillfactor)",
    "ALTER TABLE shop.item SET UNLOGGED",
    "ALTER TABLE shop.item SET LOGGED",
    "ALTER TABLE shop.item CLUSTER ON item_pkey",
    "CLUSTER shop.item",
    "VACUUM FULL shop.item",
    "ALTER TABLE shop.item SET WITHOUT CLUSTER",
    "ALTER TABLE shop.item ADD CONSTRAINT up FOREIGN KEY (number) REFERENCES shop.parent NOT VALID",
    "ALTER TABLE shop.item DROP CONSTRAINT up",
]

PARTITIONED_ONLY = [
    "CREATE TABLE shop.item_3 PARTITION OF shop.item FOR VALUES FROM (20000000) TO (30000000)",
    "ALTER TABLE shop.item DETACH PARTITION shop.item_3",
    "ALTER TABLE shop.item ATTACH PARTITION shop.item_3 FOR VALUES FROM (20000000) TO (30000000)",
    "DROP TABLE shop.item_3",
]


def call_write(c, table):
    """One transaction of the writer. That the table got another name between two of its own statements is
    its own affair; whatever comes out of a trigger of ours has our schema in its context."""
    try:
        c.run("SELECT shop.write(%s)", table)
    except psycopg2.errors.UndefinedTable as e:
        if "rebeco" in str(e):
            raise
        c.raw.rollback()


def alter_under_writers(source, target, rebeco, alterations):
    rebeco.start()
    rebeco.wait_in_sync()
    table = source.value("SELECT 'shop.item'::regclass::oid")

    def write(c, rng, number):
        if number == 0:
            c.run("INSERT INTO shop.side SELECT coalesce(max(id), 0) + 1, 1 FROM shop.side")
        call_write(c, table)

    with rig.Crew(source, write, 2) as crew, source.connect() as c:
        for alteration in alterations:
            done = crew.done
            for _ in range(20):  # the writers' locks may make a deadlock of it
                try:
                    c.run(alteration)
                    break
                except (psycopg2.errors.DeadlockDetected, psycopg2.errors.LockNotAvailable):
                    time.sleep(0.05)
            rig.eventually(f"the writers go on after: {alteration}",
                           lambda: crew.trouble is not None or crew.done > done + 3, 20)
            assert crew.trouble is None, f"after {alteration!r} a writer got: {crew.trouble}"
        crew.stop()
    rebeco.check_alive()
    for alteration in alterations:
        target.run(alteration)
    source.run("INSERT INTO shop.side VALUES (-1, -1)")
    rig.wait_converged(source, target, 60)
    # A copy that began between two of the target's alterations is made again, though both ends are equal by then.
    rebeco.wait("no table stands still", lambda: rebeco.command("kick", "--wait").code == 0, 60)
    source.run("SELECT shop.write(%s)", table)
    rebeco.wait_in_sync()
    assert rig.compare(source, target) == []


@pytest.mark.limit(240)
@pytest.mark.parametrize("form", ["row", "statement", "auto"])
def test_altering_a_table_never_fails_its_writers(source, target, rebecos, form):
    source.psql(ALTERED % ("", ""))
    rebeco = rebecos(source, target, config=f"""
databases: {{ a: {{ url: "{{source}}" }}, b: {{ url: "{{target}}" }} }}
syncs: [ {{ name: app, source: a, target: b, capture: {form} }} ]
""")
    alter_under_writers(source, target, rebeco, PLAIN_ONLY + ALTERATIONS)


@pytest.mark.limit(240)
def test_altering_a_partitioned_table_never_fails_its_writers(source, target, rebeco):
    # The key is the partition key here, which may be renamed but neither dropped nor retyped.
    source.psql(ALTERED % ("PARTITION BY RANGE (id)",
                           "CREATE TABLE shop.item_1 PARTITION OF shop.item FOR VALUES FROM (0) TO (100);"
                           "CREATE TABLE shop.item_2 PARTITION OF shop.item FOR VALUES FROM (100) TO (10000000);"))
    unfit = ("ALTER id TYPE", "DROP id", "ADD id", "PRIMARY KEY (other)", "NOT VALID", "VALIDATE")
    rest = [a for a in ALTERATIONS if not any(word in a for word in unfit) and "finer" not in a]
    alter_under_writers(source, target, rebeco, PARTITIONED_ONLY + rest)


def test_a_type_is_dropped(source, target, rebeco):
    """A change log has columns of it. With CASCADE these go, the triggers with them, and nothing else."""
    source.psql("CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE keyed (m mood PRIMARY KEY, n int); CREATE TABLE keyless (m mood);"
                "INSERT INTO keyed VALUES ('good', 1); INSERT INTO keyless VALUES ('bad')")
    rebeco.start()
    rebeco.wait_in_sync()
    for server in (source, target):
        server.psql("BEGIN; ALTER TABLE keyed ALTER m TYPE text; ALTER TABLE keyless ALTER m TYPE text; DROP TYPE mood CASCADE; COMMIT")
        if server is source:
            source.psql("INSERT INTO keyed VALUES ('fine', 2); UPDATE keyed SET m = 'well' WHERE n = 1; UPDATE keyless SET m = 'so'; TRUNCATE keyless")
    source.run("INSERT INTO keyless VALUES ('la')")
    rig.wait_converged(source, target, 40)
    rebeco.wait_in_sync()
    source.psql("UPDATE keyed SET n = n + 1; UPDATE keyless SET m = 'well'")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


@pytest.mark.parametrize("what", [
    "DROP SCHEMA rebeco CASCADE",
    "DROP TABLE rebeco.capture, rebeco.consumer, rebeco.consumer_table CASCADE",
    "DROP SEQUENCE rebeco.nap CASCADE",
    "DO $$ BEGIN EXECUTE (SELECT string_agg(format('DROP TABLE %s CASCADE;', oid::regclass), ' ') FROM pg_class "
    "WHERE relnamespace = 'rebeco'::regnamespace AND relkind = 'r' AND relname ~ '^log_'); END $$",
])
def test_who_removes_our_objects_by_hand_breaks_no_writer(source, rebeco, what):
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    with rig.Crew(source, timed_writer(Clock(), "shop.busy", "shop.calm"), 2) as crew:
        for _ in range(20):
            try:
                source.run(what)
                break
            except psycopg2.errors.DeadlockDetected:
                time.sleep(0.05)
        done = crew.done
        rig.eventually("the writers go on", lambda: crew.trouble is not None or crew.done > done + 50, 20)
        crew.stop()
    rebeco.sweep()


# ------------------------------------------------------------------ a target that is away


def test_a_growing_log_is_reported_in_time(source, target, rebecos):
    """The target is away, the source's disk fills: said long before it is full."""
    source.psql(TABLES)
    rebeco = rebecos(source, target, config="""
databases: { a: { url: "{source}" }, b: { url: "{target}" } }
syncs: [ { name: app, source: a, target: b, log_limit: 1MB } ]
""")
    rebeco.start()
    rebeco.wait_in_sync()
    target.stop()
    for _ in range(40):
        source.run("UPDATE shop.busy SET n = n + 1")
    assert source.value("SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'rebeco'::regnamespace "
                        "AND relname ~ '^log_'") > 1 << 20
    rebeco.wait("the log says that the change logs are over the limit", lambda: any(
        "level=warning" in line or "level=error" in line for line in rebeco.log_lines("change logs")), 40)
    target.start()
    rebeco.wait_in_sync(60)
    assert rig.compare(source, target) == []
