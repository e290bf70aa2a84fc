"""What ends a sync, or hands it over: what was answered holds whatever dies, nothing is half removed unseen, and the end
that stays can go on."""

import signal
import subprocess

import psycopg2
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


def test_a_request_that_is_not_known_changes_nothing(source, target, rebeco):
    """It may come from the program of a later version."""
    source.psql(UNIQUE)
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.ok("pause")
    target.run("INSERT INTO rebeco.command (sync, verb) VALUES ('default', 'dance')")
    rebeco.wait("it is answered", lambda: target.value("SELECT count(*) FROM rebeco.command WHERE done_at IS NULL") == 0)
    assert target.run("SELECT ok, answer LIKE '%version%' FROM rebeco.command WHERE verb = 'dance'") == [(False, True)]
    assert "paused: this waits" in rebeco.command("kick", "--wait", "--timeout", "1s").err


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


@pytest.mark.parametrize("lost", [False, True], ids=["asked", "capture lost"])
def test_a_kill_while_a_table_is_copied_again(source, target, rebecos, lost):
    """The way back is taken in anew afterwards, from the moment when the table was emptied: what it would have sent of the rows before is void, and
    what came since is not."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, repeat('v', 300) FROM generate_series(1, 10000) i")
    rebeco = rebecos(source, target, config=two_way.config(conflict={"default": "target"}, copy={"max_rate": "1MB/s", "split_size": "512kB"}))
    rebeco.start()
    two_way.wait_both(rebeco)
    if lost:
        target.psql("ALTER TABLE t DISABLE TRIGGER USER; ALTER TABLE t ENABLE TRIGGER USER")
        rebeco.wait("it stands still", lambda: source.value("SELECT paused FROM rebeco.sync_table WHERE source_name = 't'") == "capture")
    with target.admin() as c:
        c.run("BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE")
        rebeco.ok("resync", "public.t")
        target.run("UPDATE t SET v = 'before' WHERE id = 5")
        c.run("ROLLBACK")
    # In one query: between two, the table may be emptied.
    rebeco.wait("some rows are there", lambda: target.value("SELECT count(*) FILTER (WHERE id < 100) = 99 AND count(*) < 10000 FROM t"))
    target.run("INSERT INTO t VALUES (100000, 'since')")
    rebeco.kill9()
    source.run("UPDATE t SET v = 'source' WHERE id = 5")
    rebeco.start()
    two_way.wait_both(rebeco)
    two_way.check_equal(source, target)
    assert source.run("SELECT v FROM t WHERE id IN (5, 100000) ORDER BY id") == [("source",), ("since",)]
    assert two_way.conflicts(source) == two_way.conflicts(target) == []


@pytest.mark.parametrize("mode", ["one-way", "two-way"])
def test_a_restart_while_a_capture_waits_to_be_mended(source, target, rebecos, mode):
    """Somebody holds a new partition. No change is missing: so nothing is copied again, and in a two-way sync nobody is waited for."""
    source.psql("CREATE TABLE t (k int, id int, PRIMARY KEY (k, id)) PARTITION BY LIST (k); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); INSERT INTO t VALUES (1, 1)")
    rebeco = rebecos(source, target, config=two_way.config() if mode == "two-way" else None)
    rebeco.start()
    two_way.wait_both(rebeco)
    copied = "SELECT copied_at FROM rebeco.sync_table WHERE sync = 'default'"
    before = target.value(copied)
    for server in target, source:
        server.run("CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2)")
    with source.connect() as here, target.connect() as there:
        for app in here, there:
            app.run("BEGIN; LOCK TABLE t2 IN ROW EXCLUSIVE MODE")
        rebeco.wait("it stands still", lambda: "capture" in [s.value("SELECT max(paused) FROM rebeco.sync_table WHERE paused = 'capture'")
                                                            for s in ([target] if mode == "one-way" else [source, target])])
        rebeco.kill9()
        rebeco.start()
        rebeco.wait("it knows of it", lambda: rebeco.status()["tables"][0]["paused"])
        here.run("INSERT INTO t VALUES (2, 2); COMMIT")
    rebeco.wait("it goes on", lambda: target.value("SELECT count(*) FROM t") == 2, 60)
    two_way.wait_both(rebeco)
    two_way.check_equal(source, target)
    assert target.value(copied) == before


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


# ------------------------------------------------------------------ uninstall


def test_half_an_uninstallation_costs_no_rows(source, target, rebeco):
    """The switch is over, the application writes at the target; `uninstall` is killed while it waits at the source, and
    somebody's supervisor starts the daemon again. It must not take the missing captures for a reason to copy."""
    source.psql(UNIQUE)
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.terminate()
    with source.connect() as holder:
        holder.run("BEGIN")
        holder.run("UPDATE b SET id = id")
        p = subprocess.Popen([rebeco.binary, *rebeco.args, "uninstall"], env=rebeco.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        rig.eventually("one table is done", lambda: source.value("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'a'::regclass") == 0)
        p.send_signal(signal.SIGKILL)
        p.communicate()
        holder.run("ROLLBACK")
    target.run("INSERT INTO a VALUES (77)")
    rebeco.start("--until", "in-sync")
    assert rebeco.wait_exit(60) == 4
    assert rebeco.log_lines("this sync is being uninstalled")
    assert target.run("SELECT id FROM a ORDER BY id") == [(1,), (77,)]
    rebeco.ok("uninstall")
    assert not installed(source) and not installed(target)
    assert target.run("SELECT id FROM a ORDER BY id") == [(1,), (77,)]


def test_what_was_not_sent_is_counted(source, target, rebecos):
    """By what the other end says that it has: what was sent and not confirmed any more does not count."""
    source.psql(UNIQUE)
    rebeco = rebecos(source, target, config=two_way.config())
    rebeco.start()
    two_way.wait_both(rebeco)
    for i in range(10, 15):
        source.run("INSERT INTO a VALUES (%s)", i)
        target.run("INSERT INTO b VALUES (%s)", i)
        rebeco.wait("it is there", lambda: target.value("SELECT max(id) FROM a") == i and source.value("SELECT max(id) FROM b") == i)
    rebeco.kill9()
    two_way.check_equal(source, target)
    target.run("CREATE VIEW lag AS SELECT * FROM rebeco.status")
    r = rebeco.command("uninstall")  # it looks, and refuses
    assert r.code == 1 and "public.lag" in r.err and "not sent" not in r.out, r
    target.run("DROP VIEW lag")
    source.run("INSERT INTO a VALUES (20), (21)")
    target.run("INSERT INTO a SELECT generate_series(100, 30000)")
    said = rebeco.ok("uninstall")
    assert "source: 2 changes were made after the last" in said
    assert "target: more than 10000 changes were made after the last" in said
    assert not installed(source) and not installed(target)


def test_a_sync_may_begin_anew_after_half_an_uninstallation(source, target, rebeco):
    source.psql(UNIQUE)
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.terminate()
    target.run("UPDATE rebeco.sync SET is_leaving = true")
    rebeco.ok("uninstall", "--only", "source")
    rebeco.start()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)


