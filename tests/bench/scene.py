"""What every part of the benchmark uses: two servers, the data, the daemon, and instruments.

The servers are those of the integration tests (rig.Server) with the settings of a server that is meant to
be fast and safe. The loaded source is kept below build/bench/data and copied for each part, so that
loading is done once."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
import rig  # noqa: E402

SCALE = float(os.environ.get("SCALE") or 50)  # below 1: to see that it runs
ROUNDS = int(os.environ.get("ROUNDS") or 3)
SECONDS = float(os.environ.get("SECONDS_EACH") or max(3, min(20, SCALE * 0.4)))
ONLY = re.split(r",(?![^(]*\))", os.environ["ONLY"]) if os.environ.get("ONLY") else None  # a name may have a comma in brackets
BUILD = os.path.abspath(os.environ.get("BUILD") or os.path.join(rig.TOP, "build"))
OUT = os.environ.get("BENCH_OUT") or os.path.join(BUILD, "bench")

WIDE = int(SCALE * 20000)  # rows of the table `wide`
BULK = int(SCALE * 4000)   # rows of one large statement
TRANSACTIONS = int(SCALE * 2000)
SMALL_ROWS = min(1000, int(SCALE * 100))

SETTINGS = {
    "fsync": "on" if SCALE >= 1 else "off", "synchronous_commit": "on", "full_page_writes": "on", "wal_level": "logical",
    "shared_buffers": "1GB" if SCALE > 5 else "128MB", "max_wal_size": "8GB", "min_wal_size": "2GB" if SCALE > 5 else "80MB",
    "checkpoint_timeout": "30min", "maintenance_work_mem": "256MB", "work_mem": "32MB", "random_page_cost": "1.1",
    "max_wal_senders": "20", "max_replication_slots": "20", "max_worker_processes": "20",
    "max_logical_replication_workers": "12", "max_sync_workers_per_subscription": "4",
    "max_prepared_transactions": "0", "log_min_messages": "warning",
}

PGBENCH = {"pgbench_accounts": "aid", "pgbench_branches": "bid", "pgbench_tellers": "tid", "pgbench_history": "hid"}
SMALL = {f"s{i:02d}": "id" for i in range(1, 51 if SCALE >= 1 else 6)}
BIG = {**PGBENCH, "wide": "id"}
TABLES = {**BIG, "beat": "id", **SMALL}  # table -> its key


class Failed(Exception):
    """A peer did not do what it was asked to."""


class Late(Failed):
    """It was not done in time."""


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


def run(*argv, env=None, check=True, **more):
    """Runs a program to its end; returns what it said."""
    p = subprocess.run([str(a) for a in argv], stdin=more.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, env={**os.environ, **(env or {})}, **more)
    if check and p.returncode:
        raise Failed(f"{' '.join(map(str, argv))[:200]} ended with {p.returncode}: {p.stdout[-1500:]}")
    return p.stdout


def program(server, name):
    return f"{server.version.bin}/{name}"


# ------------------------------------------------------------------ servers and data

def new_server(name, owner, **settings):
    return rig.Server(name, owner, **{**SETTINGS, **settings})


def load(server):
    """The data of the issue: pgbench with a key on history, `wide`, 50 small tables, a heartbeat."""
    run(program(server, "pgbench"), "-i", "-q", "-s", max(1, round(SCALE)), server.url())
    server.psql(f"""
DELETE FROM pgbench_accounts WHERE aid > {SCALE} * 100000;
ALTER TABLE pgbench_history ADD COLUMN hid bigserial PRIMARY KEY;
CREATE TABLE wide (id bigint PRIMARY KEY, u uuid NOT NULL, at timestamptz NOT NULL, amount numeric(18,4), doc jsonb, t text, b bytea);
INSERT INTO wide SELECT i, md5(i::text)::uuid, timestamptz '2024-01-01 00:00Z' + i * interval '7 s', (i % 1000003) * 1.0117,
    jsonb_build_object('id', i, 'name', 'customer-' || i, 'tags', jsonb_build_array(i % 7, i % 11, md5(i::text)),
                       'address', jsonb_build_object('street', md5((i + 1)::text), 'zip', i % 99999, 'city', 'city ' || i % 5000)),
    rpad(md5((i + 2)::text), 100, md5((i + 3)::text)), decode(md5(i::text) || md5((i + 9)::text), 'hex')
  FROM generate_series(1, {WIDE}) i;
