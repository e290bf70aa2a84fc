"""The source is not what it was: a promoted standby, a restored backup, another database. The daemon stops and
says why, nothing is written, and `rebeco accept` begins anew when a person says that it is the right one."""

import os
import shutil
import subprocess

import pytest
import rig
import two_way

TABLES = """
CREATE TABLE parent (id int PRIMARY KEY, v text);
CREATE TABLE child (id serial PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE, v text UNIQUE);
INSERT INTO parent SELECT i, 'p' || i FROM generate_series(1, 300) i;
INSERT INTO child (parent, v) SELECT i, 'c' || i FROM generate_series(1, 300) i;
"""


def begin(source, target, rebecos, **config):
    source.psql(TABLES)
    r = rebecos(source, target, rig.config(**config)).start()
    r.wait_in_sync()
    return r


def lost_commits(source):
    """What the source of before has and its successor does not."""
    source.psql("UPDATE parent SET v = 'lost' WHERE id = 1; DELETE FROM parent WHERE id > 250; "
                "INSERT INTO parent VALUES (9000, 'lost'); INSERT INTO child (parent, v) VALUES (9000, 'lost')")


def check_stops(r, target, word):
    """It says why and what to do, again at each start, and leaves the target alone."""
    before = target.run("SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM parent p")
    r.start()
    r.wait("the log says why", lambda: [x for x in r.log_lines(word) if "rebeco accept" in x], 30)
    r.kill9()
    r.start("--until", "in-sync")
    assert r.wait_exit(30) == 4, "a person is needed"
    assert target.run("SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM parent p") == before


def check_accepts(r, source, target, kill=False):
    r.command("accept", "--timeout", "1s")
    for _ in range(4 if kill else 0):
        r.start()
        r.wait("it begins anew", lambda: r.log_lines("leading"), 20)
        r.kill9()
    r.start()
    r.wait_in_sync(60)
    rig.check_equal(source, target)
    source.psql("UPDATE parent SET v = v || '!'; DELETE FROM child WHERE id < 20; INSERT INTO parent VALUES (-1, 'after')")
    r.wait_in_sync()
    rig.check_equal(source, target)
    assert not r.log_lines("holds rows"), r.log_tail()
    assert target.run("SELECT count(*) FROM rebeco.sync WHERE replaces") == [(0,)]
    assert source.value("SELECT count(*) FROM rebeco.consumer") == 1
    refused = r.command("accept")
    assert refused.code == 1 and "nothing to accept" in refused.err, refused


def test_a_promoted_standby(source, target, rebecos):
    """It was behind when the primary was lost: the target has commits that it does not have."""
    r = begin(source, target, rebecos)
    follower = source.standby()
    follower.stop()
    lost_commits(source)
    r.wait_in_sync()
    r.terminate()
    source.stop()
    follower.start()
    follower.run("SELECT pg_promote()", user="postgres")
    rig.eventually("it is promoted", lambda: follower.value("SELECT NOT pg_is_in_recovery()"))
    after = rebecos(follower, target)
    check_stops(after, target, "promoted")
    assert target.value("SELECT v FROM parent WHERE id = 9000") == "lost"
    check_accepts(after, follower, target)
    assert target.value("SELECT count(*) FROM parent WHERE id = 9000") == 0


@pytest.mark.limit(180)
def test_a_restored_backup(source, target, rebecos):
    """Its transaction numbers begin again where the backup was made; killed again and again while it begins anew."""
    r = begin(source, target, rebecos, new_tables=False)
    source.stop()
    backup = source.data + ".backup"
    subprocess.run(["cp", "-a", source.data, backup], check=True)
    source.start()
    lost_commits(source)
    for i in range(20):
        source.run("UPDATE parent SET v = %s WHERE id = 2", f"lost {i}")
    r.wait_in_sync()
    r.terminate()
    source.stop()
    shutil.rmtree(source.data)
    os.rename(backup, source.data)
    source.start()
    check_stops(r, target, "back in time")
    check_accepts(r, source, target, kill=True)


def used_up(server, number):
    """The application has gone on: transaction numbers are beyond that one again."""
    with server.connect() as c:
        rig.eventually("the numbers are used up", lambda: c.value("SELECT txid_current()") > number, pause=0)


def put_back(server, copy):
    """In the server's place there is what a standby had when it was stopped, on the same timeline, as from a snapshot of its disk."""
    server.stop("immediate")
    shutil.rmtree(server.data)
    os.rename(copy.data, server.data)
    os.unlink(server.data + "/standby.signal")
    server.start()


def is_told(source, target):
    return target.value("SELECT s.snapshot::text = t.told::text FROM rebeco.sync s JOIN rebeco.status t ON t.sync = s.name")


@pytest.mark.limit(180)
def test_a_restored_backup_that_has_gone_on(source, target, rebecos):
    """Its numbers are beyond the recorded one when it is looked at, and mean other transactions than before."""
    r = begin(source, target, rebecos)
    copy = source.standby()
    copy.stop()
    lost_commits(source)
    r.wait_in_sync()
    r.wait("it is noted", lambda: confirmed(source, target) and is_told(source, target))
    r.terminate()
    number = source.value("SELECT txid_current()")
    put_back(source, copy)
    source.run("UPDATE parent SET v = 'unseen' WHERE id = 3")
    used_up(source, number)
    check_stops(r, target, "back in time")
    check_accepts(r, source, target)