def test_what_refuses_does_so_before_anything_is_removed(source, target, rebeco):
    source.psql(UNIQUE)
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.terminate()
    target.run("CREATE VIEW lag AS SELECT * FROM rebeco.status")
    r = rebeco.command("uninstall")
    assert r.code == 1 and "public.lag" in r.err
    assert triggers(source) > 0
    source.run("INSERT INTO a VALUES (2)")
    rebeco.start()
    rebeco.wait_in_sync()
    assert rebeco.log_lines("copied again") == []
    rig.check_equal(source, target)
    rebeco.terminate()
    target.run("DROP VIEW lag")
    rebeco.ok("uninstall")
    assert not installed(source) and not installed(target)


@pytest.mark.parametrize("closed", ["source", "target"])
def test_one_end_does_not_give_up_what_the_other_keeps(source, target, rebecos, closed):
    source.psql(UNIQUE)
    rebeco = rebecos(source, target, config=two_way.config())
    rebeco.start()
    two_way.wait_both(rebeco)
    rebeco.ok("direction", {"source": "target-to-source", "target": "source-to-target"}[closed])
    (source if closed == "source" else target).run("INSERT INTO a VALUES (2), (3)")
    rebeco.terminate()
    other = "target" if closed == "source" else "source"
    schemas = [end.dump_schema() for end in (source, target)]
    r = rebeco.command("uninstall", "--only", other)
    assert r.code == 1 and f"{closed}: one direction is closed, and 2 changes" in r.err, r
    assert [end.dump_schema() for end in (source, target)] == schemas
    assert f"{closed}: 2 changes that were kept" in rebeco.ok("uninstall", "--only", other, "--force")
    assert installed(source) == (closed == "source") and installed(target) == (closed == "target")
    rebeco.ok("uninstall", "--force")
    assert not installed(source) and not installed(target)


def test_two_syncs_of_one_name_are_not_taken_for_one(source, servers, rebecos):
    """Which of them is meant is known at the target; without that, neither is taken away."""
    source.psql(UNIQUE)
    made = []
    for _ in range(2):
        target = servers("target", "rds")
        r = rebecos(source, target, rig.config()).start()
        r.wait_in_sync(60)
        made.append((r, target))
    (first, gone), (second, _) = made
    first.terminate()
    gone.stop()
    r = first.command("--sync", "default", "uninstall", "--only", "source", "--force")
    assert r.code == 1 and 'several syncs are called "default"' in r.err, r
    assert triggers(source) > 0 and source.value("SELECT count(*) FROM rebeco.consumer") == 2
    source.run("INSERT INTO a VALUES (2)")
    second.wait_in_sync()
    assert second.log_lines("copied again") == []


