"""What people do to our objects beside us: who looks after a server does not know them.

A disk is full and a change log is what has grown; a maintenance script rewrites every table; a trigger of the database
administrator's says no to DDL; a rehearsal begins from a dump that holds our objects, too. Nothing of this may lose a change
unseen, nor stop the others."""

import os
import subprocess

import pytest

import rig

TABLES = """
CREATE TABLE plain (id int PRIMARY KEY, v text);
CREATE TABLE keyless (v text);
CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
INSERT INTO plain SELECT i, 'before' FROM generate_series(1, 150) i;
INSERT INTO keyless SELECT 'before' FROM generate_series(1, 5);
INSERT INTO parted SELECT i, 'before' FROM generate_series(1, 150) i;
"""
CHANGE = """
UPDATE plain SET v = v || ' and after' WHERE id < 10; DELETE FROM plain WHERE id = 20;
INSERT INTO keyless VALUES ('after'); UPDATE parted SET v = 'after' WHERE id BETWEEN 95 AND 105; DELETE FROM parted WHERE id = 120;
"""


def logs(server):
    return [name for name, in server.run(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'rebeco'::regnamespace AND c.relkind = 'r' "
        "AND c.relname ~ '^log_[0-9]+_[01]$' ORDER BY 1")]


# ------------------------------------------------------------------ change logs


@pytest.mark.parametrize("how", ["TRUNCATE {}", "DELETE FROM {}", "all at once"])
def test_a_log_that_is_emptied_by_hand_is_noticed(source, target, running, how):
    """What was in it is gone, and nothing else knows of it: the tables are copied again."""
    running.ok("pause")
    source.psql(CHANGE)
    if how == "all at once":
        source.run("TRUNCATE " + ", ".join(logs(source)))
    else:
        for log in logs(source):
            source.run(how.format(log))
    running.ok("resume")
    rig.wait_converged(source, target)
    running.wait_in_sync()
    source.psql(CHANGE)
    running.wait_in_sync()
    rig.check_equal(source, target)


def test_a_log_of_which_nothing_is_waited_for_may_be_emptied(source, target, running):
    """And so may one that is rewritten: no table is copied again for it."""
    source.psql(CHANGE)
    running.wait_in_sync()
    running.ok("pause")
    rig.eventually("the source has heard of it", lambda: source.value(
        "SELECT bool_and(txid_snapshot_xmax(snapshot) > %s) FROM rebeco.consumer", source.value("SELECT max(xmin::text::bigint) FROM plain")))
    copies = len(running.log_lines("table copied"))
    for log in logs(source):
        source.run(f"TRUNCATE {log}")
    source.psql("UPDATE plain SET v = v || '!'; INSERT INTO keyless VALUES ('!')")
    for log in logs(source):
        source.run(f"VACUUM FULL {log}")
        source.run(f"REINDEX TABLE {log}")
    running.ok("resume")
    running.wait_in_sync()
    rig.check_equal(source, target)
    assert len(running.log_lines("table copied")) == copies