@pytest.mark.limit(180)
def test_a_target_of_a_two_way_sync_that_was_restored_and_has_gone_on(source, target, rebecos):
    """Nothing was written at the source meanwhile, so that only the way back can tell."""
    source.psql(TABLES)
    r = rebecos(source, target, two_way.config()).start()
    two_way.wait_both(r)
    copy = target.standby()
    copy.stop()
    target.run("UPDATE parent SET v = 'lost' WHERE id = 1")
    two_way.wait_both(r)
    r.wait("it is noted", lambda: confirmed(target, source) and is_told(target, source))
    r.terminate()
    number = target.value("SELECT txid_current()")
    put_back(target, copy)
    used_up(target, number)
    r.start()
    r.wait("it says why", lambda: [x for x in r.log_lines("back in time") if "rebeco accept" in x])
    r.ok("accept", timeout=60)
    two_way.wait_both(r)  # where both directions have noticed, all is copied again, and nothing may be written at the target meanwhile
    r.ok("resync", "public.parent", timeout=60)
    two_way.wait_both(r)
    target.run("UPDATE parent SET v = 'after' WHERE id = 2")
    two_way.wait_both(r)
    two_way.check_equal(source, target)
    r.terminate()
    r.start()
    two_way.wait_both(r)


def test_another_database(source, target, servers, rebecos):
    """As after pg_dump and pg_restore: the same tables, other numbers, and nothing of ours in it."""
    r = begin(source, target, rebecos)
    r.terminate()
    other = servers("other", "app", source.major)
    for sql in ("ALTER DATABASE app RENAME TO old", "CREATE DATABASE app OWNER app"):
        other.run(sql, user="postgres", database="postgres")
    other.psql("CREATE TABLE unrelated (id int PRIMARY KEY); INSERT INTO unrelated VALUES (1);" + TABLES)
    other.psql("DELETE FROM parent WHERE id % 3 = 0; UPDATE child SET v = v || ' here'")
    after = rebecos(other, target)
    check_stops(after, target, "not the database")
    check_accepts(after, other, target)


def test_a_running_daemon_is_told(source, target, rebecos):
    """The request reaches a daemon that stopped and tries again by itself."""
    r = begin(source, target, rebecos)
    r.terminate()
    target.run("UPDATE rebeco.sync SET source_timeline = 77")
    r.start()
    r.wait("it stops", lambda: r.log_lines("promoted"), 30)
    r.ok("accept", "--timeout", "60s", timeout=70)
    r.wait_in_sync(60)
    rig.check_equal(source, target)


def confirmed(source, target):
    """The source has been told of the target's position, so that it may empty its change logs."""
    return source.value("SELECT snapshot::text FROM rebeco.consumer") == target.value("SELECT snapshot::text FROM rebeco.sync")


@pytest.mark.limit(180)
@pytest.mark.parametrize("running", [False, True])
def test_a_target_that_lost_commits(source, target, rebecos, running):
    """It went over to a standby that was behind: the source may have emptied its logs of what is missing there."""
    r = begin(source, target, rebecos)
    if not running:
        r.terminate()
    follower = target.standby()
    follower.stop()
    if not running:
        r.start()
    lost_commits(source)
    r.wait_in_sync()
    r.wait("the source knows", lambda: confirmed(source, target))
    if not running:
        r.terminate()
    target.stop("immediate")
    backup = target.data + ".lost"
    os.rename(target.data, backup)
    os.rename(follower.data, target.data)
    os.unlink(target.data + "/standby.signal")
    target.start()
    if running:
        r.wait("the log says why", lambda: [x for x in r.log_lines("back in time") if "rebeco accept" in x], 30)
        r.kill9()
    assert target.value("SELECT count(*) FROM parent WHERE id = 9000") == 0, "it has lost something"
    check_stops(r, target, "back in time")
    check_accepts(r, source, target, kill=not running)


@pytest.mark.limit(180)
def test_a_target_that_was_promoted_in_a_two_way_sync(source, target, rebecos):
    """Nothing is lost in it; what was written there while the daemon stood still is sent when a person has looked."""
    source.psql(TABLES)
    config = two_way.config()
    r = rebecos(source, target, config).start()
    two_way.wait_both(r)
    follower = target.standby()
    source.run("UPDATE parent SET v = 'source' WHERE id = 1")
    target.run("UPDATE parent SET v = 'target' WHERE id = 2")
    two_way.wait_both(r)
    rig.eventually("the standby has it", lambda: follower.value("SELECT v FROM parent WHERE id = 2") == "target")
    r.terminate()
    target.run("UPDATE parent SET v = 'before' WHERE id = 3")
    target.stop()
    follower.run("SELECT pg_promote()", user="postgres")
    rig.eventually("it is promoted", lambda: follower.value("SELECT NOT pg_is_in_recovery()"))
    follower.run("UPDATE parent SET v = 'after' WHERE id = 4")
    after = rebecos(source, follower, config).start()
    after.wait("it says why", lambda: "promoted" in ((after.status() or {}).get("trouble") or {}).get("what", ""), 30)
    source.run("UPDATE parent SET v = 'source' WHERE id = 5")
    assert after.ok("accept", timeout=40)
    two_way.wait_both(after)
    two_way.check_equal(source, follower)
    assert source.run("SELECT v FROM parent WHERE id < 6 ORDER BY id") == [("source",), ("target",), ("before",), ("after",), ("source",)]
    after.terminate()
    after.start()
    two_way.wait_both(after)
