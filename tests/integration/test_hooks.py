"""What happens is told: to hooks, as JSON on standard input, and to systemd."""

import json
import os
import signal
import socket
import subprocess

import pytest

import rig
from test_http import ask, metrics, promtool


@pytest.fixture
def told(tmp_path):
    """A hook that keeps what it is told; told() is that, as a list."""
    path = tmp_path / "told"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ncat >>{path}; echo >>{path}\n")
    hook.chmod(0o700)

    def read(event=None):
        notes = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [n for n in notes if event in (None, n["event"])]

    read.hook = str(hook)
    return read


def configured(hooks, **sync):
    return rig.yaml.safe_dump({**rig.yaml.safe_load(rig.config(**sync)), "hooks": hooks})


ALL = ("copied", "in_sync", "drift", "lag", "conflict", "error", "stopped")


def test_every_event_is_told_once(source, target, rebecos, told):
    source.psql("CREATE TABLE a (id int PRIMARY KEY, n int); INSERT INTO a VALUES (1, 1);"
                "CREATE TABLE b (id int PRIMARY KEY, n int)")
    hooks = {**{name: told.hook for name in ALL}, "lag_limit": "2s"}
    r = rebecos(source, target, configured(hooks)).start()
    r.wait_in_sync()
    rig.eventually("in sync", lambda: told("in-sync"))
    assert told("copied")[0]["sync"] == "default" and told("copied")[0]["tables"] == 2
    r.ok("pause")
    source.run("INSERT INTO a VALUES (2, 2)")
    rig.eventually("lag", lambda: told("lag"))
    assert told("lag")[0]["lag_s"] > 2 and told("lag")[0]["limit_s"] == 2
    r.ok("resume")
    r.wait_in_sync()
    target.run("ALTER TABLE a ADD CHECK (n < 10)")
    source.run("INSERT INTO a VALUES (3, 30)")
    rig.eventually("error", lambda: told("error"))
    assert told("error")[0]["table"] == "public.a" and told("error")[0]["sqlstate"] == "23514"
    source.run("ALTER TABLE b ADD COLUMN more text NOT NULL DEFAULT ''")
    rig.eventually("drift", lambda: told("drift"))
    assert told("drift")[0]["table"] == "public.b" and told("drift")[0]["hint"]
    assert not told("stopped")
    r.terminate()
    assert told("stopped") == [{**told("stopped")[0], "exit_code": 0}]
    assert len(told("copied")) == 1 and not told("conflict")
    for note in told():
        assert note["at"].endswith("Z")


def test_conflicts_are_told_and_counted(source, target, rebecos, told):
    """Once for many, with how many there were in each table; nothing else is told because of them."""
    for name in ("a", "b"):
        source.psql(f"CREATE TABLE {name} (id int PRIMARY KEY, n int); INSERT INTO {name} SELECT i, 0 FROM generate_series(1, 100) i")
    port = rig.free_port()
    tree = rig.yaml.safe_load(configured({name: told.hook for name in ("conflict", "error", "drift")}, mode="two-way",
                                         conflict={"default": "source"}))
    r = rebecos(source, target, rig.yaml.safe_dump({**tree, "http": {"listen": f"127.0.0.1:{port}"}})).start()
    r.wait("both directions run", lambda: (r.status() or {}).get("in_sync"), 60)
    r.ok("pause")
    for server, n in ((source, 1), (target, 2)):
        server.psql(f"UPDATE a SET n = {n} WHERE id <= 40; UPDATE b SET n = {n} WHERE id <= 2")
    r.ok("resume")
    r.wait_in_sync()
    rig.eventually("the conflicts are told", lambda: sum(n["conflicts"] for n in told("conflict")) >= 42)
    counted = {}
    for note in told("conflict"):
        assert note["sync"] == "default" and sum(note["tables"].values()) == note["conflicts"]
        for table, n in note["tables"].items():
            counted[table] = counted.get(table, 0) + n
    assert counted == {"public.a": 40, "public.b": 2}
    page = ask(port, "/metrics")[1]
    promtool(page)
    series = metrics(page)
    assert series['rebeco_sync_conflicts_total{sync="default"}'] == 42
    assert series['rebeco_table_conflicts_total{sync="default",schema="public",table="a"}'] == 40
    assert not any("conflicts_total" in s and "back" in s for s in series if "table" in s), "counted in one direction only"
    # What comes in the daemon's last second is told, too.
    r.ok("pause")
    for server, n in ((source, 3), (target, 4)):
        server.run("UPDATE a SET n = %s WHERE id = 50", n)
    r.ok("resume")
    r.wait_in_sync()
    r.terminate()
    assert sum(n["conflicts"] for n in told("conflict")) == 43
    assert not told("error") and not told("drift")
    assert rig.compare(source, target, sequences=False) == []


def test_a_restart_in_steady_state_is_not_a_copy(source, target, rebecos, told):
    source.run("CREATE TABLE a (id int PRIMARY KEY)")
    r = rebecos(source, target, configured({"copied": told.hook, "in_sync": told.hook, "stopped": told.hook}))
    r.start("--until", "in-sync")
    assert r.wait_exit(60) == 0
    r.start("--until", "in-sync")
    assert r.wait_exit(60) == 0
    assert [n["event"] for n in told()] == ["copied", "in-sync", "stopped", "in-sync", "stopped"]


