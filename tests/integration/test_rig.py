"""The rig itself: a test that cannot fail proves nothing, so the comparison must see differences."""

import errno
import os
import socket
import subprocess
import sys
import time

import psycopg2
import pytest
import rig

TABLES = "CREATE TABLE t (a int PRIMARY KEY, b text); CREATE SEQUENCE s"


def fill(server):
    server.run(TABLES)
    server.run("INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 100) i")


def test_compare_sees_every_kind_of_difference(source, target):
    fill(source)
    fill(target)
    assert rig.compare(source, target) == []
    for change, undo in [
        ("UPDATE t SET b = 'other' WHERE a = 7", "UPDATE t SET b = 'row 7' WHERE a = 7"),
        ("DELETE FROM t WHERE a = 7", "INSERT INTO t VALUES (7, 'row 7')"),
        ("INSERT INTO t VALUES (101, NULL)", "DELETE FROM t WHERE a = 101"),
        ("ALTER TABLE t ADD c int", "ALTER TABLE t DROP c"),
        ("CREATE TABLE more ()", "DROP TABLE more"),
    ]:
        for server in (source, target):
            server.run(change)
            assert len(rig.compare(source, target)) == 1, change
            server.run(undo)
            assert rig.compare(source, target) == [], undo
    source.run("SELECT nextval('s')")
    assert "sequence" in rig.compare(source, target)[0]
    target.run("SELECT nextval('s'), nextval('s')")
    assert rig.compare(source, target) == []


def test_compare_counts_equal_rows(source, target):
    for server, n in ((source, 2), (target, 3)):
        server.run("CREATE TABLE d (x int)")
        for _ in range(n):
            server.run("INSERT INTO d VALUES (1)")
    assert "only at the target" in rig.compare(source, target)[0]


def test_roles_are_no_superusers(source, target, plain_target):
    for server in (source, target, plain_target):
        for role in ("app", "clerk", "rds", "plain"):
            assert server.value("SELECT rolsuper OR rolreplication OR rolbypassrls FROM pg_roles "
                                "WHERE rolname = %s", role) is False
    for server in (source, plain_target):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            server.run("SET session_replication_role = replica")
    if target.major >= 15:
        target.run("SET session_replication_role = replica")


def test_server_comes_back_on_its_port(source):
    source.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    source.stop()
    with pytest.raises(psycopg2.OperationalError):
        source.run("SELECT 1")
    source.start()
    source.kill9()
    source.start()
    assert source.value("SELECT count(*) FROM t") == 1


def test_standby_follows(source):
    standby = source.standby()
    source.run("CREATE TABLE t AS SELECT 1 AS a")
    rig.eventually("the standby has it", lambda: standby.value("SELECT a FROM t") == 1)
    assert standby.value("SELECT pg_is_in_recovery()")


def test_proxy_goes_silent_and_comes_back(source, proxy):
    p = proxy(source)
    with rig.Connection(p.url()) as c, socket.create_connection(("127.0.0.1", p.port)) as raw:
        assert c.value("SELECT 1") == 1
        p.silence()
        # What is sent is not even acknowledged: the kernel gives up when it is told to.
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000)
        raw.sendall(b"\0\0\0\10\4\322\026\057")  # "do you speak TLS?"
        with pytest.raises(TimeoutError) as e:
            raw.settimeout(8)
            raw.recv(1)
        assert e.value.errno == errno.ETIMEDOUT  # said by TCP, and not by the eight seconds
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", p.port), 0.5)
        p.speak()
        assert c.value("SELECT 2") == 2
        assert p.cut() >= 1
        with pytest.raises(psycopg2.OperationalError):
            c.value("SELECT 3")


def test_crew_reports_what_broke(source):
    def work(c, rng, number):
        c.run("SELECT * FROM nowhere")
    crew = rig.Crew(source, work)
    time.sleep(0.3)
    with pytest.raises(psycopg2.errors.UndefinedTable):
        crew.stop()


def test_a_wait_that_fails_says_how_the_tables_stand(source, target, rebeco):
    """The log alone cannot: a daemon that has nothing more to do is as silent as one that stands still."""
    source.run("CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE u (a int PRIMARY KEY)")
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.ok("pause", "public.u")
    with pytest.raises(AssertionError, match="paused: user: public.u was paused by a person\n  default: public.t follow\n"):
        rebeco.wait("what never comes", lambda: False, 0.1)
    target.stop()
    with pytest.raises(AssertionError, match="Connection refused"):
        rebeco.wait("what never comes", lambda: False, 0.1)


def test_nothing_is_left_when_the_process_is_killed(tmp_path):
    script = ("import rig, os\ns = rig.Server('x', 'app')\n"
              "print(s.process.pid, rig.folder(), flush=True)\nos.kill(os.getpid(), 9)")
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                         cwd=os.path.dirname(rig.__file__)).stdout
    pid, path = out.split()
    rig.eventually("the server has ended", lambda: not os.path.exists(f"/proc/{pid}"))
    rig._remove_stale(os.path.dirname(path))
    assert not os.path.exists(path)
