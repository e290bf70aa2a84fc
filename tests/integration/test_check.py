"""`rebeco check`: every code appears where its situation is, none where it is not, and nothing changes.

Every case has databases of its own on servers that the whole file shares; what concerns a whole
server has servers of its own. A case is made at clean ends, so that its code has one cause."""

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

import rig

BLOCKER, WARNING, NOTE = "blocker", "warning", "note"
ALWAYS = {"disk-need", "log-growth"}  # numbers for everybody
SHOP = "CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL);"


class End:
    """One database of a server: SQL as its owner or as superuser."""

    def __init__(self, server, database):
        self.server, self.database = server, database
        self.held = []

    def url(self, user=None):
        return self.server.url(user, self.database)

    def run(self, sql, user=None):
        if sql:
            self.server.psql(sql, user, self.database)

    def admin(self, sql):
        self.run(sql, "postgres")

    def hold(self, sql, user=None):
        """Runs SQL in a transaction that stays open until the end of the test."""
        c = rig.Connection(self.url(user))
        self.held.append(c)
        c.raw.autocommit = False
        c.run(sql)
        return c

    def release(self):
        for c in self.held:
            c.close()
        self.held = []


class Pair:
    def __init__(self, source, target):
        self.source, self.target = source, target

    def check(self, *args, config=None, source_user=None, target_user=None, env=None):
        r = rig.Rebeco(self.source.url(source_user), self.target.url(target_user), config=config, env=env)
        return r.command("check", *args)

    def findings(self, **how):
        """{(code, side): finding} of `check --json`; the exit code must fit."""
        r = self.check("--json", **how)
        assert r.code in (0, 3), r.err
        doc = r.json
        found = {(f["code"], f["side"]): f for f in doc["findings"]}
        assert len(found) == len(doc["findings"])
        for severity in (BLOCKER, WARNING, NOTE):
            assert doc[severity + "s"] == sum(f["severity"] == severity for f in doc["findings"])
        assert r.code == (3 if doc["blockers"] else 0)
        return found

    def must_find(self, code, side, severity, text="", **how):
        found = self.findings(**how)
        assert (code, side) in found, f"no {code} at the {side}; found {sorted(found)}"
        finding = found[code, side]
        assert finding["severity"] == severity
        assert finding["means"] and finding["remedy"] and finding["objects"]
        assert text in json.dumps(finding["objects"], ensure_ascii=False), finding["objects"]
        return found


@pytest.fixture(scope="module")
def shared():
    """The two servers of most cases."""
    more = {"autovacuum": "off", "max_logical_replication_workers": "0"}
    made = [rig.Server("check-source", "app", os.environ.get("REBECO_PG_SOURCE"), **more),
            rig.Server("check-target", "rds", os.environ.get("REBECO_PG_TARGET"), **more)]
    yield made
    for server in made:
        server.drop()


_numbers = iter(range(1, 100000))


@pytest.fixture
def pairs(shared):
    """Makes pairs of new databases on the shared servers: pairs(source_options, target_options)."""
    made = []

    def make(source="", target="", source_owner="app", target_owner="rds"):
        number = next(_numbers)
        ends = []
        for server, owner, options in zip(shared, (source_owner, target_owner), (source, target)):
            end = End(server, f"case{number}")
            with server.admin("postgres") as c:
                c.run(f"CREATE DATABASE {end.database} OWNER {owner} TEMPLATE template0 {options}")
            ends.append(end)
            made.append(end)
        return Pair(*ends)

    yield make
    for end in made:
        end.release()
        with end.server.admin("postgres") as c:
            c.run(f"DROP DATABASE {end.database} WITH (FORCE)")


@pytest.fixture
def pair(pairs):
    return pairs()


def always(pair):
    """What is found at clean ends: with a source newer than every pg_dump here, one thing more."""
    dumps = [int(v) for v in os.listdir("/usr/lib/postgresql") if v.isdigit()]
    said = subprocess.run(["pg_dump", "--version"], capture_output=True, text=True).stdout  # the rig puts newer ones in front of PATH
    dumps += [int(v) for v in re.findall(r"\) (\d+)", said)]
    return ALWAYS | ({"pg-dump-missing"} if pair.source.server.major > max(dumps, default=0) else set())


def of_servers(source, target):
    return Pair(End(source, "app"), End(target, "app"))


# ------------------------------------------------------------------ the table

EXPECT = "databases: {a: {url: '{source}'}, b: {url: '{target}'}}\nsyncs: [{name: x, source: a, target: b, schema: expect}]\n"
COPY = EXPECT.replace("expect", "copy")
TWO_WAY = EXPECT.replace("schema: expect", "mode: two-way")
NOISY = """CREATE FUNCTION noise() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
    CREATE TRIGGER noise BEFORE INSERT ON item FOR EACH """


class Case:
    """source and target: SQL as the owner; *_admin: as superuser, first. text: must be in an object."""

    def __init__(self, code, side, severity, source="", target="", source_admin="", target_admin="",
                 text="", config=None, target_user=None, source_user=None, base=True):
        self.code, self.side, self.severity, self.text = code, side, severity, text
        self.source, self.target = (SHOP if base else "") + source, target
        self.source_admin, self.target_admin = source_admin, target_admin
        self.how = {"config": config, "target_user": target_user, "source_user": source_user}


REBECO_SCHEMA = "CREATE SCHEMA rebeco;\n" + open(rig.TOP + "/schema/001_state.sql").read()
WITHIN = "CREATE TABLE note (id int PRIMARY KEY, body text);"

