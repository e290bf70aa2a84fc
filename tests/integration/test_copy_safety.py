"""The promise: the copy reads nothing that never was or is no more, and stands in nobody's way."""

import os
import signal
import threading

import pytest
import rig
from test_copy import big, done

HOUR = "20kB/s"  # a rate at which no copy ends


def at_full_rate(r, **copy):
    r.configure(rig.config(copy=copy))
    r.hup()


def locks_at_once(server, table):
    """Somebody wants the table for himself, as ALTER TABLE does."""
    with server.connect() as c:
        c.run("SET statement_timeout = '60s'")
        c.run("BEGIN")
        c.run(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        c.run("COMMIT")


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_a_copy_gives_way(source, target, rebecos, key):
    source.run(f"CREATE TABLE big (id int {key}, body text)")
    source.run("INSERT INTO big SELECT i, repeat(md5(i::text), 7) FROM generate_series(1, 120000) i")
    r = rebecos(source, target, rig.config(copy={"max_rate": HOUR, "streams": 1})).start()
    r.wait("rows move", lambda: target.value("SELECT pg_relation_size('big') > 0"))
    for _ in range(2):
        locks_at_once(source, "big")
    assert r.log_lines("gives way"), r.log_tail()
    at_full_rate(r)
    r.wait_in_sync(60)
    rig.check_equal(source, target)


CONCURRENTLY = [
    "CREATE INDEX CONCURRENTLY ON other (id)",
    "CREATE INDEX CONCURRENTLY ON big (body)",
    "REINDEX TABLE CONCURRENTLY other",
    "DROP INDEX CONCURRENTLY big_id",
]


@pytest.mark.parametrize("statement", CONCURRENTLY)
@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_a_copy_gives_way_to_work_on_an_index(source, target, rebecos, key, statement):
    """It waits for each older transaction of the database, whatever that reads: also for the snapshot that a large table's chunks
    share. With a lock_timeout, as migrations have, it would fail and leave an index behind that is not valid."""
    rig.need_parts(source)
    source.psql(f"CREATE TABLE big (id int {key}, body text); CREATE INDEX big_id ON big (id, body); CREATE TABLE other (id int PRIMARY KEY);"
                "INSERT INTO big SELECT i, repeat(md5(i::text), 7) FROM generate_series(1, 60000) i")
    r = rebecos(source, target, rig.config(copy={"max_rate": HOUR, "streams": 2, "split_size": "4MB"})).start()
    r.wait("rows move", lambda: target.value("SELECT count(*) FROM pg_stat_progress_copy WHERE tuples_processed > 0"))
    with source.connect() as migration:
        migration.run("SET lock_timeout = '30s'")
        migration.run(statement)
    assert r.log_lines("gives way"), r.log_tail()
    at_full_rate(r, split_size="4MB")
    r.wait_in_sync(60)
    rig.check_equal(source, target)
    assert source.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


def test_a_copier_gives_way(source, target, rebecos):
    rig.need_parts(source)
    big(source)
    config = rig.config(copy={"max_rate": HOUR, "streams": 1, "split_size": "4MB"})
    r = rebecos(source, target, config).start()
    r.wait_phase("copy")
    copier = rebecos(source, target, config).start("--role", "copier")
    r.wait("both copy", lambda: target.value("SELECT count(*) FROM pg_stat_progress_copy WHERE tuples_processed > 0") == 2)
    locks_at_once(source, "big")
    assert copier.log_lines("gives way"), copier.log_tail()
    copier.kill9()
    at_full_rate(r, split_size="4MB")
    r.wait_in_sync(60)
    rig.check_equal(source, target)


def test_a_batch_gives_way(source, target, rebecos):
    """The target cannot take what is read, because somebody holds its table; the source's is free all the same."""
    big(source)
    source.run("CREATE TABLE other (id int PRIMARY KEY)")
    r = rebecos(source, target, rig.config(apply={"batch_bytes": "64kB"})).start()
    r.wait_in_sync(60)
    with target.admin() as holder:
        holder.run("BEGIN")
        holder.run("LOCK TABLE big IN SHARE MODE")
        source.run("UPDATE big SET body = body || 'x'")
        rig.eventually("the batch is read", lambda: source.value(
            "SELECT count(*) FROM pg_locks WHERE relation = 'big'::regclass AND mode = 'AccessShareLock'"))
        locks_at_once(source, "big")
        holder.run("COMMIT")
    assert r.log_lines("gives way"), r.log_tail()
    r.wait_in_sync(60)
    rig.check_equal(source, target)


def promoted_standby(source):
    follower = source.standby()
    follower.run("SELECT pg_promote()", user="postgres")
    rig.eventually("it is promoted", lambda: follower.value("SELECT NOT pg_is_in_recovery()"))
    return follower


def check_is_refused(follower, source, target, rebecos):
    """Nothing is read from it, and the status says why; without it all is copied from the source."""
    r = rebecos(source, target, rig.config(copy={"follower": follower.url()})).start()
    r.wait("it says so", lambda: [t for t in (r.status() or {}).get("tables", []) if "no standby" in (t.get("what") or "")])
    assert target.value("SELECT count(*) FROM big") == 0
    at_full_rate(r)
    r.wait_in_sync(60)
    rig.check_equal(source, target)


def test_a_follower_that_was_promoted(source, target, rebecos):
    """It has rows of its own time: what has changed since it left is in no change log."""
    big(source, rows=500)
    follower = promoted_standby(source)
    source.run("UPDATE big SET body = 'new' WHERE id % 2 = 0")
    check_is_refused(follower, source, target, rebecos)


def test_a_follower_of_another_history(source, target, rebecos):
    """A standby of what was promoted: it is one, and further on than the source."""
    big(source, rows=500)
    other = promoted_standby(source)
    other.run("CREATE TABLE wal AS SELECT repeat(md5(i::text), 20) FROM generate_series(1, 60000) i", user="postgres")
    source.run("UPDATE big SET body = 'new' WHERE id % 2 = 0")
    follower = other.standby("of-another")
    check_is_refused(follower, source, target, rebecos)


def test_no_snapshot_can_be_exported(source, target, rebecos):
    """The copy goes on without one. (As when no connection is left for the session that would hold it.)"""
    rig.need_parts(source)
    big(source)
    source.run("REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC", user="postgres")
    r = rebecos(source, target, rig.config(copy={"split_size": "1MB"}))
    with rig.Crew(source, lambda c, rng, n: c.run("UPDATE big SET body = 'x' || %s WHERE id = %s", n, rng.randint(1, 60000)), 1, pause_s=0.01):
        r.start()
        r.wait_phase("follow")
    r.wait_in_sync(60)
    rig.check_equal(source, target)
    finished, planned = done(target)
    assert finished == planned > 4
    assert r.log_lines("no snapshot can be shared")


def test_commits_that_a_crash_of_the_source_takes_back(source, target, rebecos):
    """Without synchronous_commit a commit is seen before it is on disk, and lost in a crash."""
    big(source)
    source.run("CREATE TABLE last (id serial PRIMARY KEY)")
    r = rebecos(source, target, rig.config(copy={"max_rate": "4MB/s", "streams": 1})).start()
    r.wait("the captures are there", lambda: len(r.log_lines("capture installed")) == 2)
    writer = source.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'", user="postgres")
    os.kill(writer, signal.SIGSTOP)
    stop = threading.Event()

    def write():
        with source.connect() as c:
            c.run("SET synchronous_commit = off")
            while not stop.wait(0.005):
                c.run("INSERT INTO last DEFAULT VALUES")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with target.admin() as t:
            r.wait("rows are copied", lambda: t.value("SELECT count(*) FROM last"), pause=0.002)
        os.kill(r.process.pid, signal.SIGSTOP)
    finally:
        stop.set()
        thread.join()
        source.kill9()
    source.start()
    os.kill(r.process.pid, signal.SIGCONT)
    r.wait_in_sync(60)
    rig.check_equal(source, target)