CREATE INDEX wide_at ON wide (at); CREATE INDEX wide_u ON wide (u);
CREATE TABLE beat (id bigint PRIMARY KEY, at timestamptz NOT NULL);
INSERT INTO beat VALUES (0, now());
""" + "".join(f"CREATE TABLE {t} (id int PRIMARY KEY, k int, v text);"
              f"INSERT INTO {t} SELECT i, i % 17, md5(i::text) FROM generate_series(1, {SMALL_ROWS}) i;\n" for t in SMALL))
    with server.admin() as c:
        c.run("VACUUM ANALYZE")


def large_table(server, gb):
    """One table of so many GB at SCALE 50."""
    server.psql(f"CREATE TABLE large (id bigint PRIMARY KEY, doc text, b bytea); INSERT INTO large SELECT i, repeat(md5(i::text), 30), "
                f"decode(repeat(md5((i + 1)::text), 30), 'hex') FROM generate_series(1, {int(gb / 3 * SCALE * 37000)}) i;")
    with server.admin() as c:
        c.run("VACUUM ANALYZE large")


def loaded_source(**settings):
    """A source with the data, a copy of the one that was loaded first."""
    kept = os.path.join(OUT, "data", f"{rig.installed_versions()[-1]}-{SCALE:g}")
    server = new_server("source", "app", **settings)
    if SCALE < 1:
        load(server)
        return server
    if not os.path.isdir(kept):
        say("loading the source")
        load(server)
        server.stop()
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        subprocess.run(["cp", "-a", "--reflink=auto", server.data, kept + ".new"], check=True)
        os.rename(kept + ".new", kept)
    else:
        server.stop()
        shutil.rmtree(server.data)
        subprocess.run(["cp", "-a", "--reflink=auto", kept, server.data], check=True)
    server.start()
    return server


def _warm_up(server):
    """A server that has run for a while writes into WAL files that are there; making them would be the first one's loss."""
    with server.admin("postgres") as c:
        for _ in range(100):
            c.run("SELECT pg_logical_emit_message(false, 'bench', repeat('x', 16000000))")
        c.run("CHECKPOINT")


