"""Taking Rebeco away leaves the source's catalogs as they were, whatever state its own things are in,
and does not disturb an application that goes on writing."""

import time

import pytest
import rig

# With things of the user's own that look like ours, and privileges that must stay as they are.
TABLES = r'''
CREATE SCHEMA shop;
CREATE SCHEMA rebeco_shop;
CREATE SCHEMA "Odd ""schema"" of 'ours'";
COMMENT ON SCHEMA shop IS 'what we sell; DROP SCHEMA shop';
CREATE TABLE shop.item (id serial PRIMARY KEY, name text, price numeric(10,2));
CREATE TABLE shop.sold (item int REFERENCES shop.item, n int, at timestamptz DEFAULT now(), PRIMARY KEY (item, n));
CREATE TABLE shop.event (day int, n int, detail jsonb, PRIMARY KEY (day, n)) PARTITION BY RANGE (day);
CREATE TABLE shop.event_1 PARTITION OF shop.event FOR VALUES FROM (0) TO (10);
CREATE TABLE shop.event_2 PARTITION OF shop.event FOR VALUES FROM (10) TO (20);
CREATE TABLE rebeco_shop.log_1_0 (k1 int PRIMARY KEY, xid bigint);
CREATE TABLE "Odd ""schema"" of 'ours'"."a.b; DROP TABLE x --" ("the 'key'" text PRIMARY KEY, "v%I" text);
CREATE MATERIALIZED VIEW shop.total AS SELECT count(*) AS n FROM shop.item;
CREATE FUNCTION shop.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := trim(NEW.name); RETURN NEW; END';
CREATE FUNCTION shop.capture_1() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER note BEFORE INSERT OR UPDATE ON shop.item FOR EACH ROW EXECUTE FUNCTION shop.note();
CREATE TRIGGER rebeco_mine AFTER INSERT ON shop.item FOR EACH STATEMENT EXECUTE FUNCTION shop.capture_1();
CREATE TRIGGER off AFTER DELETE ON shop.sold FOR EACH ROW EXECUTE FUNCTION shop.capture_1();
ALTER TABLE shop.sold DISABLE TRIGGER off;
GRANT USAGE ON SCHEMA shop TO clerk;
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.item, shop.sold TO clerk;
GRANT USAGE ON SEQUENCE shop.item_id_seq TO clerk;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO clerk;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO clerk;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER TABLE shop.item SET (fillfactor = 80);
INSERT INTO shop.item (name, price) SELECT 'item ' || i, i FROM generate_series(1, 1000) i;
INSERT INTO shop.sold SELECT i, 1 FROM generate_series(1, 1000) i;
INSERT INTO shop.event SELECT i % 20, i, '{}' FROM generate_series(1, 1000) i;
INSERT INTO "Odd ""schema"" of 'ours'"."a.b; DROP TABLE x --" VALUES ('k', 'v');
'''


@pytest.fixture
def before(source):
    """The source as it was, before Rebeco: its dump."""
    source.psql(TABLES)
    return source.dump_schema()


@pytest.fixture
def installed(source, rebeco, before):
    """A daemon that was in sync, and was stopped."""
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.terminate()
    assert source.dump_schema() != before
    return rebeco


