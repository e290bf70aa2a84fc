"""The command line and the configuration file: what is printed from the tables is what is committed,
every mistake is an error with its place before anything is touched, no password comes out."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
import rig
import yaml

CONF = os.path.join(rig.TOP, "conf")


def run(*args, env=None, **more):
    env = {k: v for k, v in {**os.environ, **rig.SANITIZERS, **(env or {})}.items()
           if not k.startswith("REBECO_SOURCE") and not k.startswith("REBECO_TARGET") or k in (env or {})}
    p = subprocess.run([rig.REBECO, *args], env=env, capture_output=True, text=True, timeout=30,
                       stdin=subprocess.DEVNULL, **more)
    assert "Sanitizer" not in p.stderr, p.stderr
    return p


def good(*args, **more):
    p = run(*args, **more)
    assert p.returncode == 0, p.stderr
    return p.stdout


# ---------------------------------------------------------------- what is committed


@pytest.mark.parametrize("what, name", [("sample", "rebeco.sample.yaml"), ("schema", "rebeco.schema.json")])
def test_committed_files_are_what_the_program_prints(what, name):
    with open(os.path.join(CONF, name)) as f:
        assert f.read() == good("config", what), f"run `build/rebeco config {what} > conf/{name}`"


def test_sample_is_a_good_configuration(tmp_path):
    path = tmp_path / "sample.yaml"
    path.write_text(good("config", "sample"))
    env = {"SOURCE_URL": "postgresql://u:hunter2@a/x", "TARGET_URL": "host=b password=hunter2"}
    out = good("--config", str(path), "config", env=env)
    assert "hunter2" not in out
    sync = yaml.safe_load(out)["syncs"][0]
    assert sync["copy"]["streams"] == 4
    assert sync["source"] == "source"


def check_schema(schema, value, where=""):
    """The part of JSON Schema that we use."""
    if "anyOf" in schema:
        for one in schema["anyOf"]:
            try:
                return check_schema(one, value, where)
            except AssertionError:
                pass
        raise AssertionError(f"{where}: {value!r} is none of {schema['anyOf']}")
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r}"
    types = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None), "boolean": bool}
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds:
        assert any(isinstance(value, types[k]) for k in kinds), f"{where}: {value!r} is not {kinds}"
    if isinstance(value, str) and "pattern" in schema:
        assert re.search(schema["pattern"], value), f"{where}: {value!r} does not match {schema['pattern']}"
    if isinstance(value, int) and not isinstance(value, bool) and "minimum" in schema:
        assert schema["minimum"] <= value <= schema["maximum"], f"{where}: {value}"
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            check_schema(schema["items"], item, f"{where}[{i}]")
    if isinstance(value, dict):
        for key in schema.get("required", []):
            assert key in value, f"{where}: {key} is missing"
        for key, item in value.items():
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            assert inner is not False and inner is not None, f"{where}: {key} is not known"
            check_schema(inner, item, f"{where}.{key}")


SCHEMA_GOOD = """
databases: {a: {url: x}, b: {url: "${B}"}}
syncs:
  - {source: a, target: b, tables: {include: ["*.*"]}, poll: 5ms, lock_timeout: "${T}", new_tables: false}
  - {copy: {streams: 3, max_rate: 50MB/s, split_size: 1.5GB}, apply: {batch_bytes: 65536}}
  - {materialized_views: {refresh: [initial, {every: 10m}]}, sequences: {}}