class Scene:
    """A source with the data and an empty target."""

    def __init__(self, data=True, **settings):
        self.source = loaded_source(**settings) if data else new_server("source", "app", **settings)
        self.target = new_server("target", "rds")
        self.loaded = {}  # the source's digest as it was loaded; reading it once brings all of it into memory
        if data:
            warm = [lambda s=s: _warm_up(s) for s in (self.source, self.target) if SCALE > 5]
            pool([lambda: self.loaded.update(digest(self.source)), *warm], 3)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.source.drop()
        self.target.drop()

    def checkpoint(self):
        for server in (self.source, self.target):
            with server.admin("postgres") as c:
                c.run("CHECKPOINT")

    def empty_target(self, sections=(), database="app"):
        """A new database at the target, with the schema when sections are named."""
        with self.target.admin("postgres") as c:
            c.run(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
            c.run(f"CREATE DATABASE {database} OWNER rds")
        if sections:
            self.target.psql(self.schema(sections), user="postgres", database=database)

    def schema(self, sections):
        text = run(program(self.source, "pg_dump"), "-s", "-O", "-x", "-n", "public", "--no-publications", *[f"--section={s}" for s in sections],
                   self.source.url("postgres"))
        text = re.sub(r"(?m)^CREATE (CONSTRAINT )?TRIGGER (.|\n)*?;\n", "", text)
        text = re.sub(r"(?m)^ALTER TABLE .* (DISABLE|ENABLE) .*TRIGGER .*?;\n", "", text)
        return re.sub(r"(?m)^\\(un)?restrict .*\n|^CREATE SCHEMA public;", "", text)


def digest(server, database="app", tables=None):
    """Per table: rows, and a sum of hashes of them. The order of the rows does not matter."""
    out = {}
    with server.admin(database) as c:
        c.run("SET max_parallel_workers_per_gather = 2; SET timezone = 'UTC'")
        for t in tables or TABLES:
            out[t] = tuple(map(str, c.run(f"SELECT count(*), sum(hashtextextended(x::text, 0)) FROM {t} x")[0]))
    return out


def check_arrived(scene, database="app", tables=None, source=None):
    """Raises Failed unless both ends are equal now; `source` is what its digest is, when that is known."""
    found = {scene.source.name: source} if source else {}
    threads = [threading.Thread(target=lambda s=s, d=d: found.__setitem__(s.name, digest(s, d, tables)))
               for s, d in ((scene.source, "app"), (scene.target, database)) if s.name not in found]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if len(found) < 2:
        raise Failed("the checksums could not be read")
    a, b = found[scene.source.name], found[scene.target.name]
    wrong = [f"{t}: {a[t][0]} and {b[t][0]} rows" for t in a if a[t] != b[t]]
    if wrong:
        raise Failed("not all data arrived: " + "; ".join(wrong[:5]))


# ------------------------------------------------------------------ load

def tpcb(server, clients=8, seconds=None, transactions=None, rate=None, database="app"):
    """Runs pgbench's TPC-B; returns transactions a second."""
    args = [program(server, "pgbench"), "-n", "-c", clients, "-j", "2"]
    args += ["-T", max(1, round(seconds))] if seconds else ["-t", max(1, transactions // clients)]
    if rate:
        args += ["-R", rate]
    out = run(*args, server.url(database=database))
    return float(re.search(r"tps = ([\d.]+)", out)[1])


def beat(server):
    """A row that arrives after everything that was committed before; returns its id."""
    return server.value("INSERT INTO beat SELECT coalesce(max(id), 0) + 1, clock_timestamp() FROM beat RETURNING id", user="postgres")


def wait_beat(server, number, timeout=600, database="app"):
    """Waits at the server, without a round trip per look, until the row is there."""
    with server.admin(database) as c:
        c.run(f"SET statement_timeout = '{timeout + 5}s'")
        found = c.run(f"""DO $$ DECLARE e timestamptz := clock_timestamp() + interval '{timeout} s'; BEGIN
            LOOP EXIT WHEN EXISTS (SELECT 1 FROM beat WHERE id = {number}) OR clock_timestamp() > e; PERFORM pg_sleep(0.01); END LOOP; END $$;
            SELECT 1 FROM beat WHERE id = {number}""")
    if not found:
        raise Late(f"not there after {timeout:.0f} s")


def watch_beats(server, table, after, count, out, seconds):
    """Notes when each of so many heartbeats is seen at the server; looks every 2 ms, until the last one is there."""
    with server.admin() as c:
        c.run("CREATE TEMP TABLE seen (id bigint, at timestamptz)")
        c.run(f"""DO $$ DECLARE last bigint := {after}; now_last bigint; e timestamptz := clock_timestamp() + interval '{seconds} s'; BEGIN
            WHILE clock_timestamp() < e AND last < {after + count} LOOP
                SELECT max(id) INTO now_last FROM {table};
                IF now_last > last THEN INSERT INTO pg_temp.seen SELECT g, clock_timestamp() FROM generate_series(last + 1, now_last) g; last := now_last; END IF;
                COMMIT; PERFORM pg_sleep(0.002);
            END LOOP; END $$""")
        out.update(c.run("SELECT id, extract(epoch FROM at)::float8 FROM seen"))


# ------------------------------------------------------------------ the daemon

def rebeco(scene, source=None, target=None, copy=None, **more):
    """The program under test, with its default configuration, but for the page, and without the peers' tables."""
    sync = {"name": "default", "source": "source", "target": "target", "tables": {"include": ["public.*"]}, **more}
    if copy:
        sync["copy"] = copy
    text = yaml.safe_dump({"databases": {"source": {"url": "{source}"}, "target": {"url": "{target}"}},
                           "syncs": [sync], "http": {"listen": "none"}}, sort_keys=False)
    return rig.Rebeco(source or scene.source, target or scene.target, config=text, binary=rig.RELEASE)


def settle(r, timeout=900):
    """Brings the daemon in sync."""
    r.start()
    r.wait_in_sync(timeout)


# ------------------------------------------------------------------ instruments

@contextlib.contextmanager
def stopwatch(figures, name="seconds"):
    start = time.monotonic()
    yield
    figures[name] = time.monotonic() - start


def _stat(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()


def processes():
    """pid -> (parent, CPU seconds of it and of its ended children)"""
    out = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                f = _stat(name)
                out[int(name)] = (int(f[1]), sum(map(int, f[11:15])) / os.sysconf("SC_CLK_TCK"))
    return out


def family(roots):
    """The processes and all below them."""
    below, found, todo = {}, [], list(roots)
    for pid, (parent, _) in processes().items():
        below.setdefault(parent, []).append(pid)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += below.get(pid, [])
    return found


def cpu_of(pids):
    """CPU seconds of these processes, without ended children."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/schedstat") as f:
                total += int(f.read().split()[0]) / 1e9
    return total


def sessions(server, where):
    """The server processes of sessions, by a condition on pg_stat_activity."""
    return [r[0] for r in server.run(f"SELECT pid FROM pg_stat_activity WHERE {where}", user="postgres", database="postgres")]


def rss_mb(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, StopIteration):
            with open(f"/proc/{pid}/status") as f:
                total += int(next(line for line in f if line.startswith("VmRSS")).split()[1])
    return total / 1024


class Memory(threading.Thread):
    """The most memory that the processes which pids() names had together."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids, self.peak, self.ended = pids, 0.0, threading.Event()

    def run(self):
        while not self.ended.wait(0.3):
            self.peak = max(self.peak, rss_mb(self.pids()))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


class Others:
    """How many CPUs were used by processes that have nothing to do with the benchmark."""

    def __init__(self, ours=lambda: []):
        self.ours = ours
        self.start = self._now()

    def _now(self):
        with open("/proc/stat") as f:
            fields = list(map(int, f.readline().split()[1:9]))
        busy = sum(fields[i] for i in (0, 1, 2, 5, 6, 7)) / os.sysconf("SC_CLK_TCK")
        known = processes()
        own = sum(known[p][1] for p in set(family([os.getpid(), *self.ours()])) if p in known)
        return time.monotonic(), busy, own

    def share(self):
        (t0, b0, o0), (t1, b1, o1) = self.start, self._now()
        return max(0.0, ((b1 - b0) - (o1 - o0)) / max(t1 - t0, 0.01))


def pool(jobs, workers=2):
    """Runs functions, a few at a time; the first error is raised."""
    jobs, lock, errors = list(jobs), threading.Lock(), []

    def work():
        while True:
            with lock:
                if not jobs or errors:
                    return
                job = jobs.pop(0)
            try:
                job()
            except Exception as e:  # noqa: BLE001
                errors.append(e)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(p / 100 * len(values)))]