# ------------------------------------------------------------------ sequences


def test_sequences_that_no_column_owns_go_on_beyond_both_ends(source, target, rebecos):
    """Hibernate draws from sequences of no column, a default may name one that it does not own, and a column may hold what
    its sequence cannot give."""
    source.psql("CREATE SEQUENCE lone; CREATE SEQUENCE named; CREATE TABLE n (id int PRIMARY KEY DEFAULT nextval('named'));"
                "CREATE SEQUENCE falling INCREMENT -2; CREATE TABLE w (id serial PRIMARY KEY); ALTER TABLE w ALTER id TYPE bigint")
    rebeco = rebecos(source, target, config=two_way.config())
    rebeco.start()
    two_way.wait_both(rebeco)
    source.run("SELECT nextval('lone'), nextval('falling') FROM generate_series(1, 200)")
    target.run("SELECT nextval('lone') FROM generate_series(1, 20)")
    source.run("INSERT INTO n SELECT nextval('named') FROM generate_series(1, 300)")
    source.run("INSERT INTO w SELECT nextval('w_id_seq') FROM generate_series(1, 50)")
    source.run("INSERT INTO w VALUES (5000000000), (2147483647)")
    two_way.wait_both(rebeco)
    rebeco.terminate()
    rebeco.start()  # each end learns how far the other has gone when it begins, and every 30 s
    rebeco.wait("it is known", lambda: target.value("SELECT other_steps FROM rebeco.two_way_sequence WHERE seq = 'lone'::regclass") > 390)
    rebeco.wait("also at the other end", lambda: source.value("SELECT other_steps FROM rebeco.two_way_sequence WHERE seq = 'lone'::regclass") > 30)
    rebeco.terminate()
    last = {name: source.value(f"SELECT last_value FROM {name}") for name in ("lone", "falling")}
    rebeco.ok("uninstall")
    for end in source, target:
        assert end.run("SELECT sequencename, increment_by FROM pg_sequences ORDER BY 1") == [
            ("falling", -2), ("lone", 1), ("named", 1), ("w_id_seq", 1)]
        assert end.value("SELECT nextval('lone')") > last["lone"]
        assert end.value("SELECT nextval('falling')") < last["falling"]
        most = end.value("SELECT max(id) FROM n")
        assert most > 500 and end.value("INSERT INTO n DEFAULT VALUES RETURNING id") == most + 1
        most = end.value("SELECT max(id) FROM w WHERE id < 2147483647")
        assert end.value("INSERT INTO w DEFAULT VALUES RETURNING id") == most + 1


def test_a_table_that_is_in_use_holds_up_no_other_tables_sequence(source, target, rebecos):
    """While `uninstall` reads a column, however long that takes, nobody waits for a sequence that it has dealt with."""
    source.psql("CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id serial PRIMARY KEY)")
    rebeco = rebecos(source, target, config=two_way.config())
    rebeco.start()
    two_way.wait_both(rebeco)
    rebeco.terminate()
    with source.connect() as holder, source.connect() as other:
        holder.run("BEGIN; LOCK TABLE b")
        p = subprocess.Popen([rebeco.binary, *rebeco.args, "uninstall"], env=rebeco.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        rig.eventually("the first has its step again", lambda: source.value(
            "SELECT increment_by FROM pg_sequences WHERE sequencename = 'a_id_seq'") == 1)
        assert source.value("SELECT increment_by FROM pg_sequences WHERE sequencename = 'b_id_seq'") == 2
        other.run("SET lock_timeout = '10ms'")
        for _ in range(50):
            try:
                other.run("SELECT nextval('a_id_seq')")
            except psycopg2.errors.LockNotAvailable:
                pytest.fail("a sequence was locked meanwhile")
        holder.run("ROLLBACK")
        out, err = p.communicate(timeout=60)
    assert p.returncode == 0, err
    assert not installed(source) and not installed(target)


def test_status_says_why_nobody_leads(source, target, rebecos):
    """A daemon that cannot go on without a person says so where people ask, not in its log alone: what it had said before,
    that the target follows, was shown until then."""
    source.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    r = rebecos(source, target, config=rig.config())
    r.start()
    r.wait_in_sync(60)
    r.terminate()
    assert "one committed state" in r.ok("status")
    r.configure(rig.config(mode="two-way"))
    r.start()
    r.wait("it is said", lambda: "made one-way, and is configured two-way" in r.ok("status"))
    said = r.ok("status")
    assert "one committed state" not in said and "none runs" not in said and "Put the mode back" in said
    r.terminate()
    r.configure(rig.config())
    r.start()
    r.wait_in_sync(60)
    assert "two-way" not in r.ok("status")
    rig.check_equal(source, target)