CASES = [
    # ---- servers and databases
    Case("check-failed", "source", WARNING, source_admin="REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
         text="check_identity"),
    Case("read-only", "source", WARNING,
         source_admin="DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', "
                      "current_database()); END $$",
         source="", base=False),
    Case("schema-not-ours", "source", BLOCKER, source="CREATE SCHEMA rebeco; CREATE TABLE rebeco.invoices (id int)",
         text="no table"),
    Case("schema-not-ours", "target", BLOCKER, target_admin=REBECO_SCHEMA, text="no member"),
    Case("state-newer", "target", BLOCKER, target=REBECO_SCHEMA + "INSERT INTO rebeco.version VALUES (999)", text="999"),
    Case("captured-already", "source", NOTE,
         source=REBECO_SCHEMA + "INSERT INTO rebeco.consumer (consumer, sync) VALUES ('c', 'other')", text="other"),
    Case("plpgsql-missing", "source", BLOCKER, source_admin="REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC"),
    Case("plpgsql-missing", "target", BLOCKER, target_admin="DROP EXTENSION plpgsql"),
    Case("superuser", "source", NOTE, source_user="postgres"),
    Case("superuser", "target", NOTE, target_user="postgres"),
    Case("timeout-set", "source", NOTE, text="statement_timeout",
         source_admin="DO $$ BEGIN EXECUTE format('ALTER ROLE app IN DATABASE %I SET statement_timeout = 7000', "
                      "current_database()); END $$"),
    Case("connections-short", "target", BLOCKER, text="Rebeco needs 10",
         target_admin="DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 5', current_database()); END $$"),
    Case("connections-tight", "source", WARNING, text="of 15",
         source_admin="DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 15', current_database()); END $$"),
    Case("event-trigger", "source", WARNING, text="watch",
         source_admin="CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
                      "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch()"),
    Case("event-trigger", "target", WARNING, text="watch",
         target_admin="CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
                      "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch()"),
    Case("collation-version", "source", WARNING, text="french", source="CREATE TABLE s (a text COLLATE french PRIMARY KEY)",
         source_admin="CREATE COLLATION public.french (provider = icu, locale = 'fr');"
                      "UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'french'",
         target_admin="CREATE COLLATION public.french (provider = icu, locale = 'fr')"),
    Case("large-objects", "source", WARNING, source="SELECT lo_create(0)", text="1 large"),
    Case("large-object-privilege", "source", WARNING, source_admin="SELECT lo_create(4711)", text="4711"),
    Case("publication-all-tables", "source", WARNING, source_admin="CREATE PUBLICATION every FOR ALL TABLES"),
    Case("publication-all-tables", "target", WARNING, target_admin="CREATE PUBLICATION every FOR ALL TABLES"),
    # ---- tables of the source
    Case("no-tables", "source", BLOCKER, base=False),
    Case("table-not-owned", "source", BLOCKER, text="theirs",
         source_admin="CREATE TABLE public.theirs (id int PRIMARY KEY); GRANT ALL ON public.theirs TO app"),
    Case("table-privilege", "source", BLOCKER, source="REVOKE TRIGGER ON item FROM app", text="TRIGGER"),
    Case("table-privilege", "source", BLOCKER, source="REVOKE SELECT ON item FROM app", text="SELECT"),
    Case("schema-usage", "source", BLOCKER, text="hall",
         source="CREATE SCHEMA hall; CREATE TABLE hall.t (id int PRIMARY KEY); REVOKE ALL ON SCHEMA hall FROM app"),
    Case("no-key", "source", WARNING, source="CREATE TABLE bare (a int)", text="no unique index"),
    Case("no-key", "source", WARNING, source="CREATE TABLE u (a int); CREATE UNIQUE INDEX u_a ON u (a)",
         text="may be NULL: a"),
    Case("no-key", "source", WARNING, source="CREATE TABLE u (a int NOT NULL); CREATE UNIQUE INDEX u_a ON u (a) WHERE a > 0",
         text="partial"),
    Case("no-key", "source", WARNING, source="CREATE TABLE u (a text NOT NULL); CREATE UNIQUE INDEX u_a ON u (lower(a))",
         text="expression"),
    Case("no-key", "source", WARNING, source="CREATE TABLE u (a int, b int GENERATED ALWAYS AS (a) STORED, PRIMARY KEY (a, b))", text="u_pkey (generated: b)"),
    Case("two-way-no-key", "source", BLOCKER, source="CREATE TABLE bare (a int)", text="no unique index", config=TWO_WAY),
    Case("two-way-no-key", "source", BLOCKER, text="tables.whole", config=TWO_WAY.replace("mode:", "tables: {whole: [public.item]}, mode:")),
    Case("two-way-trigger", "source", BLOCKER, source=NOISY + "ROW EXECUTE FUNCTION noise()", text="trigger noise", config=TWO_WAY),
    Case("two-way-trigger", "target", BLOCKER, target=SHOP + NOISY + "ROW EXECUTE FUNCTION noise()", text="trigger noise", config=TWO_WAY),
    Case("two-way-trigger-aware", "source", NOTE, text="trigger noise", config=TWO_WAY,
         source=NOISY + "ROW WHEN (current_setting('rebeco.applying', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION noise()"),
    Case("two-way-rule", "source", BLOCKER, text="rule gone", config=TWO_WAY, source="CREATE RULE gone AS ON DELETE TO item DO ALSO SELECT 1"),
    Case("two-way-rule", "target", BLOCKER, text="rule deaf", config=TWO_WAY, target=SHOP + "CREATE RULE deaf AS ON DELETE TO item DO INSTEAD NOTHING"),
    Case("two-way-sequence-cycle", "source", BLOCKER, text="public.c_id_seq", config=TWO_WAY,
         source="CREATE TABLE c (id bigint GENERATED ALWAYS AS IDENTITY (CYCLE) PRIMARY KEY)"),
    Case("two-way-sequence-short", "source", WARNING, text="32766 values are left", config=TWO_WAY,
         source="CREATE TABLE c (id smallserial PRIMARY KEY)"),
    Case("two-way-sequence-short", "source", WARNING, text="values are left for column n of public.d", config=TWO_WAY,
         source="CREATE SEQUENCE s MINVALUE -9 MAXVALUE 9 INCREMENT -1; CREATE TABLE d (id uuid PRIMARY KEY, n bigint DEFAULT nextval('s'))"),
    Case("two-way-sequence-cached", "source", NOTE, text="CACHE 20", config=TWO_WAY,
         source="CREATE TABLE c (id bigint GENERATED BY DEFAULT AS IDENTITY (CACHE 20) PRIMARY KEY)"),
    Case("two-way-natural-key", "source", NOTE, text="key (code, land)", config=TWO_WAY, source="CREATE TABLE zone (code int, land text, PRIMARY KEY (land, code))"),
    Case("two-way-unique", "source", WARNING, text="unique index mail_lower_idx", config=TWO_WAY,
         source="CREATE TABLE mail (id uuid PRIMARY KEY, a text); CREATE UNIQUE INDEX ON mail (lower(a))"),
    Case("two-way-unique", "source", WARNING, text="exclusion constraint stay_room_excl", config=TWO_WAY,
         source="CREATE TABLE stay (id uuid PRIMARY KEY, room uuid, EXCLUDE USING btree (room WITH =))"),
    Case("no-columns", "source", BLOCKER, source="CREATE TABLE nothing ()", text="nothing"),
    Case("row-security", "source", BLOCKER, text="item",
         source="ALTER TABLE item ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"),
    Case("target-rule", "target", BLOCKER, text="deaf",
         source="CREATE RULE deaf AS ON DELETE TO item DO INSTEAD NOTHING; ALTER TABLE item ENABLE ALWAYS RULE deaf"),
    Case("unlogged-table", "source", WARNING, source="CREATE UNLOGGED TABLE u (id int PRIMARY KEY)", text="public.u"),
    Case("other-replication", "source", WARNING, text="bucardo_delta",
         source="CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
                "CREATE TRIGGER bucardo_delta AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION f()"),
    Case("source-publication-identity", "source", WARNING, text="pub",
         source="CREATE TABLE u (a int NOT NULL UNIQUE); CREATE PUBLICATION pub FOR TABLE u"),
    Case("sequence-privilege", "source", BLOCKER, source="CREATE SEQUENCE q; REVOKE ALL ON SEQUENCE q FROM app", text="public.q"),
    Case("sequence-near-limit", "source", WARNING, source="CREATE SEQUENCE q MAXVALUE 100; SELECT setval('q', 90)",
         text="at 90 of 100"),
    Case("sequence-near-limit", "source", WARNING, text="at -90 of -100",
         source="CREATE SEQUENCE q INCREMENT -1 MINVALUE -100 MAXVALUE -1; SELECT setval('q', -90)"),
    Case("key-near-limit", "source", WARNING, text="32000",
         source="CREATE TABLE w (id smallserial PRIMARY KEY); SELECT setval('w_id_seq', 32000)"),
    Case("key-near-limit", "source", WARNING, text="2000000100",
         source="CREATE TABLE w (id int PRIMARY KEY); INSERT INTO w SELECT 2000000000 + g FROM generate_series(1, 100) g; ANALYZE w"),
    Case("invalid-index", "source", NOTE, text="broken",
         source="CREATE INDEX broken ON item (name)",
         target=""),
    Case("foreign-table", "source", NOTE, text="far",
         source_admin="CREATE EXTENSION file_fdw SCHEMA public; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
                      "CREATE FOREIGN TABLE public.far (a text) SERVER files OPTIONS (filename '/dev/null')"),
    Case("foreign-partition", "source", BLOCKER, text="public.far",
         source_admin="CREATE EXTENSION file_fdw SCHEMA public; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
                      "CREATE TABLE public.near (a text) PARTITION BY LIST (a); ALTER TABLE public.near OWNER TO app;"
                      "CREATE FOREIGN TABLE public.far PARTITION OF public.near DEFAULT SERVER files OPTIONS (filename '/dev/null')"),
    Case("inheritance", "source", NOTE, source="CREATE TABLE child (PRIMARY KEY (id)) INHERITS (item)", text="child"),
    Case("partitioned-table", "source", NOTE, text="2 partitions",
         source="CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);"
                "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (2); CREATE TABLE p2 PARTITION OF p DEFAULT"),
    Case("generated-column", "source", NOTE, text="column b",
         source="CREATE TABLE g (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a + 1) STORED)"),
    Case("identity-always", "source", NOTE, source="CREATE TABLE i (a int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)", text="column a"),
    Case("text-copy", "source", NOTE, text="column b public.two",
         source="CREATE TYPE two AS (x int, y int); CREATE TABLE c (a int PRIMARY KEY, b two, e text[])"),
    Case("disk-need", "source", NOTE, text="kB"),
    Case("log-growth", "source", NOTE, text="rows were written"),
    # ---- both ends
    Case("same-database", "target", BLOCKER),
    Case("collation-missing", "target", BLOCKER, text="odd_order",
         source_admin="CREATE COLLATION pg_catalog.odd_order (locale = 'C')",
         source="CREATE TABLE c (a text COLLATE odd_order PRIMARY KEY)"),
    Case("type-missing", "target", BLOCKER, text="public.odd", source="CREATE TABLE c (a int PRIMARY KEY, b public.odd)",
         source_admin="CREATE TYPE public.odd; CREATE FUNCTION public.odd_in(cstring) RETURNS public.odd LANGUAGE internal "
                      "IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION public.odd_out(public.odd) RETURNS cstring LANGUAGE "
                      "internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE public.odd (INPUT = public.odd_in, "
                      "OUTPUT = public.odd_out, LIKE = text)"),
    Case("extension-unavailable", "target", BLOCKER, text="citext_of_ours",
         source="CREATE EXTENSION citext SCHEMA public; CREATE TABLE c (a public.citext PRIMARY KEY)"),
    Case("extension-unused", "target", WARNING, text="citext_of_ours", source="CREATE EXTENSION citext SCHEMA public"),
    Case("extension-not-installed", "target", WARNING, text='CREATE SCHEMA IF NOT EXISTS heroku_ext; CREATE EXTENSION citext SCHEMA heroku_ext;',
         source="CREATE SCHEMA heroku_ext; CREATE EXTENSION citext SCHEMA heroku_ext"),
    Case("extension-older", "target", WARNING, text="99.0 at the source", source="CREATE EXTENSION citext SCHEMA public",
         target="CREATE EXTENSION citext SCHEMA public"),
    Case("extension-schema", "target", WARNING, text="heroku_ext",
         source="CREATE SCHEMA heroku_ext; CREATE EXTENSION citext SCHEMA heroku_ext", target="CREATE EXTENSION citext SCHEMA public"),
    # ---- the target's tables
    Case("target-table-missing", "target", BLOCKER, config=EXPECT, text="public.item"),
    Case("target-table-missing", "target", BLOCKER, source=WITHIN, target=SHOP, text="public.note"),
    Case("target-table-exists", "target", WARNING, config=COPY, target=SHOP, text="public.item"),
    Case("target-not-a-table", "target", BLOCKER, target="CREATE VIEW item AS SELECT 1 AS id", text="a view"),
    Case("target-not-empty", "target", BLOCKER, target=SHOP + "INSERT INTO item VALUES (1, 'a')", text="public.item"),
    Case("target-table-privilege", "target", BLOCKER, target=SHOP + "REVOKE UPDATE, TRUNCATE ON item FROM rds",
         text="TRUNCATE, UPDATE"),
    Case("target-schema-privilege", "target", BLOCKER, text="hall", source="CREATE SCHEMA hall; CREATE TABLE hall.t (id int PRIMARY KEY)",
         target_admin="CREATE SCHEMA hall"),
    Case("target-key-missing", "target", BLOCKER, target="CREATE TABLE item (id bigint, name text)", text="(id)"),
    Case("target-column-missing", "target", BLOCKER, target="CREATE TABLE item (id bigint PRIMARY KEY)", text="column name text"),
    Case("target-column-type", "target", BLOCKER, target="CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL)",
         text="id is integer at the target, bigint at the source"),
    Case("target-column-generated", "target", BLOCKER, text="column name",
         target="CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL GENERATED ALWAYS AS ('x') STORED)"),
    Case("target-column-expression", "target", WARNING, text="column b is (a * 3) at the target, (a * 2) at the source",
         source="CREATE TABLE g (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED, c int GENERATED ALWAYS AS (a + 1) STORED)",
         target=SHOP + "CREATE TABLE g (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 3) STORED, c int GENERATED ALWAYS AS (a+1) STORED)"),
    Case("target-column-not-null", "target", BLOCKER, source=WITHIN, text="column body",
         target=SHOP + "CREATE TABLE note (id int PRIMARY KEY, body text NOT NULL)"),
    Case("target-column-required", "target", BLOCKER, target=SHOP + "ALTER TABLE item ADD more int NOT NULL", text="column more"),
    Case("target-column-extra", "target", NOTE, target=SHOP + "ALTER TABLE item ADD more int NOT NULL DEFAULT 1", text="column more"),
    Case("target-trigger", "target", WARNING, text="loud (fires always)",
         target=SHOP + "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
                       "CREATE TRIGGER loud AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION f();"
                       "ALTER TABLE item ENABLE ALWAYS TRIGGER loud"),
    Case("target-subscription", "target", WARNING, text="sub", target=SHOP,
         target_admin=""),
    Case("target-publication-identity", "target", BLOCKER, text="pub",
         source="CREATE TABLE u (a int NOT NULL UNIQUE)",
         target=SHOP + "CREATE TABLE u (a int NOT NULL UNIQUE); CREATE PUBLICATION pub FOR TABLE u"),
    Case("target-rule", "target", BLOCKER, text="deaf",
         target=SHOP + "CREATE RULE deaf AS ON DELETE TO item DO INSTEAD NOTHING; ALTER TABLE item ENABLE REPLICA RULE deaf"),
    Case("row-security", "target", BLOCKER, text="item",
         target=SHOP + "ALTER TABLE item ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"),
]