log: {level: debug}
"""


def test_schema_accepts_what_the_program_accepts():
    schema = json.loads(good("config", "schema"))
    check_schema(schema, yaml.safe_load(good("config", "sample")))
    check_schema(schema, yaml.safe_load(SCHEMA_GOOD))


@pytest.mark.parametrize("text", [
    "colour: red", "databases: {a: {}}", "databases: {a: {url: x, colour: red}}", "syncs: {}",
    "syncs: [{copy: {streams: four}}]", "syncs: [{copy: {streams: 65}}]", "syncs: [{mode: three-way}]",
    "syncs: [{poll: 5}]", "syncs: [{poll: 5us}]", "syncs: [{copy: {max_rate: 50MB}}]",
    "syncs: [{tables: {include: x}}]", "syncs: [{materialized_views: {refresh: [never]}}]", "log: {level: loud}"])
def test_schema_refuses_what_the_program_refuses(text):
    with pytest.raises(AssertionError):
        check_schema(json.loads(good("config", "schema")), yaml.safe_load(text))


def test_unit_file():
    """It starts the daemon by a command line that the program understands."""
    with open(os.path.join(CONF, "rebeco.service")) as f:
        line = re.search(r"^ExecStart=\S+/rebeco (.*)$", f.read(), re.M).group(1)
    words = line.split()
    assert words[-1] == "run" and words[0] == "--config"
    assert run(*words).returncode == 2  # the file is not there, and nothing else is wrong
    assert "cannot read the configuration file /etc/rebeco/rebeco.yaml" in run(*words).stderr


# ---------------------------------------------------------------- help


def command_names():
    text = good("help").split("Commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  ([a-z]+)", text, re.M)


def test_help_lists_the_commands():
    names = command_names()
    assert {"run", "check", "status", "pause", "resume", "kick", "resync", "uninstall", "config", "version",
            "help"} <= set(names)
    assert len(names) == len(set(names))
    for name in names:
        text = good("help", name)
        assert text.startswith(f"Usage: rebeco [OPTIONS] {name}")
        assert good(name, "--help") == text == good("--help", name)
        assert max(map(len, text.splitlines())) <= 80
    assert good("--help") == good("help") == good("-h")
    assert max(map(len, good("help").splitlines())) <= 80


def test_manual_page_has_everything():
    roff = good("help", "--man").replace("\\-", "-")
    for name in command_names():
        assert f".SS {name}" in roff
        for option in re.findall(r"^  (--[a-z-]+)", good("help", name), re.M):
            assert f".B {option}" in roff, f"{name} {option}"
    for path in ["databases.*.url", "syncs[].copy.streams", "log.level"]:
        assert f".B {path}\n" in roff
    for code in range(6):
        assert f".B {code}\n" in roff
    assert not re.search(r"^\.(?!TH|SH|SS|TP|B|BR|PP)", roff, re.M), "a line that is taken for a macro"


def test_version():
    assert re.fullmatch(r"rebeco \d+\.\d+\.\d+\n", good("version"))


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize("args, says", [
    ([], "Usage: rebeco"),
    (["nonsense"], 'there is no command "nonsense"'),
    (["help", "nonsense"], 'there is no command "nonsense"'),
    (["--nonsense", "version"], "unrecognized option"),
    (["version", "word"], "a word too many"),
    (["skip"], "something missing"),
    (["version", "--json"], "does not take --json"),
    (["--watch", "pause"], "does not take --watch"),
    (["config", "nonsense"], "does not know"),
    (["status"], "no target"),
    (["run"], "no target"),
    (["--target", "host=a", "run"], "no source"),
    (["--source", "host=a", "--target", "host=b", "run", "--until", "noon"], "--until"),
    (["--source", "host=a", "--target", "host=b", "uninstall", "--only", "both"], "--only"),
    (["--source", "host=a", "--target", "host=b", "pause", "--timeout", "soon"], "duration"),
    (["--source", "host=a", "--target", "host=a", "run"], "same database"),
    (["--sync", "x", "--source", "host=a", "--target", "host=b", "run"], 'no sync "x"'),
    (["--config", "/nowhere", "run"], "cannot read the configuration file /nowhere"),
    (["--log-level", "loud", "--source", "host=a", "--target", "host=b", "run"], "debug, info"),
])
def test_usage_errors_end_with_code_2(args, says):
    p = run(*args)
    assert p.returncode == 2, p
    assert says in p.stderr and p.stdout == ""


def test_mistakes_in_the_file_are_shown_with_their_place(tmp_path):
    path = tmp_path / "rebeco.yaml"
    path.write_text("databases:\n  a: {url: 'host=a'}\nsyncs:\n  - source: a\n    copy: {steams: 4}\n")
    p = run("--config", str(path), "run")
    assert p.returncode == 2
    assert f"at: {path}:5:12" in p.stderr
    assert 'Did you mean "streams"?' in p.stderr


def test_output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w") as full:
        p = subprocess.run([rig.REBECO, "help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 1
    assert "No space left" in p.stderr


# ---------------------------------------------------------------- passwords


def test_urls_do_not_stay_in_the_process_title(servers):
    """The arguments of a process can be read by everybody on the machine."""
    target = servers("target", "rds")
    target.pause()
    url = target.url().replace("rds@", "rds:hunter2@")
    p = subprocess.Popen([rig.REBECO, "--target", url, f"--source={url}x", "status"], env={**os.environ, **rig.SANITIZERS},
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        def title():
            with open(f"/proc/{p.pid}/cmdline") as f:
                text = f.read()
            return "status" in text and "hunter2" not in text
        rig.eventually("the URLs are gone from the arguments", title, 5)
        assert p.poll() is None
    finally:
        target.resume()
        p.send_signal(signal.SIGTERM)
        p.wait(20)


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@127.0.0.1:1/x", "host=127.0.0.1 port=1 password=hunter2",
                                 "postgresql://u:hunter2@[bad/x", "host='127.0.0.1 password=hunter2"])
def test_errors_do_not_show_passwords(url):
    for args in (["status"], ["config"], ["check"], ["uninstall"], ["kick"]):
        p = run("--source", url, "--target", url + "x", *args)
        assert "hunter2" not in p.stdout + p.stderr, args


# ---------------------------------------------------------------- the commands that ask a daemon

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.item (id int PRIMARY KEY, name text);
CREATE TABLE shop."odd.name" (id int PRIMARY KEY);
INSERT INTO shop.item SELECT i, 'item ' || i FROM generate_series(1, 1000) i;
"""


