"""What people do to our objects beside us: who looks after a server does not know them.

A disk is full and a change log is what has grown; a maintenance script rewrites every table; a trigger of the database
administrator's says no to DDL; a rehearsal begins from a dump that holds our objects, too. Nothing of this may lose a change
unseen, nor stop the others."""

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
