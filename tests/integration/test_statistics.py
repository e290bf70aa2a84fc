"""The promise: the target's planner knows the tables before the application comes, and nothing waits for that."""

import pytest
import rig

TABLES = """
CREATE TABLE keyed (id int PRIMARY KEY, kind int);
CREATE TABLE keyless (a int, b text);
CREATE TABLE "odd ""name" (id int PRIMARY KEY);
CREATE TABLE part (id int PRIMARY KEY, body text) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part DEFAULT;
CREATE TABLE bare (id int PRIMARY KEY);
INSERT INTO keyed SELECT i, i % 3 FROM generate_series(1, 1000) i;
INSERT INTO keyless SELECT i, i FROM generate_series(1, 1000) i;
INSERT INTO "odd ""name" SELECT i FROM generate_series(1, 1000) i;
INSERT INTO part SELECT i, i FROM generate_series(1, 1000) i;
"""
KNOWN = {("keyed", False), ("keyless", False), ('odd "name', False), ("part", True), ("part_1", False), ("part_2", False)}


@pytest.fixture
def target(servers):
    """Nobody else makes statistics there."""
    return servers("target", "rds", autovacuum="off")


def known(target):
    return set(target.run("SELECT DISTINCT tablename::text, inherited FROM pg_stats WHERE schemaname = 'public'"))


def test_tables_are_analyzed_once_the_target_follows(running, source, target):
    running.wait("all that hold something are analyzed", lambda: known(target) == KNOWN)
    running.wait("it says so", lambda: running.log_lines("statistics made at the target"))
    assert running.log_lines("statistics made at the target")[0].endswith("tables=5")
    # Not again after a restart; but a table that comes later.
    analyzed = "SELECT max(last_analyze), sum(analyze_count) FROM pg_stat_user_tables WHERE schemaname = 'public'"
    before = target.run(analyzed)
    running.terminate()
    source.run("CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late SELECT generate_series(1, 50)")
    target.run("CREATE TABLE late (id int PRIMARY KEY)")
    running.start()
    running.wait("the new one is analyzed", lambda: ("late", False) in known(target))
    running.wait("it says so", lambda: len(running.log_lines("statistics made at the target")) == 2)
    assert running.log_lines("statistics made at the target")[1].endswith("tables=1")
    assert target.run(analyzed.replace("'public'", "'public' AND relname <> 'late'")) == before
    running.ok("resync", "public.keyed")
    running.wait_in_sync()
    rig.check_equal(source, target)
    assert not running.log_lines("tables without statistics")


def test_a_locked_table_holds_up_nobody(source, target, rebecos):
    """Who holds one table at the target holds up its statistics, and nothing else. And what our role may not analyze is said."""
    source.psql(TABLES)
    rebeco = rebecos(source, target)
    rebeco.start("--until", "copied")
    assert rebeco.wait_exit(60) == 0
    with target.admin() as holder:
        holder.run("BEGIN")
        holder.run("LOCK TABLE keyed IN SHARE UPDATE EXCLUSIVE MODE")
        rebeco.start()
        rebeco.wait_in_sync(60)
        rebeco.wait("the others are analyzed", lambda: known(target) == KNOWN - {("keyed", False)})
        source.run("UPDATE keyed SET kind = 5 WHERE id = 1")
        rebeco.wait_in_sync()
        assert target.value("SELECT kind FROM keyed WHERE id = 1") == 5
        assert target.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0
        holder.run("COMMIT")
    rebeco.wait("it is tried again", lambda: known(target) == KNOWN)
    rebeco.terminate()


def test_what_may_not_be_analyzed_is_named(source, target, rebecos):
    """The role may write the table, and owns neither it nor the database."""
    source.run("CREATE TABLE theirs (id int PRIMARY KEY); INSERT INTO theirs VALUES (1);"
               "CREATE TABLE ours (id int PRIMARY KEY); INSERT INTO ours VALUES (1)")
    target.run("CREATE TABLE ours (id int PRIMARY KEY)")
    target.run("CREATE TABLE public.theirs (id int PRIMARY KEY); GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON theirs TO rds;"
               "ALTER DATABASE app OWNER TO postgres; GRANT ALL ON DATABASE app TO rds; GRANT ALL ON SCHEMA public TO rds", user="postgres")
    rebeco = rebecos(source, target).start()
    rebeco.wait_in_sync(60)
    rebeco.wait("its own is analyzed", lambda: ("ours", False) in known(target))
    rebeco.wait("the other is named", lambda: rebeco.log_lines("tables without statistics at the target"))
    assert "tables=1 example=public.theirs" in rebeco.log_lines("tables without statistics at the target")[0]
    rig.check_equal(source, target)
    rebeco.terminate()