def check_as_before(source, before):
    after = source.dump_schema()
    if after != before:
        import difflib
        raise AssertionError("\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="")))
    assert source.value("SELECT count(*) FROM pg_db_role_setting") == 0
    assert source.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'rebeco%'") == 0
    # What no dump shows: a state of a trigger, something left in the catalogs without a schema.
    assert source.value("SELECT tgenabled FROM pg_trigger WHERE tgname = 'off'") == "D"
    assert source.value("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'rebeco%'") == 1


def test_uninstall(source, target, installed, before):
    source.run("UPDATE shop.item SET name = 'not seen any more' WHERE id = 1")
    rows = target.run("SELECT count(*), sum(price) FROM shop.item")
    installed.ok("uninstall")
    check_as_before(source, before)
    assert target.value("SELECT to_regnamespace('rebeco')") is None
    assert target.value("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'rebeco%'") == 1
    assert target.run("SELECT count(*), sum(price) FROM shop.item") == rows
    assert target.value("SELECT to_regclass('rebeco_shop.log_1_0')") is not None
    source.run("INSERT INTO shop.item (name) VALUES ('the application goes on')")


def test_uninstall_again(source, installed, before):
    installed.ok("uninstall")
    installed.ok("uninstall")
    check_as_before(source, before)


def test_uninstall_where_nothing_was_installed(source, rebeco, before):
    rebeco.ok("uninstall")
    check_as_before(source, before)


def test_install_again_after_uninstall(source, target, installed, before):
    installed.ok("uninstall")
    target.run("DROP SCHEMA shop, rebeco_shop, \"Odd \"\"schema\"\" of 'ours'\" CASCADE")
    installed.start()
    installed.wait_in_sync()
    assert rig.compare(source, target) == []
    installed.terminate()
    installed.ok("uninstall")
    check_as_before(source, before)


STATE_LOST = {
    "rows of the source": ("DELETE FROM rebeco.consumer_table; DELETE FROM rebeco.consumer; DELETE FROM rebeco.capture", None),
    "version": ("DELETE FROM rebeco.version", "DELETE FROM rebeco.version"),
    "tables of the source": ("DROP TABLE rebeco.consumer_table, rebeco.consumer, rebeco.capture, rebeco.version CASCADE", None),
    "schema at the target": (None, "DROP SCHEMA rebeco CASCADE"),
    "schema at the source": ("DROP SCHEMA rebeco CASCADE", None),
    "schemas at both": ("DROP SCHEMA rebeco CASCADE", "DROP SCHEMA rebeco CASCADE"),
    "functions": ("DO $$ BEGIN EXECUTE (SELECT string_agg(format('DROP FUNCTION %s CASCADE;', oid::regprocedure), ' ') "
                  "FROM pg_proc WHERE pronamespace = 'rebeco'::regnamespace AND proname !~ '^capture_[0-9]+$'); END $$", None),
    "the nap": ("DROP SEQUENCE rebeco.nap CASCADE", None),
    "triggers disabled": ("ALTER TABLE shop.item DISABLE TRIGGER rebeco_insert", None),
    "table renamed": ("ALTER TABLE shop.item RENAME TO thing; ALTER TABLE shop.thing RENAME TO item", None),
    "target emptied": (None, "DROP SCHEMA shop CASCADE; DROP SCHEMA rebeco CASCADE"),
}


@pytest.mark.parametrize("case", STATE_LOST)
def test_uninstall_when_its_own_state_is_lost(source, target, installed, before, case):
    at_source, at_target = STATE_LOST[case]
    if at_source:
        source.psql(at_source)
    if at_target:
        target.psql(at_target)
    installed.ok("uninstall")
    check_as_before(source, before)
    assert target.value("SELECT to_regnamespace('rebeco')") is None


@pytest.mark.parametrize("seconds", [0.3, 0.6, 0.9, 1.3, 2.0])
def test_uninstall_after_a_killed_installation(source, target, rebeco, before, seconds):
    rebeco.start()
    time.sleep(seconds)
    rebeco.kill9()
    rebeco.ok("uninstall")
    check_as_before(source, before)
    assert target.value("SELECT to_regnamespace('rebeco')") is None


def test_uninstall_while_the_daemon_runs_is_refused(source, rebeco, before):
    """Nothing may be pulled away from under a daemon; it must be stopped first."""
    rebeco.start()
    rebeco.wait_in_sync()
    r = rebeco.command("uninstall")
    assert r.code == 5, r
    rebeco.check_alive()
    source.run("UPDATE shop.item SET price = 5")
    rebeco.wait_in_sync()


def test_uninstall_while_the_application_writes(source, installed, before):
    longest = [0.0]

    def write(c, rng, number):
        started = time.monotonic()
        c.run("UPDATE shop.item SET price = price + 1 WHERE id = %s", rng.randint(1, 1000))
        c.run("INSERT INTO shop.event VALUES (%s, %s)", rng.randint(0, 19), rng.randint(10000, 1 << 30))
        c.raw.commit()
        longest[0] = max(longest[0], time.monotonic() - started)

    with rig.Crew(source, write, 4) as crew:
        time.sleep(0.5)
        installed.ok("uninstall")
        time.sleep(0.5)
        assert crew.stop() > 100
    check_as_before(source, before)
    assert longest[0] < 1.5, f"a transaction of the application waited {longest[0]:.2f} s"


def test_uninstall_waits_for_a_lock_without_harm(source, installed, before):
    """Dropping a trigger needs the table for a moment. Whoever holds it is not disturbed, and others do
    not queue behind us."""
    longest = [0.0]

    def write(c, rng, number):
        started = time.monotonic()
        c.run("UPDATE shop.item SET price = price + 1 WHERE id = %s", rng.randint(2, 1000))
        c.raw.commit()
        longest[0] = max(longest[0], time.monotonic() - started)

    with source.connect() as holder:
        holder.run("BEGIN")
        holder.run("UPDATE shop.item SET price = 0 WHERE id = 1")
        with rig.Crew(source, write, 2) as crew:
            import threading
            result = []
            t = threading.Thread(target=lambda: result.append(installed.command("uninstall", timeout=90)))
            t.start()
            time.sleep(5)
            assert t.is_alive(), f"it gave up, or did not need the lock: {result}"
            holder.run("COMMIT")
            t.join(60)
            crew.stop()
    assert result and result[0].code == 0, result
    check_as_before(source, before)
    assert longest[0] < 1.5, f"a transaction of the application waited {longest[0]:.2f} s"