# What must be done after the tables are there, as superuser.
AFTERWARDS = {
    "invalid-index": ("source", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.broken'::regclass"),
    "extension-unavailable": ("source", "UPDATE pg_extension SET extname = 'citext_of_ours' WHERE extname = 'citext'"),
    "extension-unused": ("source", "UPDATE pg_extension SET extname = 'citext_of_ours' WHERE extname = 'citext'"),
    "extension-older": ("source", "UPDATE pg_extension SET extversion = '99.0' WHERE extname = 'citext'"),
    "target-subscription": (
        "target", "CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false, slot_name = NONE);"
                  "INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate) SELECT oid, 'public.item'::regclass, 'r' FROM "
                  "pg_subscription WHERE subname = 'sub' AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database());"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.code}-{c.side}")
def test_code(case, pairs):
    pair = pairs()
    pair.source.admin(case.source_admin)
    pair.target.admin(case.target_admin)
    if case.code != "read-only":
        pair.source.run(case.source)
    pair.target.run(case.target)
    if case.code in AFTERWARDS:
        side, sql = AFTERWARDS[case.code]
        getattr(pair, side).admin(sql)
    if case.code == "same-database":
        pair.target = Url(pair.source, pair.source.server.port, "?application_name=other")
        case.how["target_user"] = "app"
    try:
        pair.must_find(case.code, case.side, case.severity, case.text, **case.how)
    finally:
        if case.code == "target-subscription":
            pair.target.admin("DROP SUBSCRIPTION sub")


# ------------------------------------------------------------------ databases made in a special way


@pytest.mark.parametrize("code, severity, source, target", [
    ("encoding-unfit", BLOCKER, "", "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"),
    ("encoding-differs", WARNING, "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'", ""),
    ("encoding-unchecked", WARNING, "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'", ""),
    ("locale-differs", WARNING, "", "LC_COLLATE 'C'"),
])
def test_encoding_and_locale(pairs, code, severity, source, target):
    pair = pairs(source, target)
    pair.source.run(SHOP)
    pair.must_find(code, "target", severity)


def test_rules_of_a_collation_differ(shared, pairs):
    if min(server.major for server in shared) < 16:
        pytest.skip("databases have rules of their own from PostgreSQL 16 on")
    icu = "LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C.UTF-8'"
    pair = pairs(f"{icu} ICU_RULES '&z < a'", icu)
    pair.source.run(SHOP)
    pair.must_find("locale-differs", "target", WARNING, "with rules &z < a")


@pytest.mark.parametrize("side", ["source", "target"])
def test_database_create(pairs, side):
    pair = pairs(**{side + "_owner": "postgres"})
    pair.source.run(SHOP, "postgres")
    pair.must_find("database-create", side, BLOCKER, "CREATE")


def test_database_temp(pairs):
    pair = pairs(target_owner="postgres")
    pair.source.run(SHOP)
    pair.target.admin("DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$")
    pair.must_find("database-temp", "target", BLOCKER)


def test_collation_version_of_the_database(pair):
    if pair.source.server.major < 15:
        pytest.skip("databases have a collation version from PostgreSQL 15 on")
    pair.source.run(SHOP)
    pair.source.admin("UPDATE pg_database SET datcollversion = '1.0' WHERE datname = current_database()")
    pair.must_find("collation-version", "source", WARNING, "recorded 1.0")


def test_publication_of_a_schema(pair):
    if pair.target.server.major < 15:
        pytest.skip("schemas can be published from PostgreSQL 15 on")
    both = SHOP + "CREATE TABLE u (a int NOT NULL UNIQUE);"
    pair.source.run(both)
    pair.target.run(both)
    pair.target.admin("CREATE PUBLICATION whole FOR TABLES IN SCHEMA public")
    found = pair.must_find("target-publication-identity", "target", BLOCKER, "whole")
    assert [o["object"] for o in found["target-publication-identity", "target"]["objects"]] == ["public.u"]


def test_tablespace(pair, tmp_path):
    place = os.path.join(os.path.dirname(pair.source.server.data), f"space-{pair.source.database}")
    os.mkdir(place)
    pair.source.server.version.own(place)
    with pair.source.server.admin("postgres") as c:
        c.run(f"CREATE TABLESPACE roomy LOCATION '{pair.source.server.version.inside(place)}'")
        c.run("GRANT CREATE ON TABLESPACE roomy TO PUBLIC")
    try:
        pair.source.run(SHOP + "ALTER TABLE item SET TABLESPACE roomy")
        pair.must_find("tablespace", "source", NOTE, "roomy")
    finally:
        pair.source.run("DROP TABLE item")
        with pair.source.server.admin("postgres") as c:
            c.run("DROP TABLESPACE roomy")


# ------------------------------------------------------------------ a target that refuses replica role


def test_replica_role_refused(pairs):
    pair = pairs(target_owner="plain")
    pair.source.run(SHOP + "CREATE TABLE part (id int PRIMARY KEY, item bigint CONSTRAINT of_item REFERENCES item);"
                    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
                    "CREATE TRIGGER loud AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION f()")
    found = pair.must_find("replica-role-refused", "target", WARNING, target_user="plain")
    assert "loud (enabled)" in str(found["target-trigger", "target"])
    assert "of_item" in str(found["target-foreign-key", "target"])


def test_foreign_keys_that_are_there_early(pairs):
    pair = pairs(target_owner="plain")
    tables = SHOP + "CREATE TABLE part (id int PRIMARY KEY, item bigint CONSTRAINT of_item REFERENCES item{});"
    pair.source.run(tables.format(""))
    with pair.target.server.admin(pair.target.database) as c:
        c.run(tables.format(" ON DELETE CASCADE"))
    found = pair.must_find("target-foreign-key-early", "target", BLOCKER, "of_item", target_user="plain", config=EXPECT)
    assert found["target-foreign-key-acts", "target"]["severity"] == BLOCKER
    assert "of_item" in str(found["target-foreign-key-acts", "target"])


@pytest.mark.parametrize("code, rule, words", [
    ("column-list", "columns: {'public.item': [id, colour]}", "colour"),
    ("column-list", "columns: {'public.item': [name]}", "key column"),
    ("filter-refused", "where: {'public.item': 'colour > 1'}", "colour"),
])
def test_a_part_that_cannot_be_taken(pair, code, rule, words):
    pair.source.run(SHOP)
    config = EXPECT.replace("schema: expect", f"tables: {{{rule}}}")
    pair.must_find(code, "source", BLOCKER, words, config=config)


def test_two_tables_of_one_name(pair):
    tables = "CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE thing (id int PRIMARY KEY);"
    pair.source.run(tables)
    pair.target.run(tables)
    for more, is_found in (("", True), (", exclude: [public.thing]", False)):
        config = EXPECT.replace("schema: expect", "schema: expect, tables: {rename: {public.item: public.thing}" + more + "}")
        if is_found:
            pair.must_find("same-target", "source", BLOCKER, "public.thing", config=config)
        else:
            assert ("same-target", "source") not in pair.findings(config=config)


@pytest.mark.parametrize("code, rule, words", [
    ("counter-column", "conflict: {counters: {'public.item': [rating]}}", "double precision"),
    ("counter-column", "conflict: {counters: {'public.item': [id]}}", "primary key"),
    ("counter-column", "conflict: {counters: {'public.item': [price, double]}}", "generated"),
    ("counter-column", "conflict: {counters: {'public.item': [name]}}", "type text"),
    ("counter-column", "conflict: {counters: {'public.item': [colour]}}", "no such column"),
    ("counter-column", "conflict: {counters: {'public.item': [above]}}", "foreign key"),
])
def test_rows_that_cannot_be_merged(pair, code, rule, words):
    pair.source.run(SHOP + "ALTER TABLE item ADD rating float8, ADD price numeric, ADD double int GENERATED ALWAYS AS (id * 2) STORED, ADD above bigint REFERENCES item")
    config = EXPECT.replace("schema: expect", f"mode: two-way, {rule}")
    pair.must_find(code, "source", BLOCKER, words, config=config)


def test_replica_role_granted_silences_triggers(pair):
    both = SHOP + ("CREATE TABLE part (id int PRIMARY KEY, item bigint REFERENCES item);"
                   "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
                   "CREATE TRIGGER quiet AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION f()")
    pair.source.run(both)
    pair.target.run(both)
    user = "rds" if pair.target.server.major >= 15 else "postgres"
    found = pair.findings(target_user=user)
    assert {code for code, _ in found} - {"superuser"} == ALWAYS


# ------------------------------------------------------------------ what goes on now


def test_long_and_hidden_transactions(pair):
    pair.source.run(SHOP)
    pair.source.hold("INSERT INTO item VALUES (1, 'a')")
    pair.target.hold("SELECT 1", "postgres")
    time.sleep(10.5)
    found = pair.must_find("long-transaction", "source", WARNING, "role app")
    assert "RowExclusiveLock" in str(found["table-locked", "source"])
    assert found["sessions-hidden", "target"]["severity"] == NOTE


def test_prepared_transaction(pair):
    pair.source.run(SHOP + "BEGIN; INSERT INTO item VALUES (1, 'a'); PREPARE TRANSACTION 'wait''s'")
    try:
        found = pair.must_find("prepared-transaction", "source", WARNING, "wait''s")
        assert "a prepared transaction" in str(found["table-locked", "source"])
    finally:
        pair.source.run("ROLLBACK PREPARED 'wait''s'")


@pytest.mark.parametrize("side", ["source", "target"])
def test_table_locked(pair, side):
    pair.source.run(SHOP)
    pair.target.run(SHOP)
    getattr(pair, side).hold("LOCK TABLE item IN SHARE MODE")
    pair.must_find("table-locked", side, WARNING, "ShareLock")


def test_a_daemon_of_ours_is_not_in_the_way(pair):
    """`check` may be run while a sync runs: its own sessions are neither long nor too many."""
    pair.source.run(SHOP)
    pair.source.admin("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 26', current_database()); END $$")
    for _ in range(10):
        c = rig.psycopg2.connect(pair.source.url(), application_name="rebeco")
        pair.source.held.append(c)
        c.cursor().execute("LOCK TABLE item IN ROW EXCLUSIVE MODE")
    time.sleep(1.5)
    assert {code for code, side in pair.findings(target_user="postgres") if side == "source"} == always(pair)


def test_temporary_table(pair):
    pair.source.run(SHOP)
    pair.source.hold("CREATE TEMP TABLE mine (a int)").raw.commit()
    pair.must_find("temporary-table", "source", NOTE, "mine")


@pytest.fixture(scope="module")
def small():
    """A source with a small lock table and an eager autovacuum."""
    server = rig.Server("check-small", "app", os.environ.get("REBECO_PG_SOURCE"), max_locks_per_transaction="10",
                        max_connections="25", max_prepared_transactions="0", autovacuum_naptime="1s")
    yield server
    server.drop()


def _burn_transactions(server, count):
    """Uses up transaction ids, as fast as subtransactions do."""
    server.run(f"""DO $$ BEGIN FOR i IN 1..{count} LOOP
                       BEGIN PERFORM txid_current_if_assigned(); CREATE TEMP TABLE IF NOT EXISTS burn (a int);
                             INSERT INTO burn VALUES (1); EXCEPTION WHEN OTHERS THEN NULL; END;
                       IF i % 20000 = 0 THEN COMMIT; END IF;
                   END LOOP; END $$""", user="postgres", database="postgres")


@pytest.mark.limit(180)
def test_wraparound(small, shared):
    pair = Pair(End(small, "app"), End(shared[1], "app"))
    # Its own limit of age, and a vacuum that crawls.
    pair.source.run("CREATE TABLE old (id int PRIMARY KEY, body text) WITH (autovacuum_freeze_max_age = 100000, "
                    "autovacuum_enabled = off, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);"
                    "INSERT INTO old SELECT g, repeat('x', 500) FROM generate_series(1, 20000) g; ANALYZE old")
    _burn_transactions(small, 95000)
    found = pair.must_find("wraparound-near", "source", WARNING, "public.old")
    assert ("wraparound-vacuum", "source") not in found
    _burn_transactions(small, 10000)
    rig.eventually("an anti-wraparound vacuum runs",
                   lambda: pair.must_find("wraparound-vacuum", "source", WARNING, "public.old"), 60, 0.5)


def test_lock_table_small(small, shared):
    pair = Pair(End(small, "app"), End(shared[1], "app"))
    pair.source.run("".join(f"CREATE TABLE many{i} (id int PRIMARY KEY);" for i in range(200)))
    pair.must_find("lock-table-small", "source", WARNING, "room for about 250 locks")


# ------------------------------------------------------------------ the way to the servers


def _as_postgres():
    """Between fork and exec: as the servers, pgbouncer does not run as root, nor outlives the test."""
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    rig._libc.prctl(rig._PR_SET_PDEATHSIG, signal.SIGKILL)


def _pgbouncer(server, mode):
    """A pgbouncer in front of a server; ends with the test's process at the latest. Answers (process, port)."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    port = rig.free_port()
    home = os.path.join(rig.folder(), f"pgbouncer-{port}")
    os.mkdir(home)
    if os.getuid() == 0:
        shutil.chown(home, "postgres")
    with open(home + "/users", "w") as f:
        f.write('"app" ""\n"rds" ""\n')
    with open(home + "/ini", "w") as f:
        f.write(f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
                f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {home}/users\n"
                f"pool_mode = {mode}\nlogfile = {home}/log\nignore_startup_parameters = extra_float_digits,options\n")
    process = subprocess.Popen([program, home + "/ini"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, preexec_fn=_as_postgres)
    return process, port


def _is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def pgbouncer(server, mode):
    process, port = _pgbouncer(server, mode)
    try:
        rig.eventually("pgbouncer answers", lambda: _is_open(port))
        yield port
    finally:
        process.terminate()
        process.wait(10)


class Url:
    """An end that is reached at another address."""

    def __init__(self, end, port, more=""):
        self.end, self.port, self.more = end, port, more

    def url(self, user=None):
        return self.end.server.url(user, self.end.database, self.port) + self.more


@pytest.mark.parametrize("side", ["source", "target"])
def test_transaction_pooler(pair, side):
    pair.source.run(SHOP)
    end = getattr(pair, side)
    with pgbouncer(end.server, "transaction") as port:
        pooled = Pair(pair.source, pair.target)
        setattr(pooled, side, Url(end, port))
        found = pooled.must_find("pooler-transaction", side, BLOCKER)
        assert list(found) == [("pooler-transaction", side)]
        # The application's sessions in the pool are as they were.
        with rig.Connection(pooled.__dict__[side].url()) as c:
            assert c.value("SHOW search_path") == '"$user", public'
            assert c.value("SHOW transaction_read_only") == "off"
            assert c.value("SHOW lock_timeout") == "0"


def test_session_pooler(pair):
    pair.source.run(SHOP)
    with pgbouncer(pair.source.server, "session") as port:
        pooled = Pair(Url(pair.source, port), pair.target)
        found = pooled.must_find("pooler", "source", BLOCKER)
        assert ("pooler-transaction", "source") not in found


def test_load_balancer(shared, proxy, pair):
    pair.source.run(SHOP)
    balancer = proxy(shared[0])
    ports = [shared[0].port, shared[1].port]

    class Turns:
        """Answers as one server, then as the other."""
        name = "balanced"

        @property
        def port(self):
            ports.append(ports.pop(0))
            return ports[0]

    balancer.server = Turns()
    for server in shared:
        server.run(f"CREATE DATABASE {pair.source.database}x", user="postgres", database="postgres")
    try:
        url = shared[0].url("app", f"{pair.source.database}x", balancer.port)
        r = rig.Rebeco(url, pair.target.url()).command("check", "--json")
        assert r.code == 3
        assert [(f["code"], f["side"]) for f in r.json["findings"]] == [("load-balanced", "source")]
    finally:
        balancer.cut()
        for server in shared:
            server.run(f"DROP DATABASE {pair.source.database}x WITH (FORCE)", user="postgres", database="postgres")


def test_not_encrypted(shared):
    addresses = [a for a in subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
                 if ":" not in a]
    if not addresses:
        pytest.skip("this machine has no address but loopback")
    server = rig.Server("check-open", "app", os.environ.get("REBECO_PG_SOURCE"), listen_addresses=f"127.0.0.1,{addresses[0]}")
    try:
        with open(server.data + "/pg_hba.conf", "a") as f:
            f.write(f"host all all {addresses[0]}/32 trust\n")
        server.run("SELECT pg_reload_conf()", user="postgres")
        server.run(SHOP)
        pair = of_servers(server, shared[1])
        local = pair.findings()
        assert ("not-encrypted", "source") not in local
        pair.source.url = lambda user=None: f"postgresql://app@{addresses[0]}:{server.port}/app"
        rig.eventually("the new rule is in force",
                       lambda: pair.must_find("not-encrypted", "source", WARNING, addresses[0]), 10)
    finally:
        server.drop()


def test_standby_and_clone(shared, servers):
    source = servers("source", "app", os.environ.get("REBECO_PG_SOURCE"))
    source.run(SHOP)
    follower = source.standby()
    try:
        of_servers(follower, shared[1]).must_find("standby", "source", BLOCKER)
        of_servers(source, follower).must_find("standby", "target", BLOCKER, target_user="app")
        follower.run("SELECT pg_promote()", user="postgres")
        found = of_servers(source, follower).must_find("target-is-clone", "target", WARNING, target_user="app")
        assert ("same-database", "target") not in found
    finally:
        follower.drop()


def test_follower(shared, servers):
    source = servers("source", "app", os.environ.get("REBECO_PG_SOURCE"))
    source.run(SHOP)
    pair = of_servers(source, shared[1])

    def config(url):
        return EXPECT.replace("schema: expect", f"copy: {{follower: '{url}'}}")

    pair.must_find("follower-unreachable", "source", BLOCKER, "refused", config=config("postgresql://app@127.0.0.1:1/app"))
    pair.must_find("follower-foreign", "source", BLOCKER, "no standby", config=config(source.url()))
    follower = source.standby()
    try:
        found = pair.must_find("follower-cancels", "source", WARNING, "30s", config=config(follower.url()))
        assert ("follower-foreign", "source") not in found
        follower.run("ALTER SYSTEM SET hot_standby_feedback = on", user="postgres")
        follower.run("SELECT pg_reload_conf()", user="postgres")
        rig.eventually("the follower is as it should be", lambda: not [
            c for c, _ in pair.findings(config=config(follower.url())) if c.startswith("follower")], 10)
        # The servers of one owner are copies of one template; this one is of another make.
        other = of_servers(shared[1], shared[0]).findings(config=config(follower.url()))
        assert ("follower-foreign", "source") in other
    finally:
        follower.drop()


def test_clock_difference(shared, servers):
    server = servers("source", "app")
    if not server.shift_clock("+90s"):
        pytest.skip("no libfaketime for this server")
    server.run(SHOP)
    of_servers(server, shared[1]).must_find("clock-difference", "target", WARNING, "behind")


def test_pg_dump_missing(pair):
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).returncode != 0:
        pytest.skip("no mount namespaces here")
    pair.source.run(SHOP)
    hidden = "".join(f"test ! -d {d} || mount -t tmpfs none {d}; " for d in ("/usr/lib/postgresql",))
    r = subprocess.run(["unshare", "-rm", "sh", "-c", hidden + 'exec "$@"', "sh", rig.REBECO, "--source", pair.source.url(),
                        "--target", pair.target.url(), "check", "--json"], capture_output=True, text=True,
                       env={**os.environ, **rig.SANITIZERS, "PATH": "/usr/bin:/bin"})
    assert r.returncode == 3, r.stderr
    assert [f["code"] for f in json.loads(r.stdout)["findings"] if f["severity"] == BLOCKER] == ["pg-dump-missing"]


# ------------------------------------------------------------------ what cannot be had here: older servers


def _ask(server, statement, context):
    """Runs a file of sql/ as the program does, with a context of our own."""
    with open(f"{rig.TOP}/sql/{statement}.sql") as f:
        text = f.read()
    with server.connect() as c:
        c.run("SET search_path = pg_catalog")
        c.run("PREPARE q (text) AS " + text)
        return c.run("EXECUTE q (%s)", json.dumps(context))


@pytest.mark.parametrize("side", ["source", "target"])
def test_version_unsupported(shared, side):
    context = {"side": side, "schema": "rebeco", "creates": False, "connections": 1, "oids": []}
    server = shared[side == "target"]
    codes = [r[0] for r in _ask(server, "check_server", {**context, "minimum": 990000})]
    assert codes == ["version-unsupported"]
    assert _ask(server, "check_server", {**context, "minimum": server.major * 10000}) == []


def test_target_older(shared):
    source = {"version": 990001, "version_text": "99.1", "encoding": "UTF8", "collate": "C.UTF-8", "ctype": "C.UTF-8",
              "provider": "c", "extensions": [], "collations": [], "types": []}
    rows = _ask(shared[1], "check_pair", {"source_database": source})
    assert [r[0] for r in rows] == ["target-older"] and "99.1" in rows[0][2]
    source["version"] = shared[1].major * 10000
    assert _ask(shared[1], "check_pair", {"source_database": source}) == []


# ------------------------------------------------------------------ nothing where there is nothing


RICH = """
CREATE SCHEMA shop; CREATE TYPE shop.state AS ENUM ('new', 'paid');
CREATE TABLE shop.customer (id bigserial PRIMARY KEY, name text NOT NULL, born date, extra jsonb, tags text[]);
CREATE TABLE shop.purchase (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, customer bigint REFERENCES shop.customer,
                            state shop.state NOT NULL DEFAULT 'new', total numeric(12,2), CHECK (total >= 0));
CREATE INDEX ON shop.purchase (customer); CREATE VIEW shop.v AS SELECT * FROM shop.purchase;
CREATE MATERIALIZED VIEW shop.m AS SELECT state, count(*) FROM shop.purchase GROUP BY 1;
INSERT INTO shop.customer (name) SELECT 'c' || g FROM generate_series(1, 1000) g;
INSERT INTO shop.purchase (customer, total) SELECT g, g FROM generate_series(1, 1000) g;
"""


@pytest.mark.parametrize("config", [None, EXPECT, COPY], ids=["auto", "expect", "copy"])
def test_clean_pair(pair, config):
    """At clean ends there is nothing but the numbers."""
    pair.source.run(RICH)
    if config == EXPECT:
        pair.target.run(re.sub(r"INSERT INTO [^;]*;", "", RICH))
    user = "rds" if pair.target.server.major >= 15 else "postgres"
    found = pair.findings(config=config, target_user=user)
    assert {code for code, _ in found} - {"superuser"} == (ALWAYS if config == EXPECT else always(pair))


def test_two_way_says_nothing_of_what_is_good(pair):
    """Keys from sequences and of UUIDs; and one way asks none of it."""
    pair.source.run("CREATE TABLE a (id bigserial PRIMARY KEY); CREATE TABLE b (id uuid, at date, PRIMARY KEY (id, at));"
                    "CREATE TABLE c (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);"
                    "CREATE SEQUENCE s; CREATE TABLE d (id bigint PRIMARY KEY DEFAULT nextval('s'), u uuid UNIQUE, n bigserial UNIQUE, v int, UNIQUE (v, id))")
    assert not [c for c, _ in pair.findings(config=TWO_WAY) if c.startswith("two-way")]
    pair.source.run(SHOP + NOISY + "ROW EXECUTE FUNCTION noise(); CREATE TABLE k (v int)")
    assert {c for c, _ in pair.findings(config=TWO_WAY) if c.startswith("two-way")} == {"two-way-natural-key", "two-way-no-key", "two-way-trigger"}
    assert not [c for c, _ in pair.findings() if c.startswith("two-way")]


def test_nothing_changes(pair):
    """No transaction of ours is given a number, so none wrote anything; and the dumps are the same."""
    if always(pair) != ALWAYS:
        pytest.skip("no pg_dump here is new enough")
    pair.source.run(RICH)
    pair.target.run(SHOP + "INSERT INTO item VALUES (1, 'a')")

    def state(end):
        with end.server.admin(end.database) as c:
            next_xid = c.value("SELECT txid_snapshot_xmax(txid_current_snapshot())")
            counts = c.run("SELECT tup_inserted, tup_updated, tup_deleted FROM pg_stat_database "
                           "WHERE datname = current_database()")
        dump = subprocess.run(["pg_dump", "-d", end.url("postgres")], capture_output=True, text=True, check=True).stdout
        return next_xid, counts, re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.M)

    before = [state(e) for e in (pair.source, pair.target)]
    pair.findings()
    time.sleep(1)  # statistics arrive
    assert [state(e) for e in (pair.source, pair.target)] == before


def test_waits_for_no_lock(pair):
    """With every table and sequence locked at both ends it answers at once, and says who it is."""
    pair.source.run(RICH + "CREATE SEQUENCE shop.q")
    pair.target.run(RICH)
    for end in (pair.source, pair.target):
        end.hold("LOCK TABLE shop.customer, shop.purchase IN ACCESS EXCLUSIVE MODE; ALTER SEQUENCE shop.customer_id_seq CACHE 7")
    started = time.monotonic()
    found = pair.findings()
    assert time.monotonic() - started < 5
    assert ("check-failed", "source") not in found and ("check-failed", "target") not in found
    for side in ("source", "target"):
        assert "AccessExclusiveLock" in str(found["table-locked", side])


@pytest.mark.limit(240)
def test_a_thousand_tables(pair):
    ddl = "".join(f"CREATE TABLE t{i} (id serial PRIMARY KEY, a text, b numeric NOT NULL DEFAULT 0, c timestamptz, d jsonb, "
                  f"e bigint, f text[], g uuid, h date, i bool, UNIQUE (e, id));" for i in range(1000))
    pair.source.run(ddl)
    pair.target.run(ddl + "ALTER TABLE t7 DROP COLUMN g")
    started = time.monotonic()
    found = pair.findings()
    assert time.monotonic() - started < 10
    assert "column g uuid" in str(found["target-column-missing", "target"])


# ------------------------------------------------------------------ what people read


HOSTILE = ['"a.b"', '"quo""te"', '"new\nline"', '"; DROP TABLE item; --"', '"%s%n"', '"Überschrift ☃"',
           '"' + "n" * 62 + '1"', '"' + "n" * 62 + '2"', '"\x1b[31mred"']


def test_hostile_names(pair):
    ddl = SHOP + "".join(f"CREATE SCHEMA {n}; CREATE TABLE {n}.{n} ({n} int);" for n in HOSTILE)
    pair.source.run(ddl)
    found = pair.must_find("no-key", "source", WARNING)
    names = {o["object"] for o in found["no-key", "source"]["objects"]}
    written = [n if re.search(r"[^a-z0-9]", n[1:-1]) else n[1:-1] for n in HOSTILE]  # as quote_ident does
    assert names == {f"{n}.{n}" for n in written}
    text = pair.check().out
    assert "\x1b" not in text and "new?line" in text
    pair.source.run("SELECT * FROM item")


def test_text(pair):
    pair.source.run(SHOP + "".join(f"CREATE TABLE bare{i:02} ();" for i in range(42)))
    r = pair.check()
    assert r.code == 3
    assert r.out.startswith("Blockers\n\n  no-columns (source)\n")
    assert r.out.count("public.bare") == 5 and "- and 37 more\n" in r.out
    assert "ADD COLUMN" in r.out
    assert "\nNotes\n" in r.out
    refused = pair.target.server.major < 15  # then the role cannot be granted what it needs
    assert ("\nWarnings\n" in r.out) == refused
    blockers = "1 blocker" if always(pair) == ALWAYS else "2 blockers"
    assert r.out.endswith(f"\n{blockers}, {'1 warning' if refused else '0 warnings'}, 2 notes\n")


def test_patterns(pair):
    pair.source.run(SHOP + "CREATE TABLE bare (a int)")
    config = EXPECT.replace("schema: expect", "tables: {include: [public.*], exclude: [public.bare]}")
    assert ("no-key", "source") not in pair.findings(config=config)
    r = pair.check(config=config.replace("public.bare", "public.bear"))
    assert r.code == 2 and re.search(r"rebeco\.yaml:2:\d+", r.err) and "public.bear" in r.err
    assert r.out == ""


def test_unreachable(pair):
    secret = "zxcvb"
    url = f"postgresql://app:{secret}@127.0.0.1:1/app"
    r = rig.Rebeco(pair.source.url(), url).command("check")
    assert r.code == 1 and "target" in r.err and secret not in r.err + r.out
    r = rig.Rebeco(url, pair.target.url()).command("check")
    assert r.code == 1 and "source" in r.err and secret not in r.err + r.out


def test_a_sync_that_runs_already(pair):
    """Its target is full of rows, as it should be."""
    both = SHOP + "INSERT INTO item VALUES (1, 'a');" + REBECO_SCHEMA
    pair.source.run(both)
    pair.target.run(both)
    assert ("target-not-empty", "target") in pair.findings()
    pair.target.run("INSERT INTO rebeco.sync (name, consumer) VALUES ('default', 'c')")
    assert ("target-not-empty", "target") not in pair.findings()


def _codes():
    with open(rig.TOP + "/replicator/check_codes.c") as f:
        return set(re.findall(r'^    \{"([a-z-]+)", *CHECK_', f.read(), re.M))


def test_list_of_codes():
    """`check --codes` prints the table, and needs no database."""
    r = subprocess.run([rig.REBECO, "check", "--codes"], capture_output=True, text=True, env={**os.environ, **rig.SANITIZERS})
    assert r.returncode == 0, r.stderr
    assert set(re.findall(r"^([a-z-]+) \((?:blocker|warning|note)\)$", r.stdout, re.M)) == _codes()
    assert r.stdout.count("What to do: ") == len(_codes())


def test_every_code_is_tested():
    """Every row of the table of codes is made to appear by a test of this file."""
    codes = _codes()
    with open(__file__) as f:
        text = f.read().split("# ---- servers and databases")[1]
    assert len(codes) >= 80
    assert {c for c in codes if f'"{c}"' not in text} == set()
