"""Somebody holds a table, or the server is long at work on one: the others go on, and nothing fails."""

import pytest

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


def test_a_table_that_is_to_be_copied_again(source, target, rebeco):
    """The target's is held by somebody, before a row of it is touched."""
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    target.run("UPDATE shop.item SET v = 'wrong' WHERE id = 7")
    with target.connect() as holder:
        holder.run("BEGIN")
        holder.run("LOCK TABLE shop.item IN ACCESS EXCLUSIVE MODE")
        rebeco.ok("resync", "shop.item")
        rebeco.wait("it is said", lambda: rebeco.log_lines("is held by somebody"), 20)
        source.run("UPDATE shop.other SET v = 'moves'")
        rebeco.wait("the other table moves", lambda: target.value("SELECT v FROM shop.other") == "moves", 10)
        holder.run("COMMIT")
    rebeco.wait("it is copied", lambda: target.value("SELECT v FROM shop.item WHERE id = 7") == "v7")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    assert "job failed" not in rebeco.log()


def test_a_table_that_we_may_not_read(source, target, rebeco):
    """One that comes later and is none of ours at the target is its own trouble, and not that of the sync."""
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    target.run("CREATE TABLE shop.theirs (id int PRIMARY KEY)", user="postgres")
    source.run("CREATE TABLE shop.theirs (id int PRIMARY KEY)")
    rebeco.wait("status says it", lambda: "permission denied for table theirs" in rebeco.ok("status", "--json"), 30)
    source.run("UPDATE shop.other SET v = 'moves'; INSERT INTO shop.theirs VALUES (1)")
    rebeco.wait("the other table moves", lambda: target.value("SELECT v FROM shop.other") == "moves", 10)
    target.run("ALTER TABLE shop.theirs OWNER TO rds", user="postgres")
    rebeco.wait("it is taken in", lambda: target.value("SELECT count(*) FROM shop.theirs", user="postgres") == 1, 60)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    assert "job failed" not in rebeco.log()


def test_a_changed_table_is_held_at_the_source(servers, target, rebecos):
    """By a migration that alters another table next, of which our batch has read: it must not wait for us, nor fail; and what else has
    changed arrives."""
    source = servers("source", "app", deadlock_timeout="1s")
    rebeco = rebecos(source, target)
    source.psql(TABLES + "CREATE TABLE shop.big (id int PRIMARY KEY, v text); INSERT INTO shop.big SELECT i, repeat('v', 200) FROM generate_series(1, 5000) i")
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.ok("pause")
    source.run("UPDATE shop.big SET v = 'new' WHERE id < 10; UPDATE shop.item SET v = 'new' WHERE id < 10; UPDATE shop.other SET v = 'new'")
    with source.connect() as holder:
        holder.run("BEGIN")
        holder.run("ALTER TABLE shop.item ALTER v SET STATISTICS 50; LOCK TABLE shop.item IN ACCESS EXCLUSIVE MODE")
        rebeco.ok("resume")
        rig.eventually("the batch comes to it", lambda: source.value(WAITING, user="postgres") > 0
                       or "is locked at the source" in rebeco.log(), 20, 0.01)
        holder.run("SET lock_timeout = '5s'; ALTER TABLE shop.big ALTER v SET STATISTICS 50")
        rebeco.wait("what is locked is said", lambda: "shop.item is locked at the source" in rebeco.ok("status", "--json"), 20)
        source.run("INSERT INTO shop.other VALUES (2, 'two')")
        rebeco.wait("the others go on", lambda: target.run("SELECT v FROM shop.other ORDER BY id") == [("new",), ("two",)], 10)
        holder.run("COMMIT")
    rig.wait_converged(source, target, 30)
    rebeco.wait_in_sync(60)


