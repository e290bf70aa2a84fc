"""The promise: a page, metrics and probes to watch it by, which nobody can use to disturb replication."""

import contextlib
import http.client
import json
import os
import re
import select
import socket
import subprocess
import time

import pytest
import rig
import yaml

HOSTILE = 'say "hi"\\\n{x="1"} <b>&amp;'


def conf(listen="127.0.0.1", sync=None, **options):
    """A configuration that serves at a free port; returns (text, port)."""
    port = rig.free_port()
    return rig.config(**(sync or {})) + yaml.safe_dump({"http": {"listen": f"{listen}:{port}", **options}}), port


def ask(port, path, method="GET", timeout=10, **headers):
    """(status, body, headers)"""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request(method, path, headers=headers)
        r = c.getresponse()
        return r.status, r.read().decode(), r.headers
    finally:
        c.close()


def is_up(port):
    with contextlib.suppress(OSError):
        return ask(port, "/healthz")[0] == 200
    return False


def answers(rebeco, port, path="/readyz", status=200, timeout=30):
    rebeco.wait(f"{path} says {status}", lambda: ask(port, path)[0] == status, timeout, 0.1)


def started(rebeco, port):
    rebeco.start()
    rebeco.wait("it serves", lambda: is_up(port), 15)
    return rebeco


def metrics(text):
    """{series: value}"""
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in text.splitlines() if line and not line.startswith("#")}


def promtool(text):
    """Metrics that Prometheus takes, named as it advises."""
    p = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert p.returncode == 0 and p.stderr == "" and p.stdout == "", f"{p.stdout}{p.stderr}\n{text}"


def test_probes_and_status(source, target, rebecos):
    source.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    source.run("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 60000) i")
    text, port = conf(ready_lag="3s", sync={"copy": {"max_rate": "3MB/s", "split_size": "512kB"}})
    rebeco = started(rebecos(source, target, text), port)
    rebeco.wait_phase("copy")
    assert ask(port, "/healthz")[:2] == (200, "ok\n")
    assert ask(port, "/readyz")[:2] == (503, "not in sync\n")
    seen = set()
    while rebeco.phase() == "copy":
        tree = json.loads(ask(port, "/status")[1])[0]
        seen.add(tree["copy"]["bytes_done"])
        time.sleep(0.1)
    assert len(seen) > 5, "no progress is shown"
    answers(rebeco, port)
    rebeco.wait_in_sync()
    (tree,) = json.loads(ask(port, "/status")[1])
    written = json.loads(rebeco.ok("status", "--json"))
    assert set(written) - {"running", "age_s"} == set(tree)
    assert tree["sync"] == "default" and tree["in_sync"] and tree["tables"][0]["name"] == "t"
    # A target that is away: no longer ready, but alive.
    target.pause()
    source.run("UPDATE t SET b = 'y' WHERE a = 1")
    answers(rebeco, port, status=503)
    assert is_up(port)
    assert json.loads(ask(port, "/status")[1])[0]["lag"]["seconds"] > 3
    target.resume()
    answers(rebeco, port)
    # Paused by a person.
    rebeco.ok("pause")
    answers(rebeco, port, status=503)
    rebeco.ok("resume")
    answers(rebeco, port)
    rig.check_equal(source, target)


