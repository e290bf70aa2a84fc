"""The promise: kill -9 at any moment, start again, and both ends are equal; what was copied stays copied."""

import os
import random
import signal
import time

import pytest
import rig
import workload

ROUNDS = 100 if rig.LONG else 14

COPY_OPTIONS = {"streams": 3, "split_size": "512kB", "max_rate": "6MB/s"}


def big_table(server, rows=60000):
    server.run("CREATE TABLE big (id bigint PRIMARY KEY, body text)")
    server.run("INSERT INTO big SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, %s) i", rows)
    server.run("ANALYZE")


def chunks_done(target):
    """The chunks recorded as done, with the transaction that recorded each."""
    if target.value("SELECT to_regclass('rebeco.chunk')") is None:
        return {}
    return {row[:3]: row[3:] for row in target.run(
        "SELECT sync, table_id, number, xmin::text, done_at FROM rebeco.chunk WHERE done_at IS NOT NULL")}


@pytest.mark.parametrize("seed", (1, 2) if not rig.LONG else range(1, 6))
@pytest.mark.limit(ROUNDS * 12 + 240)
def test_kill_at_random_moments(source, target, rebecos, seed):
    """From installation to steady state, writers at work all the while."""
    rng = random.Random(seed)
    workload.install(source)
    big_table(source)
    rebeco = rebecos(source, target, rig.config(copy=COPY_OPTIONS))
    kept = {}
    phases = set()
    with workload.Application(source, writers=3, clerks=1, two_phase=1, seed=seed, pause_s=0.02):
        for _ in range(ROUNDS):
            rebeco.start()
            time.sleep(rng.choice([rng.uniform(0.01, 0.3), rng.uniform(0.3, 1.5), rng.uniform(0.5, 4)]))
            rebeco.check_alive()
            rebeco.kill9()
            phases.add(rebeco.phase())
            done = chunks_done(target)
            again = [key for key, value in kept.items() if done.get(key) != value]
            assert not again, f"chunks that were done were done again, or forgotten: {again}"
            kept = done
    rebeco.start()
    rebeco.wait_in_sync(120)
    rig.check_equal(source, target)
    assert {"copy", "follow"} & phases, f"the kills saw only the phases {phases}"
    rebeco.terminate()


@pytest.mark.limit(300)
def test_a_copy_longer_than_any_life_ends(source, target, rebecos):
    """Each life is shorter than the copy: only a copy that continues can end. No chunk that is done is read again."""
    big_table(source, 40000)
    source.restart()
    rebeco = rebecos(source, target, rig.config(copy=dict(COPY_OPTIONS, streams=2, max_rate="3MB/s")))
    lives = 0
    while rebeco.phase() in (None, "new", "schema", "capture", "copy") and lives < 60:
        rebeco.start()
        time.sleep(1.6)
        rebeco.check_alive()
        rebeco.kill9()
        lives += 1
    assert 2 < lives < 60, f"the copy took {lives} lives"
    rebeco.start()
    rebeco.wait_in_sync(60)
    rebeco.terminate()
    # Read is what was delivered, and in each life at most one chunk for each of two streams besides.
    chunks = target.value("SELECT count(*) FROM rebeco.chunk")
    assert chunks > 10
    read = rig.eventually("the statistics have come", lambda: source.value(
        "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'big'", user="postgres"))
    limit = 40000 * (1 + (2 * lives + 2) / chunks)
    assert read <= limit, f"{read} rows were read in {lives} lives of {chunks} chunks; allowed {limit:.0f}"
    rig.check_equal(source, target)


@pytest.mark.parametrize("phase", ["schema", "capture", "copy", "catch-up", "finish", "follow"])
@pytest.mark.limit(180)
def test_kill_as_a_phase_begins(source, target, rebecos, phase):
    workload.install(source, rows=300)
    rebeco = rebecos(source, target)
    with workload.Application(source, writers=2, clerks=1, two_phase=0, long_transaction=False, pause_s=0.02):
        for _ in range(2):
            rebeco.start()
            rebeco.wait_phase(phase)
            rebeco.kill9()
    rebeco.start()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)


@pytest.mark.limit(240)
def test_kill_with_the_servers(source, target, rebecos):
    """The daemon and one server die in the same moment, as when a machine goes."""
    rng = random.Random(7)
    workload.install(source)
    rebeco = rebecos(source, target)
    with workload.Application(source, writers=3, clerks=1, two_phase=0, long_transaction=False, stubborn=True, pause_s=0.01):
        for i in range(10 if rig.LONG else 5):
            rebeco.start()
            time.sleep(rng.uniform(0.5, 3))
            rebeco.check_alive()
            server = (source, target)[i % 2]
            server.kill9()
            rebeco.kill9()
            server.start()
    rebeco.start()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)


@pytest.mark.limit(200)
def test_a_second_daemon_after_a_frozen_one(source, target, rebecos):
    """The first is stopped, loses its sessions, and wakes when the second has taken over: it must not write."""
    workload.install(source, rows=100)
    first, second = rebecos(source, target).start(), rebecos(source, target)
    first.wait_in_sync()
    os.kill(first.process.pid, signal.SIGSTOP)
    for server in (source, target):
        server.terminate_backends("rebeco")
    second.start()
    source.run("UPDATE item SET price = 1")
    second.wait_in_sync(60)
    os.kill(first.process.pid, signal.SIGCONT)
    first.wait("the first one says that it is not alone", lambda: first.log_lines("another daemon holds this sync"), 90)
    source.run("UPDATE item SET price = 2")
    second.wait_in_sync()
    rig.check_equal(source, target)
    # It stands by: when the second ends, it goes on.
    second.terminate()
    source.run("UPDATE item SET price = 3")
    rig.wait_converged(source, target, 30)
    first.wait_in_sync()
