"""What ends a sync, or hands it over."""

import subprocess

import rig


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