def test_metrics(source, target, rebecos):
    with source.connect() as c:
        c.run(f"CREATE TABLE {rig.psycopg2.extensions.quote_ident(HOSTILE, c.raw)} (a int PRIMARY KEY)")
    source.run("CREATE TABLE t (a int PRIMARY KEY, b int)")
    source.run("INSERT INTO t SELECT i FROM generate_series(1, 500) i")
    text, port = conf()
    rebeco = started(rebecos(source, target, text), port)
    early = ask(port, "/metrics")[1]
    answers(rebeco, port)
    first = metrics(ask(port, "/metrics")[1])
    source.run("UPDATE t SET b = a WHERE a <= 123")
    rebeco.wait_in_sync()
    rebeco.ok("pause", "public.t")
    rebeco.wait("the pause is shown", lambda: 'reason="user"' in ask(port, "/metrics")[1])
    status, page, headers = ask(port, "/metrics")
    assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    for text in (early, page):
        promtool(text)
    now = metrics(page)
    sync, t = '{sync="default"}', '{sync="default",schema="public",table="t"}'
    assert now[f"rebeco_table_applied_rows_total{t}"] - first[f"rebeco_table_applied_rows_total{t}"] == 123
    assert now[f"rebeco_sync_applied_rows_total{sync}"] - first[f"rebeco_sync_applied_rows_total{sync}"] == 123
    assert now[f"rebeco_table_paused{t}"] == 1 and first[f"rebeco_table_paused{t}"] == 0
    assert now[f"rebeco_sync_paused_tables{sync}"] == 1
    assert first['rebeco_sync_phase{sync="default",phase="follow"}'] == 1
    assert first['rebeco_sync_phase{sync="default",phase="copy"}'] == 0
    assert first[f"rebeco_sync_in_sync{sync}"] == 1 and 0 <= first[f"rebeco_sync_lag_seconds{sync}"] < 30
    assert first[f"rebeco_table_copied_rows{t}"] == 500
    assert first['rebeco_table_state{sync="default",schema="public",table="t",state="follow"}'] == 1
    assert any(r'table="say \"hi\"\\\n{x=\"1\"} <b>&amp;"' in series for series in now)
    buckets = [v for k, v in now.items() if k.startswith("rebeco_sync_batch_duration_seconds_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] == now[f"rebeco_sync_batch_duration_seconds_count{sync}"] >= 1
    assert now[f"rebeco_sync_batch_duration_seconds_sum{sync}"] > 0
    assert abs(now["process_start_time_seconds"] - time.time()) < 120 and now["process_resident_memory_bytes"] > 1e6
    rebeco.ok("resume", "public.t")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_an_idle_source_is_not_called_behind(source, target, rebecos):
    """Looks are 10 s apart when nobody writes. From the sixth second of them on the lag had been their age, in status, page
    and metric: an alarm every ten seconds, all night."""
    source.run("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0)")
    text, port = conf()
    rebeco = started(rebecos(source, target, text), port)
    rebeco.wait_in_sync()
    lags = []

    def look():
        lags.append(json.loads(ask(port, "/status")[1])[0]["lag"]["seconds"])

    end = time.monotonic() + 11
    while time.monotonic() < end:
        look()
        time.sleep(0.1)
    source.run("UPDATE t SET v = 1")  # what wakes it is not older than itself
    while target.value("SELECT v FROM t") != 1:
        look()
    look()
    assert max(lags) < 3, lags


def test_an_error_has_its_class(source, target, rebecos):
    source.run("CREATE TABLE t (a int PRIMARY KEY, b int)")
    text, port = conf()
    rebeco = started(rebecos(source, target, text), port)
    rebeco.wait_in_sync()
    target.run("ALTER TABLE t ADD CHECK (b < 10)")
    source.run("INSERT INTO t VALUES (1, 100)")
    rebeco.wait("the table stands still", lambda: re.search(
        r'rebeco_table_pause_info{.*table="t",reason="(error|drift)",class="data",sqlstate="23514"} 1',
        ask(port, "/metrics")[1]), 30)
    target.run("ALTER TABLE t DROP CONSTRAINT t_b_check")
    rebeco.ok("resume", "public.t")
    rig.wait_converged(source, target, 60)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_token(source, target, rebecos, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("one two\n")
    os.chmod(secret, 0o600)
    text, port = conf("0.0.0.0", token_file=str(secret))
    rebeco = started(rebecos(source, target, text), port)
    for path in ("/status", "/metrics", "/history"):
        status, body, headers = ask(port, path)
        assert status == 401 and headers["WWW-Authenticate"].startswith("Bearer") and "default" not in body
        for wrong in ("Bearer one", "Bearer one twp", "Bearer one two three", "Basic one two", "Bearer ", "one two"):
            assert ask(port, path, Authorization=wrong)[0] == 401
        assert ask(port, path, Authorization="Bearer one two")[0] == 200
        assert ask(port, path, Host="rebeco.example.com", Authorization="bearer one two")[0] == 200
    for path in ("/", "/healthz"):
        assert ask(port, path)[0] == 200
    assert ask(port, "/readyz")[0] in (200, 503)
    secret.write_text("three")  # a rotated secret counts at once
    assert ask(port, "/status", Authorization="Bearer one two")[0] == 401
    assert ask(port, "/status", Authorization="Bearer three")[0] == 200
    for useless in ("", " \n"):
        secret.write_text(useless)
        assert ask(port, "/status", Authorization="Bearer ")[0] == 401
    secret.unlink()
    assert ask(port, "/status", Authorization="Bearer three")[0] == 401
    assert "http.token_file" in rebeco.log() and "three" not in rebeco.log()


def test_other_machines_need_a_token(source, target, rebecos):
    for listen in ("0.0.0.0", "[::]"):
        text, _ = conf(listen)
        rebeco = rebecos(source, target, text).start()
        assert rebeco.wait_exit(10) == 2
        assert "http.token_file" in rebeco.log()


def test_a_page_of_somebody_else_cannot_ask(source, target, rebecos):
    """DNS rebinding: the browser's page comes from evil.example, whose name now leads to 127.0.0.1."""
    text, port = conf()
    started(rebecos(source, target, text), port)
    for path in ("/status", "/metrics", "/history"):
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "x" * 300):
            assert ask(port, path, Host=host)[0] == 403
        for host in ("localhost", f"LOCALHOST:{port}", "127.0.0.1", f"[::1]:{port}"):
            assert ask(port, path, Host=host)[0] == 200
    assert "Access-Control-Allow-Origin" not in ask(port, "/status", Origin="http://evil.example")[2]


def raw(port, data, timeout=20):
    """What comes back for these bytes, until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        with contextlib.suppress(OSError):
            s.sendall(data)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := s.recv(65536):
                got += chunk
        return got


def test_what_is_not_served(source, target, rebecos):
    text, port = conf()
    rebeco = started(rebecos(source, target, text), port)
    assert ask(port, "/nothing")[0] == 404
    assert ask(port, "/../../etc/passwd")[0] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"):
        assert ask(port, "/status", method)[0] == 405
    status, body, headers = ask(port, "/status", "HEAD")
    assert status == 200 and body == "" and int(headers["Content-Length"]) > 100
    assert b"405" in raw(port, b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 65536)
    assert raw(port, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 2**20)[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 413", b"")
    assert raw(port, b"GET /" + b"x" * 2**20)[:12] in (b"HTTP/1.1 414", b"HTTP/1.1 431", b"")
    for nonsense in (b"\0" * 1000 + b"\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 5000, b"\x16\x03\x01\x02\x00\x01\n\n"):
        raw(port, nonsense)  # whatever it says, it ends, and the daemon goes on
    for header in ("default-src 'none'", "frame-ancestors 'none'"):
        assert header in ask(port, "/")[2]["Content-Security-Policy"]
    assert ask(port, "/")[2]["X-Content-Type-Options"] == "nosniff"
    rebeco.check_alive()
    rebeco.check_log()
    assert is_up(port)


def test_one_request_a_connection_and_not_for_ever(source, target, rebecos):
    """A client that sends a byte now and then is not idle, and is closed all the same."""
    text, port = conf()
    rebeco = started(rebecos(source, target, text), port)
    assert raw(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").endswith(b"ok\n")
    closed = {}
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as slow, socket.create_connection(("127.0.0.1", port)) as silent:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        silent.sendall(b"GET")
        while len(closed) < 2 and time.monotonic() - begin < 60:
            with contextlib.suppress(OSError):
                slow.sendall(b"A")
            for s in select.select([x for x in (slow, silent) if x not in closed], [], [], 1)[0]:
                closed[s] = time.monotonic() - begin
            time.sleep(0.5)
        assert 8 < closed[silent] < 20, "a silent client has 10 s"
        assert 25 < closed[slow] < 45, "a slow client has 30 s"
    rebeco.wait("both are forgotten", lambda: metrics(ask(port, "/metrics")[1])["rebeco_http_clients"] == 1)


def test_a_port_that_is_taken(source, target, rebecos):
    text, port = conf()
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        rebeco = rebecos(source, target, text).start()
        rebeco.wait_in_sync()
        assert len(rebeco.log_lines("http: cannot listen")) == 1
        assert "replication goes on" in rebeco.log() and "none turns it off" in rebeco.log()
    rebeco.wait("it serves when the port is free", lambda: is_up(port), 15)
    rig.check_equal(source, target)


def test_none_and_another_configuration(source, target, rebecos):
    text, port = conf()
    other, other_port = conf()
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    off = rig.config() + "http: {listen: none}\n"
    rebeco = started(rebecos(source, target, text), port)
    rebeco.configure(other)
    rebeco.hup()
    rebeco.wait("the new port", lambda: is_up(other_port))
    assert not is_up(port)
    rebeco.configure(off)
    rebeco.hup()
    rebeco.wait("it is off", lambda: not is_up(other_port))
    rebeco.wait_in_sync()
    with open(f"/proc/{rebeco.process.pid}/net/tcp") as f:
        listening = [line for line in f if f"0100007F:{other_port:04X} " in line and " 0A " in line]
    assert not listening
    rebeco.configure(text)
    rebeco.hup()
    rebeco.wait("it is on again", lambda: is_up(port))