def test_a_table_that_became_a_partition_is_held(source, target, rebeco):
    """What is left of its own capture is removed when it is free."""
    source.psql(TABLES + "CREATE TABLE shop.whole (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)")
    rebeco.start()
    rebeco.wait_in_sync()
    attach = "ALTER TABLE shop.whole ATTACH PARTITION shop.item DEFAULT"
    with source.connect() as reader:
        rebeco.ok("pause")
        for server in (source, target):
            server.run(attach)
        reader.run("BEGIN")
        reader.run("SELECT count(*) FROM shop.item")
        rebeco.ok("resume")
        source.run("UPDATE shop.other SET v = 'moves'")
        rebeco.wait("the other table moves", lambda: target.value("SELECT v FROM shop.other") == "moves", 10)
        rebeco.wait("it waits", lambda: rebeco.log_lines("waiting for a lock"), 30)
        source.run("UPDATE shop.other SET v = 'moves on'")
        rebeco.wait("the other table moves on", lambda: target.value("SELECT v FROM shop.other") == "moves on", 10)
        reader.run("COMMIT")
    rebeco.wait("it is forgotten", lambda: target.value("SELECT count(*) FROM rebeco.sync_table WHERE source_name = 'item'") == 0
                and source.value("SELECT count(*) FROM rebeco.capture WHERE table_name = 'item'") == 0, 60)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    assert "job failed" not in rebeco.log()


def test_a_partition_that_is_somebody_elses(source, target, rebeco):
    """It cannot be captured as it should be until its owner is ours; that stops its table, and no other."""
    source.psql(TABLES + "CREATE TABLE shop.whole (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE shop.whole_1 PARTITION OF shop.whole FOR VALUES FROM (0) TO (100)")
    rebeco.start()
    rebeco.wait_in_sync()
    target.run("CREATE TABLE shop.whole_2 PARTITION OF shop.whole FOR VALUES FROM (100) TO (200)")
    source.run("CREATE TABLE shop.whole_2 PARTITION OF shop.whole FOR VALUES FROM (100) TO (200)", user="postgres")
    source.run("INSERT INTO shop.whole VALUES (1, 'a'), (101, 'b')")
    rebeco.wait("status says why", lambda: "shop.whole_2" in rebeco.ok("status", "--json") or "whole_2" in rebeco.ok("status"), 40)
    source.run("UPDATE shop.other SET v = 'moves'")
    rebeco.wait("the other table moves", lambda: target.value("SELECT v FROM shop.other") == "moves", 10)
    source.run("UPDATE shop.other SET v = 'moves on'")
    rebeco.wait("and goes on", lambda: target.value("SELECT v FROM shop.other") == "moves on", 10)
    assert not [line for line in rebeco.log_lines("job failed") if "job=lead" in line]
    source.run("ALTER TABLE shop.whole_2 OWNER TO app", user="postgres")
    rebeco.wait("it is captured", lambda: target.value("SELECT count(*) FROM shop.whole") == 2, 60)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


@pytest.mark.parametrize("lock, table", [("LOCK TABLE t IN SHARE MODE", "t"), ("SELECT 1 FROM t WHERE id = 1 FOR UPDATE", None)])
def test_who_keeps_a_batch_waiting_is_named(source, target, rebecos, lock, table):
    """Somebody who analyzes at the target has a lock and forgets it: that is said, and how to end it; then all goes on."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old')")
    rebeco = rebecos(source, target).start()
    rebeco.wait_in_sync(60)
    with target.connect() as somebody:
        pid = somebody.value("SELECT pg_backend_pid()")
        somebody.run("SET application_name = 'report'; BEGIN")
        somebody.run(lock)
        source.run("UPDATE t SET v = 'new'")
        rebeco.wait("it is said", lambda: rebeco.log_lines("waits for somebody's lock"), 60)
        line, = rebeco.log_lines("waits for somebody's lock")
        assert f"session {pid} of role rds (report)" in line and ("table=public.t" in line) == (table is not None), line
        rebeco.wait("status says it", lambda: str(pid) in rebeco.ok("status"), 20)
        somebody.run("COMMIT")
    rebeco.wait_in_sync(30)
    assert target.value("SELECT v FROM t") == "new"
    rebeco.wait("status is as before", lambda: rebeco.status()["lag"]["held_by"] is None, 20)
    rebeco.terminate()
