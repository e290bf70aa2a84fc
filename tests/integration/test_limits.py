"""The promise: little memory whatever the size, nothing when idle, and a short lag.

These measure, so they use the build without sanitizers. The long form has the sizes of the promise. Memory, and the CPU time
of our own sessions while nothing happens, are what they are whatever runs beside; a lag is not."""

import os
import random
import time

import pytest
import rig

MB = 1024 * 1024
LIMIT = 64 * MB


def check_lag(what, measure):
    def figures():
        lags = measure()
        p50, p99 = percentile(lags, 0.5), percentile(lags, 0.99)
        print(f"lag at {what}: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")
        return p50, p99
    def is_good(f):
        return f[0] < 0.030 and f[1] < 0.250
    assert is_good(best_of(figures, is_good))


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))]


def check_memory(rebeco, what):
    peak = rebeco.peak_rss()
    print(f"{what}: peak memory {peak / MB:.1f} MB")
    assert 1 * MB < peak < LIMIT, f"{what}: {peak / MB:.1f} MB"


@pytest.mark.limit(900)
def test_memory_of_a_large_copy_and_a_large_backlog(source, target, rebecos):
    rows = 5_000_000 if rig.LONG else 400_000
    source.run("CREATE TABLE big (id int PRIMARY KEY, n int, body text)")
    source.run("INSERT INTO big SELECT i, 0, md5(i::text) || md5(i::text) FROM generate_series(1, %s) i", rows)
    rebeco = rebecos(source, target, binary=rig.RELEASE).start()
    rebeco.wait_in_sync(400)
    check_memory(rebeco, f"copy of {rows} rows")
    rig.check_equal(source, target)
    rebeco.terminate()
    backlog = rows * 3 // 5
    source.run("UPDATE big SET n = n + 1 WHERE id <= %s", backlog // 2)
    source.run("UPDATE big SET n = n + 1, body = body || 'x' WHERE id <= %s", backlog)
    source.run("DELETE FROM big WHERE id %% 10 = 0 AND id <= %s", backlog)
    rebeco._rss_seen = 0
    rebeco.start()
    rebeco.wait_in_sync(400)
    check_memory(rebeco, f"backlog of {backlog} keys")
    rig.check_equal(source, target)


@pytest.mark.limit(300)
def test_memory_of_wide_rows(source, target, rebecos):
    """The bound is 64 MB and three times the largest single row: libpq has it in its input and as its result, and
    either the statement in its output or as much of what follows as its input has room for."""
    size = 32 * MB
    source.run("CREATE TABLE wide (id int PRIMARY KEY, body text)")
    # Compressible at the server, so the test is not about the disk; on the wire it has its full size.
    source.run("INSERT INTO wide SELECT i, repeat('0123456789abcdef', %s) FROM generate_series(1, 3) i", size // 16)
    source.run("INSERT INTO wide SELECT i, repeat('x', 1000000) FROM generate_series(10, 60) i")
    rebeco = rebecos(source, target, binary=rig.RELEASE).start()
    rebeco.wait_in_sync(120)
    source.run("UPDATE wide SET body = body || 'y'")
    rebeco.wait_in_sync(120)
    rig.check_equal(source, target)
    peak = rebeco.peak_rss()
    print(f"rows of {size / MB:.0f} MB: peak memory {peak / MB:.1f} MB")
    assert peak < LIMIT + 3 * size


def cpu_of(pids):
    ticks = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def best_of(measure, is_good, tries=3):
    """A busy machine makes a figure worse and never better: the first good one counts, else the last."""
    for _ in range(tries):
        figure = measure()
        if is_good(figure):
            break
    return figure


@pytest.mark.limit(600)
@pytest.mark.parametrize("prepared, most", [(0, 0.01), (20, 0.02)][:2 if rig.LONG else 1])
def test_500_tables_cost_nothing_when_idle(servers, rebecos, prepared, most):
    """Hosted servers have no prepared transactions. Where they are possible a writer may not NOTIFY, so
    the daemon must look: that costs more."""
    source = servers("source", "app", os.environ.get("REBECO_PG_SOURCE"), max_prepared_transactions=str(prepared))
    target = servers("target", "rds", os.environ.get("REBECO_PG_TARGET"))
    tables, seconds = 500, (60 if rig.LONG else 10)
    source.psql("".join(f"CREATE TABLE t{i} (id int PRIMARY KEY, v text); INSERT INTO t{i} VALUES (1, 'x');"
                        for i in range(tables)))
    rebeco = rebecos(source, target, binary=rig.RELEASE).start()
    rebeco.wait_in_sync(300)
    check_memory(rebeco, f"{tables} tables")
    time.sleep(5)

    def cpu():
        pids = [r[0] for r in source.run("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'rebeco%%'",
                                         user="postgres")]
        return pids, cpu_of(pids) + rebeco.cpu_seconds()

    def share():
        pids, before = cpu()
        time.sleep(seconds)
        again, after = cpu()
        print(f"idle, {tables} tables: {(after - before) / seconds * 100:.2f} % of one core")
        # A session that came or went would hide what it used.
        assert set(pids) == set(again), "sessions are opened and closed while idle"
        return (after - before) / seconds
    assert best_of(share, lambda s: s < most) < most
    # And it still wakes up.
    source.run("UPDATE t77 SET v = 'y'")
    rebeco.wait("the change arrives", lambda: target.value("SELECT v FROM t77") == "y", 3, 0.01)


def measure_lag(source, target, samples, pause_s):
    """Seconds from a commit at the source to its visibility at the target, sampled."""
    lags = []
    with source.connect() as s, target.connect() as t:
        for i in range(samples):
            time.sleep(pause_s * random.uniform(0.8, 1.2))
            i = s.value("INSERT INTO beat DEFAULT VALUES RETURNING id")
            start = time.monotonic()
            while not t.run("SELECT 1 FROM beat WHERE id = %s", i):
                assert time.monotonic() - start < 20, f"beat {i} does not arrive"
                time.sleep(0.001)
            lags.append(time.monotonic() - start)
    return lags


@pytest.mark.alone
@pytest.mark.limit(300)
def test_lag_when_asleep(source, target, rebecos):
    source.run("CREATE TABLE beat (id serial PRIMARY KEY)")
    rebeco = rebecos(source, target, binary=rig.RELEASE).start()
    rebeco.wait_in_sync()
    check_lag("one write per second", lambda: measure_lag(source, target, 60 if rig.LONG else 10, 1))


@pytest.mark.alone
@pytest.mark.limit(300)
def test_lag_at_500_transactions_per_second(source, target, rebecos):
    rig.pgbench(source, "-i", "-s", "5", "-q")
    source.run("ALTER TABLE pgbench_history ADD id bigserial PRIMARY KEY")
    source.run("CREATE TABLE beat (id serial PRIMARY KEY)")
    rebeco = rebecos(source, target, binary=rig.RELEASE).start()
    rebeco.wait_in_sync(60)
    seconds = 60 if rig.LONG else 10
    load = rig.pgbench(source, "-c", "4", "-j", "1", "-n", "-R", "500", "-T", str(4 * seconds + 10), wait=False)
    try:
        time.sleep(2)
        check_lag("500 transactions per second", lambda: measure_lag(source, target, seconds * 10, 0.09))
    finally:
        load.terminate()
        load.wait()
