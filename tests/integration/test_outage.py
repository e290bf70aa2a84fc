"""The promise: whatever breaks and comes back, Rebeco goes on by itself, and nothing is lost."""

import contextlib
import fcntl
import os
import resource
import time

import pytest
import rig
import workload

DOWN_S = (1, 20, 90) if rig.LONG else (1, 6)
SILENT_S = 30 if rig.LONG else 8
NETWORK_TIMEOUT_S = 4

TIGHT = rig.config(network_timeout=f"{NETWORK_TIMEOUT_S}s")


def probe(source, target, rebeco, within):
    """A row written now is at the target within so many seconds, without any command."""
    source.run("CREATE TABLE IF NOT EXISTS probe (id serial PRIMARY KEY)")
    i = source.value("INSERT INTO probe DEFAULT VALUES RETURNING id")
    rebeco.wait(f"probe {i} is at the target", lambda: target.value("SELECT 1 FROM probe WHERE id = %s", i), within, 0.02)


def start(source, rebeco):
    workload.install(source)
    source.run("CREATE TABLE probe (id serial PRIMARY KEY)")
    rebeco.start()
    rebeco.wait_in_sync()
    return workload.Application(source, writers=4, clerks=1, two_phase=0, long_transaction=False, stubborn=True, pause_s=0.02)


def converge(source, target, app, rebeco):
    app.stop()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)


def test_backends_terminated_at_either_end(source, target, rebeco):
    with start(source, rebeco) as app:
        for _ in range(6):
            for server in (source, target):
                assert server.terminate_backends("rebeco") > 0
                time.sleep(0.2)
                probe(source, target, rebeco, 5)
        converge(source, target, app, rebeco)


def test_backends_terminated_all_the_time(source, target, rebecos):
    """From the first moment on, through installation and copy."""
    workload.install(source, rows=3000)
    rebeco = rebecos(source, target, rig.config(copy={"streams": 3, "split_size": "64kB"})).start()
    with workload.Application(source, writers=2, clerks=1, two_phase=0, long_transaction=False, pause_s=0.05):
        for i in range(40):
            (source if i % 2 else target).terminate_backends("rebeco")
            time.sleep(0.15)
            rebeco.check_alive()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)


@pytest.mark.parametrize("seconds", DOWN_S)
@pytest.mark.parametrize("how", ["fast", "kill9"])
@pytest.mark.parametrize("end", ["source", "target"])
@pytest.mark.limit(300)
def test_a_server_is_down(source, target, rebeco, end, how, seconds):
    with start(source, rebeco) as app:
        server = source if end == "source" else target
        time.sleep(0.5)
        if how == "fast":
            server.stop("fast")
        else:
            server.kill9()
        time.sleep(seconds)
        server.start()
        probe(source, target, rebeco, 5)
        converge(source, target, app, rebeco)


@pytest.mark.parametrize("end", ["source", "target"])
@pytest.mark.limit(240)
def test_the_network_goes_silent(source, target, proxy, rebecos, end):
    """Packets are lost; nothing is reset and nothing is closed: only a timeout can notice."""
    relay = proxy(source if end == "source" else target)
    rebeco = rebecos(relay if end == "source" else source, relay if end == "target" else target, TIGHT)
    with start(source, rebeco) as app:
        time.sleep(0.5)
        relay.silence()
        time.sleep(SILENT_S)
        rebeco.check_alive()
        before = relay.connections
        relay.speak()
        probe(source, target, rebeco, NETWORK_TIMEOUT_S + 5)
        assert relay.connections > before
        converge(source, target, app, rebeco)


@pytest.mark.parametrize("work", ["copy", "batch"])
@pytest.mark.limit(200)
def test_a_server_that_takes_its_time_is_no_silent_network(source, target, rebecos, work):
    """A trigger of the target sleeps over one row, and what comes meanwhile fills the kernel's buffers."""
    for server in source, target:
        server.run("CREATE TABLE t (id int PRIMARY KEY, x text)")
    target.psql(f"""
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.id = 2000 THEN PERFORM pg_sleep({NETWORK_TIMEOUT_S * 3}); END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow();
        ALTER TABLE t ENABLE ALWAYS TRIGGER slow""")
    rows = "INSERT INTO t SELECT i, repeat(md5(i::text), 60) FROM generate_series(1, 40000) i"
    rebeco = rebecos(source, target, TIGHT)
    if work == "copy":
        source.run(rows)
    rebeco.start()
    if work == "batch":
        rebeco.wait_in_sync()
        source.run(rows)
    rebeco.wait_in_sync(90)
    rig.check_equal(source, target)
    assert "the connection broke" not in rebeco.log() and "silent" not in rebeco.log()


@pytest.mark.parametrize("end", ["source", "target"])
@pytest.mark.limit(240)
def test_the_silence_is_noticed(source, target, proxy, rebecos, end):
    """While it lasts, status and log say so."""
    relay = proxy(source if end == "source" else target)
    rebeco = rebecos(relay if end == "source" else source, relay if end == "target" else target, TIGHT)
    with start(source, rebeco) as app:
        relay.silence()
        lines = len(rebeco.log_lines())
        rebeco.wait("the log names the silence", lambda: len(rebeco.log_lines()) > lines, NETWORK_TIMEOUT_S * 3 + 5)
        rebeco.terminate(20)
        relay.speak()
        rebeco.start()
        probe(source, target, rebeco, 10)
        converge(source, target, app, rebeco)