def test_a_log_of_an_older_version_is_protected_when_it_is_emptied(source, target, running):
    for log in logs(source):
        source.psql("".join(f"DROP TRIGGER {name} ON {log};" for name in ("before_truncate", "truncate", "delete")))
    source.run("INSERT INTO plain SELECT i, repeat('x', 100) FROM generate_series(1000, 60000) i")
    rig.eventually("both segments of it were emptied", lambda: source.value(
        "SELECT count(DISTINCT t.tgrelid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        "WHERE c.relname ~ '^log_[0-9]+_[01]$' AND c.relnamespace = 'rebeco'::regnamespace") > 0
        or source.run("UPDATE plain SET v = v || 'y'"), 60, 1)
    running.wait_in_sync()
    rig.check_equal(source, target)


# ------------------------------------------------------------------ housekeeping that is refused


def test_changes_go_on_while_the_logs_cannot_be_emptied(source, target, running):
    """An event trigger of somebody else's refuses DDL, so no log can go over to its other segment. They grow, which status says."""
    with source.admin() as c:
        c.run("CREATE FUNCTION no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS "
              "$$ BEGIN RAISE EXCEPTION 'no DDL before the weekend' USING HINT = 'ask Ada'; END $$")
        c.run("CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION no_ddl()")
    source.run("INSERT INTO plain SELECT i, repeat('x', 100) FROM generate_series(1000, 60000) i")
    running.wait("the refusal is in the log", lambda: any("no DDL before the weekend" in line for line in running.log_lines("change logs")))
    source.psql(CHANGE)
    running.wait_in_sync()
    rig.check_equal(source, target)
    running.wait("status says so", lambda: "no DDL before the weekend" in running.ok("status"))
    assert not running.log_lines("job failed"), running.log_tail()
    with source.admin() as c:
        c.run("DROP EVENT TRIGGER no_ddl")
    source.psql("UPDATE plain SET v = 'on' WHERE id = 1")
    running.wait("status is quiet again", lambda: "no DDL" not in running.ok("status"), 60)
    running.wait("the log is emptied", lambda: source.value(
        "SELECT max(pg_relation_size(c.oid)) FROM pg_class c WHERE c.relnamespace = 'rebeco'::regnamespace AND c.relname ~ '^log_[0-9]+_[01]$'") < 1 << 20
        or source.run("UPDATE plain SET v = v || '.' WHERE id = 1"), 60, 0.5)


# ------------------------------------------------------------------ a database made from a dump


def restore(dump, server):
    """A newer pg_restore than the server sets what that does not know yet; nothing else may go wrong."""
    r = subprocess.run(["pg_restore", "-d", server.url("postgres"), dump], capture_output=True, text=True)
    wrong = [line for line in r.stderr.splitlines() if "error:" in line and '"transaction_timeout"' not in line]
    assert r.returncode in (0, 1) and wrong == [], r.stderr


def test_a_source_that_was_made_from_a_dump(source, target, running, tmp_path):
    """The database was dropped, and restored with our objects in it. It is accepted, and followed."""
    running.terminate()
    dump = os.path.join(tmp_path, "dump")
    subprocess.run(["pg_dump", "-Fc", "-f", dump, "-d", source.url("postgres")], check=True)
    with source.admin("postgres") as c:
        c.run("ALTER DATABASE app RENAME TO app_before")
        c.run("CREATE DATABASE app OWNER app")
    restore(dump, source)
    source.psql(CHANGE)
    running.start()
    running.wait("it stops", lambda: running.log_lines("not the database that this sync was made with"))
    running.ok("accept")
    running.wait_in_sync(60)
    source.psql(CHANGE)
    source.run("TRUNCATE parted_2")
    running.wait_in_sync()
    rig.check_equal(source, target)
    assert source.value("SELECT count(*) FROM rebeco.capture") == 3
    running.terminate()
    running.ok("uninstall")
    assert source.value("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'rebeco%'") == 0


def test_a_rehearsal_from_a_dump(source, servers, running, rebecos, tmp_path):
    """A copy of the source, made while it is followed, becomes the source of a sync of its own."""
    dump = os.path.join(tmp_path, "dump")
    subprocess.run(["pg_dump", "-Fc", "-f", dump, "-d", source.url("postgres")], check=True)
    staging, new = servers("staging", "app"), servers("new", "rds")
    restore(dump, staging)
    staging.psql(CHANGE)
    rehearsal = rebecos(staging, new)
    rehearsal.start()
    rehearsal.wait_in_sync(60)
    staging.psql(CHANGE)
    rehearsal.wait_in_sync()
    rig.check_equal(staging, new)
    assert rehearsal.status()["problems"] == []


def test_our_record_of_captures_is_emptied(source, target, running):
    source.run("TRUNCATE rebeco.capture CASCADE")
    source.psql(CHANGE)
    rig.wait_converged(source, target)
    running.wait_in_sync()
    rig.check_equal(source, target)
