"""One daemon per sync: the second one says so and ends, or stands by and takes over when the first is
killed, frozen or cut off. Two that are cut off from each other never both apply."""

import os
import signal
import time

import pytest

import rig
import workload


def owner(target):
    return target.value("SELECT owner FROM rebeco.sync")


def lock_holder(target):
    return target.value("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' "
                        "AND (classid::bigint << 32 | objid::bigint) = hashtextextended('rebeco default', 0)")


CONFIG = rig.config(network_timeout="3s")


@pytest.fixture
def pair(source, target, rebecos):
    """A daemon that leads, and one that stands by."""
    workload.install(source, rows=50)
    first = rebecos(source, target, CONFIG).start("--standby")
    first.wait_in_sync()
    second = rebecos(source, target, CONFIG).start("--standby")
    second.wait("it stands by", lambda: second.log_lines("another daemon holds this sync"), 20)
    return first, second


def test_a_second_daemon_says_so_at_once_and_ends(source, target, rebecos):
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    first = rebecos(source, target).start()
    first.wait_in_sync()
    second = rebecos(source, target).start()
    second.wait("its first words", lambda: second.log_lines("another daemon holds this sync"), 10)
    line = second.log_lines("another daemon holds this sync")[0]
    assert "address=127.0.0.1" in line and f"session={lock_holder(target)}" in line
    assert second.wait_exit(60) == 5
    assert owner(target) == 1
    source.run("INSERT INTO t VALUES (1)")
    first.wait_in_sync()
    rig.check_equal(source, target)


@pytest.mark.alone
def test_exit_code_5_comes_within_seconds(source, target, rebecos):
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    first = rebecos(source, target, binary=rig.RELEASE).start()
    first.wait_in_sync()
    second = rebecos(source, target, binary=rig.RELEASE).start()
    began = time.monotonic()
    assert second.wait_exit(30) == 5
    assert time.monotonic() - began < 8


def test_a_standby_takes_over_from_one_that_is_killed(source, target, pair):
    first, second = pair
    time.sleep(4)  # some beats: a standby that sees a living leader must stay one
    assert second.is_running() and owner(target) == 1
    with rig.Crew(source, workload.step, count=2, allowed=workload.ALLOWED):
        first.kill9()
        second.wait("it leads", lambda: owner(target) == 2, 30)
    second.wait_in_sync()
    rig.check_equal(source, target)


def test_a_standby_takes_over_from_one_that_is_frozen(source, target, pair):
    """The frozen one wakes up later, in the middle of what it did, and must not apply any more."""
    first, second = pair
    with rig.Crew(source, workload.step, count=2, allowed=workload.ALLOWED) as crew:
        rig.eventually("writers are at work", lambda: crew.done > 50)
        os.kill(first.process.pid, signal.SIGSTOP)
        second.wait("it leads", lambda: owner(target) == 2, 60)
        assert second.log_lines("it is taken for dead")
        before = crew.done
        rig.eventually("writers go on", lambda: crew.done > before + 50)
        second.ok("kick", "--wait", timeout=60)
        os.kill(first.process.pid, signal.SIGCONT)
        first.wait("it knows", lambda: first.log_lines("another daemon holds this sync"), 30)
        time.sleep(2)
    second.wait_in_sync()
    assert owner(target) == 2
    rig.check_equal(source, target)
    second.kill9()
    first.wait("it leads again", lambda: owner(target) == 3, 30)
    first.wait_in_sync()
    rig.check_equal(source, target)


def test_the_fence_holds_without_the_lock(source, target, rebecos):
    """Only the session with the lock is lost while the daemon is frozen: its batch still has a good
    connection when it wakes up, and its commit must fail."""
    source.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    first = rebecos(source, target, CONFIG).start()
    first.wait_in_sync()
    os.kill(first.process.pid, signal.SIGSTOP)
    with target.admin() as c:
        c.run("SELECT pg_terminate_backend(%s)", lock_holder(target))
    second = rebecos(source, target, CONFIG).start("--standby")
    second.wait("it leads", lambda: owner(target) == 2, 60)
    source.run("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 1000) i")
    second.wait_in_sync()
    os.kill(first.process.pid, signal.SIGCONT)
    source.run("UPDATE t SET b = b || 'y'")
    first.wait("it knows", lambda: first.log_lines("another daemon holds this sync"), 30)
    second.wait_in_sync()
    assert owner(target) == 2
    rig.check_equal(source, target)


def test_two_that_are_cut_off_from_each_other(source, target, rebecos, proxy):
    """The leader loses the network to the target and gets it back; meanwhile the other has led."""
    workload.install(source, rows=50)
    cable = proxy(target)
    first = rebecos(source, target.url(port=cable.port), CONFIG).start("--standby")
    rig.eventually("it leads", lambda: target.value("SELECT to_regclass('rebeco.status') IS NOT NULL") and
                   target.value("SELECT phase FROM rebeco.sync") == "follow", 60)
    second = rebecos(source, target, CONFIG).start("--standby")
    second.wait("it stands by", lambda: second.log_lines("another daemon holds this sync"), 20)
    with rig.Crew(source, workload.step, count=2, allowed=workload.ALLOWED):
        cable.silence()
        second.wait("it leads", lambda: owner(target) == 2, 60)
        cable.speak()
        first.wait("it knows", lambda: first.log_lines("another daemon holds this sync"), 60)
    second.wait_in_sync()
    assert owner(target) == 2
    rig.check_equal(source, target)