@pytest.mark.limit(240)
def test_a_frozen_server_comes_back(source, target, rebecos):
    """SIGSTOP: sockets live, nothing answers, and then everything does."""
    rebeco = rebecos(source, target, TIGHT)
    with start(source, rebeco) as app:
        for server in (source, target):
            server.pause()
            time.sleep(NETWORK_TIMEOUT_S * 1.5)
            server.resume()
            probe(source, target, rebeco, NETWORK_TIMEOUT_S + 5)
        converge(source, target, app, rebeco)


def test_connections_are_cut_while_copying(source, target, proxy, rebecos):
    relay_s, relay_t = proxy(source), proxy(target)
    workload.install(source, rows=20000)
    rebeco = rebecos(relay_s, relay_t, rig.config(copy={"streams": 3, "split_size": "256kB", "max_rate": "8MB/s"})).start()
    rebeco.wait_phase("copy")
    for i in range(15):
        (relay_s if i % 2 else relay_t).cut()
        time.sleep(0.3)
        rebeco.check_alive()
    rebeco.wait_in_sync(90)
    rig.check_equal(source, target)


def test_the_servers_are_not_there_at_the_start(source, target, rebeco):
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    source.stop()
    target.stop()
    rebeco.start()
    time.sleep(3)
    rebeco.check_alive()
    source.start()
    time.sleep(2)
    rebeco.check_alive()
    target.start()
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_the_target_is_a_standby_for_a_while(source, target, rebeco):
    """An address that still leads to the old one after a failover: that is said, each time it is looked, and then it goes on."""
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    rebeco.start()
    rebeco.wait_in_sync()
    target.stop("fast")
    with open(target.data + "/standby.signal", "w"):
        pass
    target.version.own(target.data + "/standby.signal")
    target.start()
    source.run("INSERT INTO t VALUES (1)")
    rebeco.wait("it is said again", lambda: len(rebeco.log_lines("the target is a standby")) > 1)
    assert "the address leads to the new one" in rebeco.log() and "read-only transaction" not in rebeco.log(), rebeco.log_tail()
    target.run("SELECT pg_promote()", user="postgres")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_a_reload_right_after_the_start(source, target, rebecos):
    """While it still reads its configuration, from a pipe here: it reads it once more, and does not end."""
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    rebeco = rebecos(source, target, rig.config())
    with open(rebeco.config_path) as f:
        text = f.read()
    os.unlink(rebeco.config_path)
    os.mkfifo(rebeco.config_path)
    rebeco.start()
    with open(rebeco.config_path, "w") as f:
        rebeco.hup()
        time.sleep(0.3)
        rebeco.check_alive()
        f.write(text)
    rebeco.wait("it listens", lambda: rebeco.log_lines("http: "))
    with open(rebeco.config_path, "w") as f:
        f.write(text)
    os.unlink(rebeco.config_path)
    rebeco.configure(text)
    rebeco.wait_in_sync()
    assert rebeco.log_lines("configuration read again")
    rig.check_equal(source, target)


def test_no_more_files_may_be_opened(source, target, rebeco):
    """It is not the server's fault then, nor the URL's."""
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    rebeco.start()
    rebeco.wait_in_sync()
    before = resource.prlimit(rebeco.process.pid, resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    source.terminate_backends("rebeco")
    rebeco.wait("it is said", lambda: rebeco.log_lines("LimitNOFILE"))
    resource.prlimit(rebeco.process.pid, resource.RLIMIT_NOFILE, before)
    source.run("INSERT INTO t VALUES (1)")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def full_pipe():
    """Both ends of a pipe that takes nothing more."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 1024)
    os.set_blocking(writer, True)
    return reader, writer


def test_nobody_reads_the_log(source, target, rebeco):
    """A log driver that hangs: the daemon does its work, says later what it has to say, and ends when it is told to."""
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    reader, writer = full_pipe()
    rebeco.start(errors=writer)
    os.close(writer)
    rebeco.wait_in_sync()
    source.run("INSERT INTO t VALUES (1)")
    rebeco.wait_in_sync()
    said = b""
    os.set_blocking(reader, False)
    while b"phase=follow" not in said:
        with contextlib.suppress(BlockingIOError):
            said += os.read(reader, 65536)
        time.sleep(0.05)
        rebeco.check_alive()
    assert b"lines of this log are missing" not in said
    rebeco.terminate()
    os.close(reader)
    rig.check_equal(source, target)


def test_the_same_error_is_not_said_a_thousand_times(source, target, rebeco):
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    rebeco.start()
    rebeco.wait_in_sync()
    lines = len(rebeco.log_lines())
    target.stop()
    time.sleep(10)
    assert 1 <= len(rebeco.log_lines()) - lines < 40, rebeco.log_tail(60)
    target.start()
    rebeco.wait_in_sync()