def test_hooks_that_fail_or_hang_change_nothing(source, target, rebecos, told):
    source.run("CREATE TABLE a (id int PRIMARY KEY)")
    r = rebecos(source, target, configured({"copied": "sh -c 'echo out of order >&2; exit 3'", "in_sync": "sleep 100",
                                            "stopped": told.hook, "timeout": "1s"})).start()
    r.wait_in_sync()
    r.wait("the failed one is named", lambda: r.log_lines("out of order"))
    r.wait("the slow one is ended", lambda: r.log_lines("did not end within 1 seconds"))
    source.run("INSERT INTO a VALUES (1)")
    r.wait_in_sync()
    r.terminate()
    assert told("stopped")
    rig.check_equal(source, target)


def test_hooks_that_hang_do_not_keep_the_end_waiting(source, target, rebecos, told):
    """However many wait. And what is read again at that moment begins nothing anew."""
    for i in range(8):
        source.run(f"CREATE TABLE t{i} (id int PRIMARY KEY)")
        target.run(f"CREATE TABLE t{i} (id int PRIMARY KEY); INSERT INTO t{i} VALUES (1)")
    r = rebecos(source, target, configured({"drift": "sleep 100", "stopped": told.hook, "timeout": "3s"})).start()
    r.wait("every table is paused", lambda: len(r.log_lines("table paused")) == 8)
    r.process.send_signal(signal.SIGTERM)
    r.wait("it ends", lambda: r.log_lines("stopping"))
    rig.eventually("its sessions are over", lambda: target.value(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'rebeco%%'") == 0)
    r.hup()
    assert r.wait_exit(30) == 0
    assert not r.log_lines("read again"), r.log_tail()
    assert r.log_lines("take too long"), r.log_tail()
    assert [n["event"] for n in told()] == ["stopped"]


def test_a_program_that_is_not_there(source, target, rebecos):
    source.run("CREATE TABLE a (id int PRIMARY KEY)")
    r = rebecos(source, target, configured({"in_sync": "/there/is/none"})).start()
    r.wait_in_sync()
    r.wait("it is named", lambda: r.log_lines("there is no program /there/is/none"))


def test_stopped_says_the_code(source, target, rebecos, told):
    source.run("CREATE TABLE a (id int PRIMARY KEY)")
    r = rebecos(source, target, configured({"stopped": told.hook})).start()
    r.wait_in_sync()
    second = rebecos(source, target, configured({"stopped": told.hook})).start()
    assert second.wait_exit(60) == 5
    assert [n["exit_code"] for n in told("stopped")] == [5]


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_is_told(source, target, rebecos, tmp_path, kind):
    source.run("CREATE TABLE a (id int PRIMARY KEY)")
    address = str(tmp_path / "notify") if kind == "path" else f"@rebeco-test-{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(address.replace("@", "\0"))
    listener.settimeout(0.1)
    heard = []

    def hear():
        while True:
            try:
                heard.append(listener.recv(4096).decode())
            except socket.timeout:
                return heard

    r = rebecos(source, target, configured({"in_sync": "sh -c 'echo socket=$NOTIFY_SOCKET >&2; exit 1'"}),
                env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"}).start()
    rig.eventually("ready", lambda: "READY=1" in hear())
    rig.eventually("the status", lambda: "STATUS=default: follow" in hear(), 60)
    before = hear().count("WATCHDOG=1")
    rig.eventually("the watchdog", lambda: hear().count("WATCHDOG=1") > before + 2)
    r.wait("a hook", lambda: r.log_lines("socket="))
    assert not r.log_lines(f"socket={address}")
    r.terminate()
    assert "STOPPING=1" in hear()
    assert heard.index("READY=1") < heard.index("STATUS=default: follow")


def test_the_watchdog_stops_when_the_loop_does(source, target, rebecos, tmp_path):
    address = str(tmp_path / "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(address)
    listener.settimeout(5)
    r = rebecos(source, target, env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"}).start()
    rig.eventually("a beat", lambda: listener.recv(4096) == b"WATCHDOG=1")
    r.process.send_signal(19)
    listener.settimeout(1)
    with pytest.raises(socket.timeout):
        for _ in range(1000):
            listener.recv(4096)
    r.process.send_signal(18)
    rig.eventually("a beat again", lambda: listener.recv(4096) == b"WATCHDOG=1")


COMPLETE = """
source /dev/stdin <<<"$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rebeco; printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words):
    script = subprocess.run([rig.REBECO, "help", "--bash"], capture_output=True, text=True, check=True,
                            env={**os.environ, **rig.SANITIZERS}).stdout
    p = subprocess.run(["bash", "-c", COMPLETE, "bash", script, "rebeco", *words], capture_output=True, text=True)
    assert p.returncode == 0 and not p.stderr, p.stderr
    return p.stdout.split()


def test_bash_completes():
    assert "uninstall" in complete("") and "run" in complete("")
    assert complete("un") == ["uninstall"]
    assert complete("run", "--st") == ["--standby"]
    assert complete("--config", "x.yaml", "stat") == ["status"]
    assert "--standby" not in complete("status", "--")
    assert "--json" in complete("status", "--") and "--source" in complete("status", "--")
    assert complete("--sync", "") == []
    assert all(name.startswith("/etc/h") for name in complete("--config", "/etc/h"))
