"""The promise: whatever 32 writers do, both ends are byte-equal in the end."""

import time

import pytest
import rig
import workload

SECONDS = 60 if rig.LONG else 8
SEEDS = range(1, 11) if rig.LONG else (1, 2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.limit(SECONDS + 150)
def test_32_writers(source, target, rebeco, seed):
    workload.install(source)
    # One transaction is open before capture is installed, another one from the copy to the end.
    with workload.Application(source, writers=4, clerks=2, two_phase=2, seed=f"before{seed}"):
        rebeco.start()
        time.sleep(3)
    with workload.Application(source, writers=22, clerks=6, two_phase=4, seed=seed) as app:
        time.sleep(SECONDS)
        rebeco.check_alive()
    assert app.done > 100
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
    rebeco.terminate()


@pytest.mark.limit(180)
def test_a_transaction_that_outlives_many_batches(source, target, rebeco):
    """It is open at installation of the first table, spans daemon restarts, and commits at the end."""
    source.psql("CREATE TABLE t (a int PRIMARY KEY, b int); CREATE TABLE u (a int PRIMARY KEY, b int);"
                "INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i")
    rebeco.start()
    rebeco.wait_in_sync()
    with source.connect() as long:
        long.run("BEGIN")
        long.run("INSERT INTO u VALUES (1, 1)")
        long.run("UPDATE t SET b = -1 WHERE a = 1")
        for round_ in range(6):
            source.run("UPDATE t SET b = b + 1 WHERE a > 1")
            source.run("INSERT INTO u VALUES (%s, 0)", 100 + round_)
            rebeco.wait_in_sync()
            assert target.value("SELECT count(*) FROM u WHERE a = 1") == 0
            assert target.value("SELECT b FROM t WHERE a = 2") == round_ + 1
            if round_ == 3:
                rebeco.kill9()
                rebeco.start()
        long.run("SAVEPOINT s")
        long.run("INSERT INTO u VALUES (2, 2)")
        long.run("ROLLBACK TO s")
        long.run("INSERT INTO u VALUES (3, 3)")
        long.run("COMMIT")
    rebeco.wait_in_sync()
    assert target.run("SELECT a, b FROM u WHERE a < 100 ORDER BY a") == [(1, 1), (3, 3)]
    rig.check_equal(source, target)


@pytest.mark.limit(180)
def test_prepared_transactions_that_wait(source, target, rebeco):
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    rebeco.start()
    rebeco.wait_in_sync()
    with source.connect() as c:
        for i in range(4):
            c.run(f"BEGIN; INSERT INTO t VALUES ({i}); PREPARE TRANSACTION 'p{i}'")
        c.run("INSERT INTO t VALUES (100)")
        rebeco.wait_in_sync()
        assert target.run("SELECT a FROM t") == [(100,)]
        source.restart()
    with source.connect() as c:
        c.run("COMMIT PREPARED 'p2'")
        rebeco.wait_in_sync()
        assert target.run("SELECT a FROM t ORDER BY a") == [(2,), (100,)]
        c.run("COMMIT PREPARED 'p0'")
        c.run("ROLLBACK PREPARED 'p1'")
        c.run("COMMIT PREPARED 'p3'")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


@pytest.mark.limit(240)
def test_logs_rotate_under_load_and_stay_small(source, target, rebeco):
    """Changes by the hundred thousand leave no log behind once they are at the target."""
    source.run("CREATE TABLE t (a int PRIMARY KEY, b int)")
    source.run("INSERT INTO t SELECT i, 0 FROM generate_series(1, 20000) i")
    rebeco.start()
    rebeco.wait_in_sync()

    def log_bytes():
        return source.value("SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c "
                            "WHERE relnamespace = 'rebeco'::regnamespace AND relname LIKE 'log%%'", user="postgres")
    for _ in range(10):
        source.run("UPDATE t SET b = b + 1")
        rebeco.wait_in_sync()
    rig.check_equal(source, target)

    def is_small():
        source.run("UPDATE t SET b = b + 1 WHERE a = 1")
        return log_bytes() < 4 * 1024 * 1024
    rig.eventually("the logs are cleaned", is_small, 90, 1)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_logs_are_looked_after_when_a_load_begins(source, target, rebeco):
    """Soon after each burst, however quiet it was before, and not at the next time that is due while it is quiet: what is left is less than
    makes writing go over to the other segment."""
    source.run("CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 20000) i")
    rebeco.start()
    rebeco.wait_in_sync()

    def log_bytes():
        return source.value("SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = 'rebeco'::regnamespace AND relname ~ '^log_[0-9]+_[01]$'", user="postgres")

    for _ in range(2):
        time.sleep(2.5)
        for _ in range(4):
            source.run("UPDATE t SET b = b + 1")
        rig.eventually("the logs are emptied", lambda: log_bytes() <= 1024 * 1024, 12, 0.1)
        rebeco.wait_in_sync()


def test_a_table_truncated_all_the_time_holds_up_no_other(source, target, rebeco):
    """Each TRUNCATE falls into the reading of a batch, sooner or later into every one."""
    source.psql("CREATE TABLE q (a int PRIMARY KEY); CREATE TABLE other (a int PRIMARY KEY)")
    rebeco.start()
    rebeco.wait_in_sync()

    def churn(c, rng, number):
        c.run("TRUNCATE q")
        c.run("INSERT INTO q SELECT i FROM generate_series(1, 50) i")

    with rig.Crew(source, churn, 2):
        for i in range(8):
            source.run("INSERT INTO other VALUES (%s)", i)
            rebeco.wait(f"row {i} is at the target",
                        lambda: target.value("SELECT count(*) FROM other WHERE a = %s", i), 5, 0.02)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
