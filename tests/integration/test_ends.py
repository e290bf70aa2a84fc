"""What ends a sync, or hands it over: what was answered holds whatever dies, nothing is half removed unseen, and the end
that stays can go on."""

import subprocess

import pytest
import rig
import two_way

UNIQUE = "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)"


def installed(server):
    return server.value("SELECT to_regnamespace('rebeco')") is not None


def triggers(server):
    return server.value("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'rebeco%'")


# ------------------------------------------------------------------ kick, pause, resync


def test_a_kick_brings_the_sequences(source, target, rebecos):
    """More was drawn than the head-room since they were read last; the daemon dies right after the answer."""
    source.run("CREATE TABLE t (id serial PRIMARY KEY); CREATE SEQUENCE lone; CREATE SEQUENCE gone")
    r = rebecos(source, target, rig.config(sequences={"interval": "1h", "headroom": 5})).start()
    r.wait_in_sync()
    for number in 1, 2:
        source.run("INSERT INTO t SELECT nextval('t_id_seq') FROM generate_series(1, 300)")
        source.run("SELECT setval('lone', %s, false)", 4000 * number)
        said = r.ok("kick", "--wait")
        assert target.value("SELECT last_value FROM t_id_seq") >= 300 * number
        assert target.value("SELECT last_value FROM lone") >= 4000 * number
        assert "sequence" not in said
    target.run("DROP SEQUENCE gone")
    assert "1 sequence is not as at the source there" in r.ok("kick", "--wait")
    r.kill9()
    assert target.value("INSERT INTO t DEFAULT VALUES RETURNING id") > 600
    assert target.value("SELECT nextval('lone')") >= 8000


def test_a_kick_says_that_the_sync_is_paused(source, target, rebeco):
    source.psql(UNIQUE)
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.ok("pause")
    r = rebeco.command("kick", "--wait", "--timeout", "1s")
    assert r.code == 1 and "paused: this waits until `rebeco resume`" in r.err
    rebeco.ok("resume")
    assert "paused" not in rebeco.command("kick", "--wait").err


def test_requests_that_wait_do_not_hide_the_one_that_ends_their_waiting(source, target, rebeco):
    source.psql(UNIQUE)
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.ok("pause")
    target.run("INSERT INTO rebeco.command (sync, verb) SELECT 'default', 'kick' FROM generate_series(1, 250)")
    rebeco.ok("resume")
    rebeco.wait("all have their answer", lambda: target.value("SELECT count(*) FROM rebeco.command WHERE done_at IS NULL") == 0)


@pytest.mark.parametrize("verb", ["pause", "resync", "resume"])
def test_what_is_answered_is_recorded(source, target, rebeco, verb):
    """A daemon that is killed after the answer would not know of it any more."""
    source.psql(UNIQUE)
    rebeco.start()
    rebeco.wait_in_sync()
    if verb == "resume":
        rebeco.ok("pause", "public.a")
    with target.admin() as c:
        c.run("BEGIN; SELECT 1 FROM rebeco.sync_table FOR UPDATE")
        r = rebeco.command(verb, "public.a", "--timeout", "2s")
        assert r.code == 1 and "not answered" in r.err, r
        rebeco.kill9()
        c.run("ROLLBACK")
    before = target.value("SELECT copied_at FROM rebeco.sync_table WHERE source_name = 'a'")
    rebeco.start()
    if verb != "resync":
        wanted = "user" if verb == "pause" else None
        rebeco.wait("it is so", lambda: target.value("SELECT paused FROM rebeco.sync_table WHERE source_name = 'a'") == wanted)
    else:
        rebeco.wait("it is copied", lambda: target.value("SELECT copied_at FROM rebeco.sync_table WHERE source_name = 'a'") not in (None, before))


def test_a_resync_of_both_directions_survives_a_kill(source, target, rebecos):
    source.psql(UNIQUE)
    rebeco = rebecos(source, target, config=two_way.config())
    rebeco.start()
    two_way.wait_both(rebeco)
    copied = "SELECT copied_at FROM rebeco.sync_table WHERE sync = 'default' AND source_name = 'a'"
    before = target.value(copied)
    with target.admin() as c:
        c.run("BEGIN; LOCK TABLE a IN ROW EXCLUSIVE MODE")
        rebeco.ok("resync", "public.a")
        rebeco.kill9()
        rebeco.start()
        rebeco.wait("it knows of it", lambda: target.value("SELECT paused FROM rebeco.sync_table WHERE sync = 'default' AND source_name = 'a'") == "capture")
        c.run("ROLLBACK")
    rebeco.wait("it is copied again", lambda: target.value(copied) not in (None, before), 60)
    two_way.wait_both(rebeco)
    source.run("INSERT INTO a VALUES (2)")
    target.run("INSERT INTO a VALUES (3)")
    two_way.wait_both(rebeco)
    two_way.check_equal(source, target)


# ------------------------------------------------------------------ clocks


SHIM = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* An hour back, from the moment on in which the file is there. */
int clock_gettime(clockid_t which, struct timespec *t)
{
    long failed = syscall(SYS_clock_gettime, which, t);

    if (which == CLOCK_REALTIME && access(getenv("CLOCK_BACK"), F_OK) == 0)
        t->tv_sec -= 3600;
    return (int)failed;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);

    (void)zone;
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return failed;
}
"""


def test_a_clock_that_is_set_back_holds_nothing_up(source, target, rebecos, tmp_path):
    """The status, the sequences, a pause and its end, and changes, under load."""
    tmp_path.chmod(0o755)
    (tmp_path / "shim.c").write_text(SHIM)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "shim.so", tmp_path / "shim.c"], check=True)
    back = tmp_path / "back"
    source.run("CREATE TABLE t (id serial PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY)")
    r = rebecos(source, target, rig.config(sequences={"interval": "1s", "headroom": 5}), binary=rig.RELEASE,
                env={"LD_PRELOAD": str(tmp_path / "shim.so"), "CLOCK_BACK": str(back)}).start()
    r.wait_in_sync()

    def write(c, rng, number):
        c.run("INSERT INTO t (v) VALUES ('x')")
        c.raw.commit()

    with rig.Crew(source, write, 2) as crew:
        rig.eventually("there is load", lambda: target.value("SELECT count(*) FROM t") > 200)
        back.touch()
        for _ in range(3):
            told = target.value("SELECT at FROM rebeco.status")
            r.wait("it tells how it stands", lambda: target.value("SELECT at FROM rebeco.status") > told)
        r.ok("pause", "b")
        r.ok("resume", "b")
        r.wait("it goes on", lambda: target.value("SELECT paused FROM rebeco.sync_table WHERE source_name = 'b'") is None)
        r.ok("kick", "--wait")
        crew.stop()
    r.ok("kick", "--wait")
    drawn = source.value("SELECT setval('t_id_seq', 100000)")
    r.wait("the sequence follows", lambda: target.value("SELECT last_value FROM t_id_seq") >= drawn)
    rig.wait_converged(source, target, sequences=False)