@pytest.fixture
def running(source, rebeco):
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    return rebeco


def rows(server):
    return server.value("SELECT count(*) FROM shop.item")


def test_commands_before_anything_is_installed(rebeco):
    for args in (["status"], ["pause"], ["resume"], ["kick"], ["resync", "shop.item"]):
        r = rebeco.command(*args)
        assert r.code == 1
        assert "nothing of Rebeco at the target" in r.err


def test_commands_while_no_daemon_runs(source, target, running):
    running.terminate()
    shown = running.ok("status")
    assert "none runs now" in shown
    assert json.loads(running.ok("status", "--json"))["running"] is False
    started = time.monotonic()
    r = running.command("pause", "shop.item", "--timeout", "1s")
    assert r.code == 1 and time.monotonic() - started < 5
    assert "no daemon answered" in r.err and "waits at the target" in r.err
    # What was asked for is done by the next daemon.
    running.start()
    wait_paused(running, 1)
    source.run("INSERT INTO shop.item VALUES (1001, 'new')")
    time.sleep(1)
    assert (rows(source), rows(target)) == (1001, 1000)
    running.ok("resume", "shop.item")
    running.wait("the rows are there", lambda: rows(target) == 1001)


def test_pause_and_resume_the_sync(source, target, running):
    running.ok("pause")
    source.run("INSERT INTO shop.item VALUES (1001, 'new')")
    time.sleep(1)
    assert rows(target) == 1000
    running.wait("status says so", lambda: "paused" in running.ok("status").splitlines()[0])
    running.ok("resume")
    running.ok("kick", "--wait")
    assert rows(target) == 1001


@pytest.mark.parametrize("tables", [(), ("shop.item",)])
def test_pause_answers_when_nothing_is_in_hand(source, target, running, tables):
    """Whoever reads "done" may rely on the target standing still."""
    with target.admin() as c:
        c.run("BEGIN; LOCK TABLE shop.item")
        source.run("INSERT INTO shop.item VALUES (1001, 'new')")
        running.wait("a batch waits for the lock", lambda: target.value(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rebeco' AND wait_event_type = 'Lock'", user="postgres"))
        r = running.command("pause", *tables, "--timeout", "1500ms")
        assert r.code == 1 and "has not answered in time" in r.err
        if rig.LONG:
            assert "still being written" in running.ok("pause", *tables)
        c.run("COMMIT")
    assert "done" in running.ok("pause", *tables)
    assert rows(target) == 1001
    source.run("INSERT INTO shop.item VALUES (1002, 'newer')")
    time.sleep(1)
    assert rows(target) == 1001
    running.ok("resume", *tables)
    running.wait_in_sync()
    assert rows(target) == 1002


def wait_paused(rebeco, count):
    """The daemon writes its status every second or so."""
    rebeco.wait(f"{count} tables are paused", lambda: rebeco.ok("status").count("paused (user)") == count)


def test_names_of_tables_are_patterns(running):
    assert "odd.name" in running.ok("pause", 'shop."odd.name"')
    wait_paused(running, 1)
    running.ok("pause", "shop.*")
    wait_paused(running, 2)
    running.ok("resume", "item")
    wait_paused(running, 1)
    for name in ("shop.nothing", "x.y.z", ""):
        r = running.command("pause", name)
        assert r.code == 1 and "no table of the sync" in r.err
    time.sleep(1.5)
    wait_paused(running, 1)


def test_resync_brings_back_what_was_damaged(source, target, running):
    with target.admin() as c:
        c.run("DELETE FROM shop.item WHERE id < 500")
    running.ok("resync", "shop.item")
    running.wait("the rows are back", lambda: rows(target) == 1000)
    running.wait_in_sync()
    assert rig.compare(source, target) == []


def test_kick_wait_returns_when_the_rows_are_there(source, target, running):
    for i in range(20):
        source.run("INSERT INTO shop.item VALUES (%s, 'x')", 2000 + i)
        running.ok("kick", "--wait")
        assert rows(target) == 1001 + i


def test_status(source, target, running):
    tree = json.loads(running.ok("status", "--json"))
    assert tree["sync"] == "default" and tree["running"] is True and tree["age_s"] < 30
    assert {t["name"] for t in tree["tables"]} == {"item", "odd.name"}
    p = subprocess.Popen([rig.REBECO, *running.args, "status", "--watch", "--json"], env=running.env, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    lines = [json.loads(p.stdout.readline()) for _ in range(3)]
    assert all(line["sync"] == "default" for line in lines)
    # A server that restarts is waited for.
    target.restart()
    assert json.loads(p.stdout.readline())["sync"] == "default"
    p.terminate()
    p.communicate(timeout=10)


def test_status_needs_only_the_target(target, running):
    r = run("--target", target.url(), "status")
    assert r.returncode == 0 and "sync default" in r.stdout
