"""More processes for the initial copy: `run --role copier` takes chunks from the ledger that a leading
daemon fills. One that dies loses only its chunk, and no chunk is loaded twice."""

import os
import random
import re
import signal
import time

import pytest

import rig

CONFIG = rig.config(copy={"streams": 1, "split_size": "1MB", "max_rate": "1.5MB/s"}, network_timeout="5s")


def fill(source, rows=260000):
    source.psql(f"""
        CREATE TABLE big (id int PRIMARY KEY, pad text, changes int NOT NULL DEFAULT 0);
        INSERT INTO big SELECT i, repeat('x', 90) FROM generate_series(1, {rows}) i;
        CREATE TABLE small (id int PRIMARY KEY, pad text);
        INSERT INTO small SELECT i, 'y' FROM generate_series(1, 100) i;
        ANALYZE""")


def chunks(r):
    """The chunks that this process says it has loaded, as (table, number)."""
    found = []
    for line in r.log_lines('event="chunk copied"'):
        found.append((re.search(r"table=(\S+)", line).group(1), int(re.search(r"chunk=(\d+)", line).group(1))))
    return found


def left(target):
    return target.value("SELECT count(*) FROM rebeco.chunk WHERE done_at IS NULL")


def change_rows(c, rng, _):
    c.run("UPDATE big SET changes = changes + 1 WHERE id = ANY (%s)", [rng.randint(1, 260000) for _ in range(20)])


@pytest.mark.limit(240)
def test_four_copiers_and_a_leader_while_one_is_killed_again_and_again(source, target, rebecos):
    fill(source)
    copiers = [rebecos(source, target, CONFIG, name="copier").start("--role", "copier") for _ in range(4)]
    copiers[0].wait("it waits for a leader", lambda: copiers[0].log_lines("a daemon that leads the sync"))
    assert target.value("SELECT to_regnamespace('rebeco') IS NULL")
    leader = rebecos(source, target, CONFIG).start()
    rng = random.Random(7)
    kills = 0
    with rig.Crew(source, change_rows, pause_s=0.01):
        leader.wait("a copier has loaded something", lambda: any(chunks(c) for c in copiers), 60)
        while leader.phase() == "copy" and left(target) > 2:
            victim = rng.choice(copiers)
            if victim.is_running():
                victim.kill9()
                kills += 1
            time.sleep(0.5)
            victim.start("--role", "copier")
            time.sleep(1.5)
        leader.wait_phase("follow")
    for c in copiers:
        assert c.exit_code == 0 or c.wait_exit(60) == 0, c.log_tail()
    leader.wait_in_sync()
    rig.check_equal(source, target)
    loaded = [one for r in (leader, *copiers) for one in chunks(r)]
    assert len(loaded) == len(set(loaded)), "a chunk was loaded twice"
    total = target.value("SELECT count(*) FROM rebeco.chunk")
    # A process that is killed between its commit and its log line has loaded a chunk without a word.
    assert total - kills <= len(loaded) <= total
    helped = sum(len(chunks(c)) for c in copiers)
    print(f"{total} chunks, {helped} by copiers, {kills} kills")
    assert kills > 0 and helped > total / 4
    assert not leader.log_lines("table paused")


@pytest.mark.limit(200)
def test_the_leader_dies_while_copiers_run(source, target, rebecos):
    """Its snapshot dies with it: what is left is loaded tolerantly, by the next one and the copiers."""
    fill(source, 150000)
    leader = rebecos(source, target, CONFIG).start()
    copiers = [rebecos(source, target, CONFIG, name="copier").start("--role", "copier") for _ in range(2)]
    with rig.Crew(source, lambda c, rng, n: c.run("UPDATE big SET changes = changes + 1 WHERE id = %s",
                                                  rng.randint(1, 150000)), pause_s=0.01):
        leader.wait("both have loaded something", lambda: all(chunks(c) for c in copiers), 60)
        assert left(target) > 0
        leader.kill9()
        time.sleep(3)
        assert all(c.is_running() for c in copiers)
        leader.start()
        leader.wait_phase("follow", 120)
    for c in copiers:
        assert c.wait_exit(60) == 0, c.log_tail()
    leader.wait_in_sync()
    rig.check_equal(source, target)


