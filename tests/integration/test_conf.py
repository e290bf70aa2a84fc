"""The promise: what lies in conf/ works: samples, alert rules, and a dashboard whose queries find something."""

import glob
import json
import os
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest
import rig
import yaml
from test_http import ask, conf, started

CONF = rig.TOP + "/conf"
RULES = CONF + "/prometheus-rules.yaml"
DASHBOARD = CONF + "/grafana-dashboard.json"

# ------------------------------------------------------------------ samples


@pytest.mark.parametrize("path", sorted(glob.glob(CONF + "/samples/*.yaml")), ids=os.path.basename)
def test_a_sample_is_valid(path, tmp_path):
    with open(path) as f:
        text = f.read()
    env = dict(os.environ)
    for name in re.findall(r"\$\{(\w+)\}", text):
        env[name] = f"postgresql://me:hush@{name.lower().replace('_', '-')}.example.com/app"
    for secret in re.findall(r"\$\{file:([^}]+)\}", text):
        name = os.path.basename(secret)
        (tmp_path / name).write_text(f"postgresql://me:hush@{name}.example.com/app\n")
        text = text.replace(secret, str(tmp_path / name))
    (tmp_path / "rebeco.yaml").write_text(text)
    p = subprocess.run([rig.REBECO, "--config", str(tmp_path / "rebeco.yaml"), "config"], env=env, capture_output=True,
                       text=True)
    assert p.returncode == 0, p.stderr
    assert "hush" not in p.stdout and yaml.safe_load(p.stdout)["syncs"][0]["name"] == yaml.safe_load(text)["syncs"][0]["name"]


def test_the_sample_for_kubernetes_is_what_the_manifests_have():
    with open(CONF + "/samples/kubernetes.yaml") as f:
        sample = yaml.safe_load(f)
    with open(rig.TOP + "/docker/kubernetes/base/configmap.yaml") as f:
        used = yaml.safe_load(yaml.safe_load(f)["data"]["rebeco.yaml"])
    assert sample["databases"] == used["databases"] and sample["syncs"] == used["syncs"]
    assert sample["http"].items() >= used["http"].items() and sample["log"] == used["log"]


# ------------------------------------------------------------------ rules and dashboard


def promtool(*args):
    p = subprocess.run(["promtool", *args], capture_output=True, text=True)
    assert p.returncode == 0, p.stdout + p.stderr


def test_the_alert_rules():
    promtool("check", "rules", RULES)
    promtool("test", "rules", rig.TOP + "/tests/prometheus/rules_test.yaml")
    with open(RULES) as f:
        names = [r["alert"] for g in yaml.safe_load(f)["groups"] for r in g["rules"]]
    with open(rig.TOP + "/tests/prometheus/rules_test.yaml") as f:
        tests = yaml.safe_load(f)["tests"]
    fires = {a["alertname"] for t in tests for a in t["alert_rule_test"] if a.get("exp_alerts")}
    assert fires == set(names), "an alert that no test makes fire"


def queries():
    """Every expression of the dashboard and of the rules."""
    with open(DASHBOARD) as f:
        dashboard = json.load(f)
    found = [t["expr"].replace("$sync", ".*") for p in dashboard["panels"] for t in p["targets"]]
    with open(RULES) as f:
        found += [r["expr"] for g in yaml.safe_load(f)["groups"] for r in g["rules"]]
    return found


def selectors(expr):
    """(metric, labels that are asked for)"""
    for name, labels in re.findall(r"\b((?:rebeco|process)_\w+)\b(?:\{([^}]*)\})?", expr):
        yield name, set(re.findall(r'(\w+)\s*[=!]', labels))


def test_every_query_names_what_there_is(source, target, rebecos):
    """Each metric is served, with the labels that the query selects and groups by."""
    source.run("CREATE TABLE t (a int PRIMARY KEY)")
    source.run("CREATE SEQUENCE s")
    source.run("CREATE MATERIALIZED VIEW m AS SELECT 1 AS a")
    text, port = conf()
    rebeco = started(rebecos(source, target, text), port)
    rebeco.wait_in_sync()
    rebeco.ok("pause", "public.t")
    rebeco.wait("the pause is shown", lambda: "rebeco_table_pause_info{" in ask(port, "/metrics")[1])
    served = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", ask(port, "/metrics")[1], re.M):
        served.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    everything = queries()
    assert len(everything) > 25
    for expr in everything:
        for name, labels in selectors(expr):
            assert name in served, f"{expr}: {name} is not served"
            assert labels <= served[name] | {"instance"}, f"{expr}: {name} has no such label"
        known = set.union({"instance"}, *(served[name] for name, _ in selectors(expr))) if "up{" not in expr else set()
        for grouping in re.findall(r"\b(?:by|on) \(([^)]*)\)", expr):
            assert set(grouping.replace(" ", "").split(",")) <= known, expr
    rig.check_equal(source, target)


