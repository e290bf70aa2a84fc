"""The peers, as Debian packages them: how each is set up, started, stopped and removed.

All of them get the superuser, which Rebeco does not."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

import rig
from scene import TABLES, Failed, family, program, run

# ------------------------------------------------------------------ PostgreSQL's own logical replication


class Logical:
    """One subscription of all tables."""

    def __init__(self, scene, database="app"):
        self.scene, self.database = scene, database

    def on(self, copy=False):
        s = self.scene
        s.source.run("CREATE PUBLICATION bench FOR TABLE " + ", ".join(TABLES), user="postgres")
        s.target.run(f"CREATE SUBSCRIPTION bench_{self.database} CONNECTION '{s.source.url('postgres')}' PUBLICATION bench "
                     f"WITH (copy_data = {str(copy).lower()})", user="postgres", database=self.database)

    def start(self):
        self.scene.target.run(f"ALTER SUBSCRIPTION bench_{self.database} ENABLE", user="postgres", database=self.database)

    def stop(self):
        self.scene.target.run(f"ALTER SUBSCRIPTION bench_{self.database} DISABLE", user="postgres", database=self.database)
        rig.eventually("the slot is free", lambda: not self.scene.source.value("SELECT active FROM pg_replication_slots", user="postgres"), 60)

    def off(self):
        with self.scene.target.admin(self.database) as c:
            if c.value("SELECT 1 FROM pg_subscription WHERE subname = %s", f"bench_{self.database}"):
                c.run(f"ALTER SUBSCRIPTION bench_{self.database} DISABLE")
                c.run(f"DROP SUBSCRIPTION bench_{self.database}")
        self.scene.source.run("DROP PUBLICATION IF EXISTS bench", user="postgres")

    def is_ready(self):
        return self.scene.target.run("SELECT count(*) FILTER (WHERE srsubstate <> 'r'), count(*) FROM pg_subscription_rel",
                                     user="postgres", database=self.database) == [(0, len(TABLES))]


# ------------------------------------------------------------------ Bucardo


class Bucardo:
    """Its control database is at the source."""

    def __init__(self, scene, database="app"):
        self.scene, self.database = scene, database
        self.home = os.path.join(rig.folder(), f"bucardo-{scene.source.port}")

    def say(self, *args, check=True):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        p = subprocess.run(["bucardo", "--bucardorc", self.home + "/rc", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, env=env, cwd=self.home)
        if check and p.returncode:
            raise Failed(f"bucardo {' '.join(args)[:100]}: {p.stdout[-1500:]}")
        return p.stdout

    def install(self, copy=False):
        """Control database, databases, tables and one sync; with its triggers, but not running."""
        s = self.scene
        shutil.rmtree(self.home, ignore_errors=True)
        os.mkdir(self.home)
        with open(self.home + "/rc", "w") as f:
            f.write(f"dbhost=127.0.0.1\ndbport={s.source.port}\ndbname=bucardo\ndbuser=bucardo\npiddir={self.home}\nlog-destination={self.home}\n")
        for server in (s.source, s.target):
            with server.admin("postgres") as c:
                if not c.value("SELECT 1 FROM pg_roles WHERE rolname = 'bucardo'"):
                    c.run("CREATE ROLE bucardo SUPERUSER LOGIN")
        with s.source.admin("postgres") as c:
            c.run("CREATE DATABASE bucardo OWNER bucardo")
        self.say("install", "--batch", "--dbuser", "postgres", "--pid-dir", self.home)
        self.say("set", f"piddir={self.home}", check=False)
        self.say("add", "db", "a", "dbname=app", "host=127.0.0.1", f"port={s.source.port}", "user=bucardo")
        self.say("add", "db", "b", f"dbname={self.database}", "host=127.0.0.1", f"port={s.target.port}", "user=bucardo")
        self.say("add", "table", *[f"public.{t}" for t in TABLES], "db=a", "relgroup=g")
        self.say("add", "sync", "s", "relgroup=g", "dbs=a:source,b:target", f"onetimecopy={int(copy)}")

    def processes(self):
        try:
            with open(self.home + "/bucardo.mcp.pid") as f:
                return family([int(f.read().split()[0])])
        except (OSError, ValueError, IndexError):
            return []

    def start(self):
        self.say("start", "--log-destination", self.home)

    def first_copy_is_done(self):
        return self.scene.source.value("SELECT 1 FROM bucardo.syncrun WHERE status LIKE 'Complete%' AND ended IS NOT NULL", user="bucardo", database="bucardo")

    def stop(self):
        if not os.path.isdir(self.home):
            return
        pids = self.processes()
        self.say("stop", "bench", check=False)
        end = time.monotonic() + 20
        alive = lambda: [p for p in pids if os.path.exists(f"/proc/{p}")]  # noqa: E731
        while alive() and time.monotonic() < end:
            time.sleep(0.2)
        for pid in alive():
            os.kill(pid, 15)
        for server in (self.scene.source, self.scene.target):  # a statement of hours does not notice that nobody waits for it
            server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bucardo'", user="postgres")

    def triggers(self, on):
        set_triggers(self.scene.source, "bucardo_", on)

    def forget(self):
        """Empties its logs, as nobody reads them."""
        for (t,) in self.scene.source.run(r"SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'bucardo' "
                                          r"AND (tablename LIKE 'delta\_public%' OR tablename LIKE 'track\_public%')", user="postgres"):
            self.scene.source.run(f"TRUNCATE {t}", user="postgres")

    def remove(self):
        self.stop()
        with self.scene.source.admin("postgres") as c:
            c.run("DROP DATABASE IF EXISTS bucardo WITH (FORCE)")
        for server, database in ((self.scene.source, "app"), (self.scene.target, self.database)):
            server.run("SET client_min_messages = warning; DROP SCHEMA IF EXISTS bucardo CASCADE", user="postgres", database=database)
        shutil.rmtree(self.home, ignore_errors=True)


# ------------------------------------------------------------------ Slony


class Slony:
    def __init__(self, scene, database="app"):
        self.scene = scene
        self.nodes = (scene.source.url("postgres"), scene.target.url("postgres", database))
        self.running = []

    def slonik(self, script):
        p = subprocess.run(["slonik"], input="cluster name = bench;\n" + "".join(
            f"node {i} admin conninfo = '{url}';\n" for i, url in enumerate(self.nodes, 1)) + script,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if p.returncode:
            raise Failed("slonik: " + p.stdout[-1500:])

    def install(self):
        self.slonik("init cluster (id = 1, comment = 'a');\nstore node (id = 2, comment = 'b', event node = 1);\n"
                    f"store path (server = 1, client = 2, conninfo = '{self.nodes[0]}');\n"
                    f"store path (server = 2, client = 1, conninfo = '{self.nodes[1]}');\n"
                    "create set (id = 1, origin = 1, comment = 'all');\n" + "".join(
                        f"set add table (set id = 1, origin = 1, id = {i}, fully qualified name = 'public.{t}');\n" for i, t in enumerate(TABLES, 1)))

    def start(self, sync_ms=None):
        for i, url in enumerate(self.nodes, 1):
            with open(os.path.join(rig.folder(), f"slon-{i}.log"), "ab") as log:
                self.running.append(subprocess.Popen(["slon", *(["-s", str(sync_ms)] if sync_ms else []), "bench", url],
                                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                     preexec_fn=lambda: rig._libc.prctl(1, signal.SIGTERM)))

    def subscribe(self):
        self.slonik("subscribe set (id = 1, provider = 1, receiver = 2, forward = no);")

    def is_subscribed(self):
        return self.scene.target.value("SELECT 1 FROM _bench.sl_subscribe WHERE sub_active", user="postgres")

    def processes(self):
        return family([p.pid for p in self.running])

    def triggers(self, on):
        set_triggers(self.scene.source, "_bench_logtrigger", on)

    def forget(self):
        self.scene.source.run("TRUNCATE _bench.sl_log_1, _bench.sl_log_2", user="postgres")

    def stop(self):
        """Its watchdogs and their workers; a worker that does not hear is killed."""
        pids = self.processes()
        for p in self.running:
            p.terminate()
        for p in self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(10)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for p in self.running:
            p.wait()
        self.running = []

    def remove(self):
        self.stop()
        for server in (self.scene.source, self.scene.target):
            server.run("SET client_min_messages = warning; DROP SCHEMA IF EXISTS _bench CASCADE", user="postgres")


def set_triggers(server, prefix, on, state="ENABLE"):
    """Turns the triggers of one kind on or off, all at once."""
    for table, name in server.run("SELECT t.tgrelid::regclass::text, quote_ident(t.tgname) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                                  "WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace AND starts_with(t.tgname, %s)", prefix, user="postgres"):
        server.run(f"ALTER TABLE {table} {state if on else 'DISABLE'} TRIGGER {name}", user="postgres")


# ------------------------------------------------------------------ those that copy once


def pgcopydb(scene, jobs=2):
    home = os.path.join(rig.folder(), "pgcopydb")
    shutil.rmtree(home, ignore_errors=True)
    try:
        run("pgcopydb", "clone", "--source", scene.source.url("postgres"), "--target", scene.target.url("postgres"), "--table-jobs", jobs,
            "--index-jobs", jobs, "--dir", home, "--no-owner", "--no-acl", env={"PATH": scene.source.version.bin + ":" + os.environ["PATH"]})
    finally:
        shutil.rmtree(home, ignore_errors=True)


def dump_and_restore(scene, jobs=2):
    home = os.path.join(rig.folder(), "dump")
    shutil.rmtree(home, ignore_errors=True)
    try:
        run(program(scene.source, "pg_dump"), "-Fd", f"-j{jobs}", "-Z0", "-f", home, "-n", "public", "-d", scene.source.url("postgres"))
        out = run(program(scene.target, "pg_restore"), f"-j{jobs}", "-O", "-x", "-d", scene.target.url("postgres"), home, check=False)
        if re.search("error:", out) and "schema \"public\" already exists" not in out:
            raise Failed("pg_restore: " + out[-1500:])
    finally:
        shutil.rmtree(home, ignore_errors=True)