def test_what_a_frozen_copier_has_in_hand(source, target, rebecos):
    """Nobody takes it away; but who waits for the copy is told for what, and it goes on when the copier has gone."""
    rig.need_parts(source)
    fill(source, 100000)
    leader = rebecos(source, target, CONFIG).start()
    leader.wait_phase("copy")
    copier = rebecos(source, target, CONFIG, name="copier").start("--role", "copier")
    leader.wait("both copy", lambda: target.value("SELECT count(*) FROM pg_stat_progress_copy WHERE tuples_processed > 0") == 2, 60)
    os.kill(copier.process.pid, signal.SIGSTOP)
    leader.wait("it is said", lambda: "what other processes (run --role copier) have in hand" in leader.ok("status"), 60)
    assert len(leader.log_lines("the copy waits for what other processes have in hand")) == 1
    assert left(target) == 1
    copier.kill9()
    leader.wait_in_sync(60)
    assert "in hand" not in leader.ok("status")
    rig.check_equal(source, target)


def test_a_copier_alone_waits_and_touches_nothing(source, target, rebecos):
    fill(source, 100)
    copier = rebecos(source, target, CONFIG).start("--role", "copier")
    copier.wait("it waits", lambda: copier.log_lines("a daemon that leads the sync"))
    time.sleep(1)
    for server in (source, target):
        assert server.value("SELECT to_regnamespace('rebeco') IS NULL")
    copier.terminate()


def test_a_copier_ends_at_once_when_the_copy_is_over(source, target, rebecos):
    fill(source, 100)
    leader = rebecos(source, target).start()
    leader.wait_in_sync()
    copier = rebecos(source, target).start("--role", "copier")
    assert copier.wait_exit(30) == 0
    assert chunks(copier) == []
    assert target.value("SELECT owner FROM rebeco.sync") == 1
    leader.wait_in_sync()
    rig.check_equal(source, target)


def test_a_copier_of_another_source_is_refused(source, target, rebecos):
    fill(source)
    with source.admin() as c:
        c.run("CREATE DATABASE other OWNER app")
    other = source.url(database="other")
    leader = rebecos(source, target, CONFIG).start()
    leader.wait_phase("copy")
    copier = rebecos(other, target, CONFIG).start("--role", "copier")
    assert copier.wait_exit(30) == 2
    assert copier.log_lines("not the database that the leading daemon copies")


@pytest.mark.parametrize("args", [["--role", "boss"], ["--role", "copier", "--standby"],
                                  ["--role", "copier", "--until", "copied"]])
def test_roles_that_make_no_sense(rebecos, args):
    out = rebecos("host=a", "host=b").command("run", *args)
    assert out.code == 2 and "copier" in out.err


def test_copiers_copy_what_the_leader_would(source, target, rebecos):
    """Other names, fewer columns and fewer rows hold for a helper's chunks too."""
    fill(source)
    target.psql("CREATE TABLE other (id int PRIMARY KEY, changes int NOT NULL)")
    config = rig.config(
        copy={"streams": 1, "split_size": "1MB", "max_rate": "200kB/s"}, schema="expect",
        tables={"include": ["public.big"], "rename": {"public.big": "public.other"},
                "columns": {"public.big": ["id", "changes"]}, "where": {"public.big": "id % 3 = 0"}})
    copier = rebecos(source, target, config, name="copier").start("--role", "copier")
    leader = rebecos(source, target, config).start()
    assert copier.wait_exit(60) == 0
    leader.wait_in_sync()
    assert chunks(copier), "the helper has not helped"
    assert target.run("SELECT count(*), sum(id) FROM other") == source.run(
        "SELECT count(*), sum(id) FROM big WHERE id % 3 = 0")
    assert not leader.log_lines("table paused")