# ------------------------------------------------------------------ a real Prometheus


class Prometheus:
    def __init__(self, folder, port, scraped):
        self.port = port
        (folder / "prometheus.yaml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [RULES],
            "scrape_configs": [{"job_name": "rebeco", "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}]}))
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=lambda: rig._libc.prctl(rig._PR_SET_PDEATHSIG, 9))
        rig._running.append(self)

    def ask(self, query):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(url, timeout=10) as r:
                answer = json.load(r)
        except OSError as e:
            raise AssertionError(f"prometheus does not answer: {e}") from None
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def sweep(self):
        self.process.kill()
        self.process.wait()


class Probe:
    """Writes the time into the source every 50 ms, and notes how old the newest is that the target shows."""

    def __init__(self, source, target):
        self.seen = []  # (when, lag)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=f, args=(end,)) for f, end in ((self._write, source), (self._read, target))]
        for t in self._threads:
            t.start()

    def _write(self, source):
        with source.connect() as c:
            while not self._over.wait(0.05):
                c.run("UPDATE beat SET at = %s WHERE a = 1", time.time())

    def _read(self, target):
        with target.admin() as c:
            while not self._over.wait(0.02):
                at = c.value("SELECT at FROM beat WHERE a = 1")
                now = time.time()
                self.seen.append((now, now - at))

    def lag(self, when):
        """What it measured nearest to this moment."""
        return min(self.seen, key=lambda s: abs(s[0] - when))[1]

    def stop(self):
        self._over.set()
        for t in self._threads:
            t.join()


@pytest.mark.limit(180)
def test_prometheus_sees_the_lag(source, target, rebecos, tmp_path):
    """What Prometheus scrapes is what an independent probe measures, within a second: while all is well, while the
    target is held up, and after it."""
    source.run("CREATE TABLE beat (a int PRIMARY KEY, at float8)")
    source.run("INSERT INTO beat VALUES (1, extract(epoch FROM clock_timestamp()))")
    text, port = conf()
    rebeco = started(rebecos(source, target, text), port)
    rebeco.wait_in_sync()
    prometheus = Prometheus(tmp_path, rig.free_port(), port)
    probe = Probe(source, target)
    try:
        rig.eventually("Prometheus has scraped", lambda: prometheus.ask("rebeco_sync_lag_seconds"), 30)
        time.sleep(20 if rig.LONG else 4)
        held_up = 30 if rig.LONG else 8
        with target.admin() as c:
            c.raw.autocommit = False
            c.run("LOCK TABLE beat IN SHARE ROW EXCLUSIVE MODE")
            time.sleep(held_up)
        rebeco.wait_in_sync()
        time.sleep(20 if rig.LONG else 4)
    finally:
        probe.stop()
    (series,) = prometheus.ask("rebeco_sync_lag_seconds[5m]")
    pairs = [(float(value), probe.lag(when)) for when, value in series["values"] if when >= probe.seen[0][0]]
    print(f"{len(pairs)} samples; lag up to {max(p[1] for p in pairs):.1f} s; "
          f"largest difference {max(abs(a - b) for a, b in pairs):.2f} s")
    assert len(pairs) >= 12 and max(b for _, b in pairs) > held_up - 3
    wrong = [(a, b) for a, b in pairs if abs(a - b) > 1]
    assert not wrong, f"(metric, probe): {wrong}"
    rules = urllib.request.urlopen(f"http://127.0.0.1:{prometheus.port}/api/v1/rules", timeout=10).read()
    groups = json.loads(rules)["data"]["groups"]
    assert all(r["health"] == "ok" for g in groups for r in g["rules"]), "a rule cannot be evaluated"
    for expr in queries():
        prometheus.ask(expr)
    assert prometheus.ask('up{job="rebeco"}')[0]["value"][1] == "1"
    prometheus.sweep()
    rig._running.remove(prometheus)
    rig.check_equal(source, target)
