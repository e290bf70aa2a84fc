"""Taking Rebeco away leaves the source's catalogs as they were, whatever state its own things are in,
and does not disturb an application that goes on writing."""

import json
import time

import pytest
import rig
import two_way

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
    # What the server was doing for it holds the daemon's lock until it is done, and then the server hears of the end.
    rebeco.wait("uninstalled", lambda: rebeco.command("uninstall").code == 0, 20)
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


def test_rows_that_were_left_out_are_named(source, target, rebeco):
    """The record of them goes with everything else."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE k (v text)")
    rebeco.start()
    rebeco.wait_in_sync()
    for name in "tk":
        target.psql(f"ALTER TABLE {name} ADD CHECK (v <> 'bad')", user="postgres")
    source.run("INSERT INTO t SELECT i, 'bad' FROM generate_series(1, 2) i; INSERT INTO k VALUES ('bad'), ('bad')")
    left = "SELECT count(*) FROM rebeco.skipped WHERE settled_at IS NULL"
    for table, rows in ("t", 2), ("k", 1):
        for n in range(rows):
            before = target.value(left)
            rebeco.wait("a row is named and left out", lambda: rebeco.command("skip", table, *json.loads(next(
                (t["refused"] or {"key": '["-"]'})["key"] for t in rebeco.status()["tables"] if t["name"] == table))).code == 0, 60)
            rebeco.wait("it is recorded", lambda: target.value(left) == before + 1)
    rebeco.wait("both are counted", lambda: target.value("SELECT copies FROM rebeco.skipped WHERE table_name = 'k'") == 2, 60)
    rebeco.terminate()
    said = rebeco.ok("uninstall")
    assert "target: rows were left out and are missing there, of public.k: 2, with keys [\"" in said
    assert "target: rows were left out and are missing there, of public.t: 2, with keys [\"1\"], [\"2\"]\n" in said
    assert target.value("SELECT to_regnamespace('rebeco')") is None


@pytest.mark.parametrize("closed", ["source", "target"])
def test_changes_of_a_closed_direction_are_not_given_up_unseen(source, target, rebecos, closed):
    source.psql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, 20) i")
    rebeco = rebecos(source, target, config=two_way.config())
    rebeco.start()
    two_way.wait_both(rebeco)
    x, y = (source, target) if closed == "source" else (target, source)
    x.run("UPDATE t SET v = 'sent' WHERE id = 1")
    y.run("UPDATE t SET v = 'sent' WHERE id = 2")
    rebeco.ok("direction", two_way.ONLY[closed])
    y.run("UPDATE t SET v = 'sent' WHERE id = 3")
    rebeco.wait("the open direction works", lambda: x.value("SELECT v FROM t WHERE id = 3") == "sent")
    x.run("UPDATE t SET v = 'kept' WHERE id IN (4, 5)")
    two_way.wait_both(rebeco)
    rebeco.terminate()
    schemas = [end.dump_schema() for end in (source, target)]
    r = rebeco.command("uninstall")
    assert r.code == 1 and f"{closed}: one direction is closed, and 2 changes" in r.err and "direction both" in r.err, r
    assert [end.dump_schema() for end in (source, target)] == schemas
    rebeco.start()
    rebeco.ok("direction", "both")
    two_way.wait_both(rebeco)
    rebeco.ok("direction", two_way.ONLY[closed])
    rebeco.terminate()
    rebeco.ok("uninstall")  # nothing is kept now
    assert y.value("SELECT count(*) FROM t WHERE v = 'kept'") == 2
    for end in source, target:
        assert end.value("SELECT to_regnamespace('rebeco')") is None


def test_changes_of_a_closed_direction_may_be_given_up(source, target, rebecos):
    source.psql("CREATE TABLE t (id int PRIMARY KEY)")
    rebeco = rebecos(source, target, config=two_way.config())
    rebeco.start()
    two_way.wait_both(rebeco)
    rebeco.ok("direction", "target-to-source")
    source.run("INSERT INTO t VALUES (1)")
    rebeco.terminate()
    assert rebeco.command("uninstall").code == 1
    assert "source: 1 changes that were kept" in rebeco.ok("uninstall", "--force")
    assert target.value("SELECT count(*) FROM t") == 0
    for end in source, target:
        assert end.value("SELECT to_regnamespace('rebeco')") is None
