"""Somebody holds a table, or the server is long at work on one: the others go on, and nothing fails."""

import rig

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.item (id int PRIMARY KEY, v text);
CREATE TABLE shop.other (id int PRIMARY KEY, v text);
INSERT INTO shop.item SELECT i, 'v' || i FROM generate_series(1, 1000) i;
INSERT INTO shop.other VALUES (1, 'one');
"""

WAITING = ("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
           "WHERE NOT l.granted AND l.relation = 'shop.item'::regclass AND a.application_name LIKE 'rebeco%'")


def check_catalogs_are_read(source, target, rebeco, name):
    """A table that is new at both ends is found, and another one moves."""
    for server in (source, target):
        server.run(f"CREATE TABLE shop.{name} (id int PRIMARY KEY, v text)")
    rebeco.wait("the new table is found", lambda: rebeco.log_lines(f"table=shop.{name}"), 60)
    source.run("UPDATE shop.other SET v = %s", name)
    rebeco.wait("the other table moves", lambda: target.value("SELECT v FROM shop.other") == name)


def test_a_locked_table_holds_up_no_other(source, target, rebeco):
    """An index that is built for an hour holds its table for an hour; so may an ALTER TABLE at the source."""
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    for server, name in ((target, "came_first"), (source, "came_second")):
        with server.connect() as holder:
            holder.run("BEGIN")
            holder.run("LOCK TABLE shop.item IN ACCESS EXCLUSIVE MODE")
            check_catalogs_are_read(source, target, rebeco, name)
            holder.run("COMMIT")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    assert "job failed" not in rebeco.log()


def test_a_key_that_the_server_still_builds(source, target, rebeco):
    """Killed while the target builds a key: the server ends that by itself, and the next run is content with it."""
    source.psql(TABLES)
    target.psql("CREATE SCHEMA shop; CREATE TABLE shop.item (id int NOT NULL, v text); CREATE TABLE shop.other (id int PRIMARY KEY, v text)")
    with target.connect() as holder:
        holder.run("BEGIN")
        holder.run("LOCK TABLE shop.item IN ROW EXCLUSIVE MODE")
        rebeco.start()
        rebeco.wait("the key waits", lambda: target.value(WAITING, user="postgres") == 1)
        rebeco.kill9()
        rebeco.start()
        rig.eventually("so does the next run's", lambda: target.value(WAITING, user="postgres") == 2)
        holder.run("COMMIT")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    assert "job failed" not in rebeco.log()
