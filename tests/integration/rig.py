"""The test rig: throwaway PostgreSQL servers, a Rebeco under test, a network that can be broken.

Nothing here asks Rebeco whether Rebeco works: compare() reads both ends by itself.

Servers listen on 127.0.0.1 only, live in a temporary folder and end with the test process, however
that ends. PostgreSQL refuses to run as root, so as root they run as `postgres`.

Settings from the environment:
  REBECO            the program under test (built with sanitizers by `make check`)
  REBECO_RELEASE    the same, built for use: for tests that measure memory or time
  REBECO_PG_SOURCE, REBECO_PG_TARGET   major versions, default the newest that is installed
  REBECO_PG_ROOTS   a folder with one Debian root file system per version (folder 13, 17, ...), used
                    for versions that are not in /usr/lib/postgresql; needs root
  REBECO_PORTS      "21000-21999": where ports are taken from
  REBECO_KEEP       keep the temporary folder
  REBECO_LONG       run the long form of a test
  REBECO_ROLES      "neither both": only the tests of two-way syncs, in these mixes of roles (two_way.ROLES)
"""

import atexit
import contextlib
import ctypes
import glob
import json
import os
import pwd
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2
import psycopg2.extensions
import psycopg2.sql
import pytest
import yaml

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REBECO = os.path.abspath(os.environ.get("REBECO") or os.path.join(TOP, "build/rebeco"))
RELEASE = os.path.abspath(os.environ.get("REBECO_RELEASE") or REBECO)
LONG = bool(os.environ.get("REBECO_LONG"))
OURS = "rebeco"  # the schema with Rebeco's own objects

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def eventually(what, condition, timeout=30.0, pause=None):
    """Waits until condition() is true and returns what it returned; fails after `timeout` seconds. Looks every `pause`
    seconds; None: soon at first, then less often, as most looks take a new session, 5 ms of a processor.

    An AssertionError, or an error of the server, counts as "not yet"; the last one is shown."""
    end = time.monotonic() + timeout
    rest = pause or 0.03
    last = None
    while True:
        try:
            result = condition()
            if result:
                return result
            last = result
        except (AssertionError, psycopg2.Error) as e:
            last = e
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:g} s: {what}; last seen: {last!r}")
        time.sleep(rest)
        rest = pause or min(rest * 1.25, 0.2)


def free_port():
    """A port that nobody uses, outside the range that the kernel gives to outgoing connections: a
    server that is stopped for a while must find its port free when it comes back."""
    low, high = (os.environ.get("REBECO_PORTS") or "15000-31999").split("-")
    for _ in range(200):
        port = random.SystemRandom().randint(int(low), int(high))
        if port in _ports_given:
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _ports_given.add(port)
        return port
    raise RuntimeError("no free port")


_ports_given = set()

# ------------------------------------------------------------------ the temporary folder

_folders = []


def _remove_stale(parent):
    """Removes what a test process left that was killed: its number is in the folder's name."""
    for name in os.listdir(parent):
        m = re.fullmatch(r"rebeco-test-(\d+)-\w+", name)
        if m and not os.path.exists(f"/proc/{m.group(1)}"):
            shutil.rmtree(os.path.join(parent, name), ignore_errors=True)


def folder(root=""):
    """This process's temporary folder, inside the file system `root`."""
    for known_root, path in _folders:
        if known_root == root:
            return path
    parent = root + (os.environ.get("TMPDIR") or "/tmp" if not root else "/tmp")
    _remove_stale(parent)
    path = tempfile.mkdtemp(prefix=f"rebeco-test-{os.getpid()}-", dir=parent)
    os.chmod(path, 0o755)
    _folders.append((root, path))
    return path


_running = []  # things with .sweep()


@atexit.register
def sweep():
    """Ends every process that was started and removes the folders. May be called again."""
    for thing in reversed(_running[:]):
        with contextlib.suppress(Exception):
            thing.sweep()
    _running.clear()
    _templates.clear()
    if not os.environ.get("REBECO_KEEP"):
        for _, path in _folders:
            shutil.rmtree(path, ignore_errors=True)
        _folders.clear()


# ------------------------------------------------------------------ PostgreSQL


class Version:
    """Where the programs of one PostgreSQL major version are, and how to start them."""

    def __init__(self, major):
        self.major = int(major)
        self.root = ""
        self.env = {}
        self.bin = f"/usr/lib/postgresql/{self.major}/bin"
        if not os.path.exists(self.bin + "/postgres"):
            self.root = os.path.join(os.environ.get("REBECO_PG_ROOTS", "/nowhere"), str(self.major))
            if not os.path.exists(self.root + self.bin + "/postgres"):
                raise LookupError(f"PostgreSQL {self.major} is not installed")
            if os.getuid() != 0:
                raise LookupError(f"PostgreSQL {self.major} needs a chroot, and that needs root")
        self.user = None
        if os.getuid() == 0:
            with open(self.root + "/etc/passwd") as f:
                users = {line.split(":")[0]: line.split(":") for line in f}
            self.user = int(users["postgres"][2]), int(users["postgres"][3])

    def inside(self, path):
        """A path as the server's programs see it."""
        return path[len(self.root):]

    def own(self, path):
        if self.user:
            os.chown(path, *self.user)

    def _enter(self):
        # Runs between fork and exec. The signal for a dead parent must come last: it is cleared
        # when the user changes.
        if self.root:
            os.chroot(self.root)
            os.chdir("/")
        if self.user:
            os.setgroups([])
            os.setgid(self.user[1])
            os.setuid(self.user[0])
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)

    def popen(self, program, *args, **more):
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGTZ": "UTC", **self.env}
        return subprocess.Popen([f"{self.bin}/{program}", *args], preexec_fn=self._enter, env=env,
                                stdin=subprocess.DEVNULL, cwd="/", start_new_session=True, **more)

    def shifted(self, by):
        """The same, in a world whose clock is off: by "+2s". None where that cannot be had."""
        library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
        if self.root or not os.path.exists(library):
            return None
        other = Version(self.major)
        other.env = {"LD_PRELOAD": library, "FAKETIME": by, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}
        return other

    def run(self, program, *args):
        p = self.popen(program, *args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out, _ = p.communicate()
        if p.returncode != 0:
            raise RuntimeError(f"{program} failed: {out}")
        return out


_CLIENT = """#!/bin/sh
exec {loader} --library-path {libraries} {program} "$@"
"""


def _wrap_clients():
    """pg_dump and pg_restore of the versions in REBECO_PG_ROOTS, in front of PATH, newest first: Rebeco needs
    those of the newer end; newer ones are left out, and older ones where this machine has the newer end's itself.
    They run outside of their root file systems, with the libraries in there."""
    roots = os.environ.get("REBECO_PG_ROOTS", "/nowhere")
    ends = [int(os.environ[name]) for name in ("REBECO_PG_SOURCE", "REBECO_PG_TARGET") if os.environ.get(name)]
    for major in sorted((int(m) for m in os.listdir(roots) if m.isdigit()) if os.path.isdir(roots) else ()):
        if len(ends) == 2 and (major > max(ends) or (major < max(ends) and not os.path.isdir(f"{roots}/{max(ends)}"))):
            continue
        root = f"{os.path.abspath(roots)}/{major}"
        loaders = glob.glob(f"{root}/usr/lib/*/ld-linux*.so*") + glob.glob(f"{root}/lib/*/ld-linux*.so*")
        if not loaders:
            continue
        wrapped = os.path.join(folder(), f"clients-{major}")
        os.mkdir(wrapped)
        for name in ("pg_dump", "pg_restore"):
            program = f"{root}/usr/lib/postgresql/{major}/bin/{name}"
            with open(f"{wrapped}/{name}", "w") as f:
                f.write(_CLIENT.format(loader=loaders[0], libraries=os.path.dirname(loaders[0]), program=program))
            os.chmod(f"{wrapped}/{name}", 0o755)
        os.environ["PATH"] = f"{wrapped}:{os.environ['PATH']}"


# What pg_dump of some minor releases writes with every column, and only the server that it came from takes. A name may have a line break.
SERVERS_OWN = r"ALTER TABLE ONLY .*(?:\n(?!ALTER ).*)?? ALTER COLUMN .* SET \(pg_attver=\d+\);"


def installed_versions():
    """Every major version that a Server can be made of, rising."""
    found = set()
    for parent in ("/usr/lib/postgresql", os.environ.get("REBECO_PG_ROOTS", "/nowhere")):
        if os.path.isdir(parent):
            found |= {int(name) for name in os.listdir(parent) if name.isdigit()}
    good = []
    for major in sorted(found):
        with contextlib.suppress(LookupError):
            Version(major)
            good.append(major)
    return good


_wrap_clients()

SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "fsync": "off",
    "shared_buffers": "64MB",
    "max_connections": "120",
    "max_prepared_transactions": "20",
    "log_line_prefix": "'%m [%p] %u %a '",
    "log_statement": "none",
    "deadlock_timeout": "100ms",
    "log_min_messages": "error",
    "timezone": "UTC",
}

# What a hosted database gives its customers. Nobody but the fixtures is a superuser.
ROLES = """
CREATE ROLE app LOGIN NOSUPERUSER NOREPLICATION NOCREATEROLE NOCREATEDB;
CREATE ROLE clerk LOGIN NOSUPERUSER;
CREATE ROLE rds LOGIN NOSUPERUSER CREATEROLE CREATEDB;
CREATE ROLE rds_too LOGIN NOSUPERUSER CREATEROLE CREATEDB;
CREATE ROLE plain LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB;
"""

_templates = {}


def _template(version, owner):
    """A data directory with the roles and the database `app`, made once and copied often."""
    key = version.major, owner
    if key in _templates:
        return _templates[key]
    base = Server._bare(version, f"template-{version.major}-{owner}")
    version.own(os.path.dirname(base.data))
    version.run("initdb", "-D", version.inside(base.data), "-U", "postgres", "-A", "trust",
                "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--wal-segsize=1")
    base.start()
    with base.admin("postgres") as c:
        c.run(ROLES)
        if version.major >= 15:
            c.run("GRANT SET ON PARAMETER session_replication_role TO rds, rds_too")
        c.run(f"CREATE DATABASE app OWNER {owner}")
    base.stop()
    _running.remove(base)
    _templates[key] = base.data
    return base.data


class Server:
    """One PostgreSQL server. `owner` is the role that owns database `app` and that Rebeco uses.

    settings: further lines of postgresql.conf, as a dict of literal values."""

    _count = 0

    @classmethod
    def _bare(cls, version, name):
        self = cls.__new__(cls)
        self.name = name
        self.version = version
        self.major = version.major
        self.port = free_port()
        self.process = None
        home = os.path.join(folder(version.root), name)
        os.mkdir(home)
        version.own(home)
        self.data = home + "/data"
        self.log_path = home + "/log"
        self.settings = dict(SETTINGS, port=str(self.port))
        if version.root:
            self.settings["dynamic_shared_memory_type"] = "mmap"
        self.owner = "postgres"
        self.standbys = []
        _running.append(self)
        return self

    def __init__(self, name, owner, version=None, **settings):
        Server._count += 1
        version = Version(version or installed_versions()[-1])
        fresh = Server._bare(version, f"{name}-{Server._count}")
        _running.remove(fresh)
        self.__dict__.update(fresh.__dict__)
        self.owner = owner
        self.settings.update(settings)
        _running.append(self)
        subprocess.run(["cp", "-a", "--reflink=auto", _template(version, owner), self.data], check=True)
        self.start()

    # ---- life

    def start(self, wait=True):
        """Starts the server and waits until it answers."""
        assert self.process is None, f"{self.name} runs already"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.data + "/postmaster.pid")
        options = []
        for key, value in self.settings.items():
            options += ["-c", f"{key}={value.strip(chr(39))}"]
        with open(self.log_path, "ab") as log:
            self.process = self.version.popen("postgres", "-D", self.version.inside(self.data), *options,
                                              stdout=log, stderr=log)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=60):
        def answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} does not start:\n{self.log_tail()}")
            with self.admin("postgres"):
                return True
        eventually(f"{self.name} answers", answers, timeout, 0.02)

    def stop(self, mode="fast"):
        """Stops the server: smart, fast or immediate."""
        self._end({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])

    def kill9(self):
        """Ends the whole server as a power cut would, but for what is in the page cache."""
        children = self._backends()
        self._end(signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # Shared memory is in use until the last of them is gone.
        eventually("no backend is left", lambda: not any(os.path.exists(f"/proc/{p}") for p in children))

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def shift_clock(self, by):
        """Starts it anew in a world whose clock is off: by "+2s". False where that cannot be had."""
        version = self.version.shifted(by)
        if version is None:
            return False
        self.stop()
        self.version = version
        self.start()
        return True

    def pause(self):
        """Freezes the server: connections stay, nothing answers."""
        os.kill(self.process.pid, signal.SIGSTOP)  # first: no new backends from here on
        for pid in self._backends():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def resume(self):
        for pid in [*self._backends(), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _backends(self):
        out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
                             capture_output=True, text=True).stdout
        return [int(pid) for pid in out.split()]

    def _end(self, sig):
        if self.process is None:
            return
        self.process.send_signal(sig)
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def sweep(self):
        if self.process is not None:
            self.resume()
            self._end(signal.SIGQUIT)

    def drop(self):
        """Ends the server and its standbys, and removes their folders."""
        for standby in self.standbys:
            standby.drop()
        self.sweep()
        if self in _running:
            _running.remove(self)
        if not os.environ.get("REBECO_KEEP"):
            shutil.rmtree(os.path.dirname(self.data), ignore_errors=True)

    def standby(self, name="follower", **settings):
        """A running streaming standby of this server."""
        other = Server._bare(self.version, f"{name}-{Server._count}")
        Server._count += 1
        other.owner = self.owner
        other.settings.update(settings)
        self.version.run("pg_basebackup", "-D", self.version.inside(other.data), "-h", "127.0.0.1",
                         "-p", str(self.port), "-U", "postgres", "-X", "stream", "-c", "fast", "--no-sync")
        with open(other.data + "/standby.signal", "w"):
            pass
        self.version.own(other.data + "/standby.signal")
        other.settings["primary_conninfo"] = f"host=127.0.0.1 port={self.port} user=postgres"
        self.standbys.append(other)
        return other.start()

    def log_tail(self, lines=40):
        with open(self.log_path, errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    # ---- talking to it

    def url(self, user=None, database="app", port=None):
        return f"postgresql://{user or self.owner}@127.0.0.1:{port or self.port}/{database}"

    def connect(self, user=None, database="app"):
        """A Connection in autocommit mode, as the owner of the database or as `user`."""
        return Connection(self.url(user, database))

    def admin(self, database="app"):
        """A Connection as superuser, for what only the fixtures may do."""
        return self.connect("postgres", database)

    def run(self, sql, *args, user=None, database="app"):
        """Runs SQL on a connection of its own, autocommit; returns the rows, if there are any."""
        with self.connect(user, database) as c:
            return c.run(sql, *args)

    def value(self, sql, *args, user=None, database="app"):
        """The first column of the first row."""
        rows = self.run(sql, *args, user=user, database=database)
        return rows[0][0] if rows else None

    def psql(self, path_or_sql, user=None, database="app"):
        """Runs a file, or a text with several statements, through psql, stopping at an error."""
        args = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.url(user, database)]
        if os.path.exists(path_or_sql):
            r = subprocess.run([*args, "-f", path_or_sql], capture_output=True, text=True)
        else:
            r = subprocess.run(args, input=path_or_sql, capture_output=True, text=True)
        assert r.returncode == 0, f"psql failed: {r.stderr}"
        return r.stdout

    def dump_schema(self, user="postgres"):
        """pg_dump --schema-only, without what differs between two runs."""
        r = subprocess.run(["pg_dump", "--schema-only", "-d", self.url(user)], capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        return "\n".join(line for line in r.stdout.splitlines()
                         if not re.match(r"\\(un)?restrict ", line) and not re.fullmatch(SERVERS_OWN, line))

    def terminate_backends(self, application="rebeco"):
        """Ends the sessions whose application_name starts with `application`; returns how many."""
        with self.admin() as c:
            return c.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                           "WHERE application_name LIKE %s || '%%' AND pid <> pg_backend_pid()", application)


class Connection:
    """A psycopg2 connection in autocommit mode with two short-cuts. `raw` is the connection itself."""

    def __init__(self, url):
        self.raw = psycopg2.connect(url, connect_timeout=10, application_name="test")
        self.raw.autocommit = True

    def run(self, sql, *args):
        with self.raw.cursor() as cursor:
            cursor.execute(sql, args or None)
            return cursor.fetchall() if cursor.description else None

    def value(self, sql, *args):
        rows = self.run(sql, *args)
        return rows[0][0] if rows else None

    def close(self):
        self.raw.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def need_parts(source):
    """For tests of tables that are copied in several chunks."""
    if source.major < 14:
        pytest.skip("a table is copied in parts where the server can scan a range of blocks: from 14 on")


# ------------------------------------------------------------------ convergence

_TABLES = """
SELECT format('%%I.%%I', n.nspname, c.relname),
       -- Not quote_ident(): what is a word of SQL depends on the version.
       (SELECT string_agg('"' || replace(a.attname, '"', '""') || '"', ',' ORDER BY a.attname)
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY (%s) AND c.relpersistence = 'p' AND n.nspname NOT IN ('information_schema', %s)
  AND n.nspname !~ '^pg_'
ORDER BY 1
"""


def _tables(c, kinds):
    return dict(c.run(_TABLES, list(kinds), OURS))


def _digest(c, table, columns):
    # Two independent 64-bit hashes of every row's text, summed: the order of the rows does not
    # matter, a row too many or too few does.
    row = f"ROW({columns})::text" if columns else "''::text"
    return c.run(f"SELECT count(*), sum(hashtextextended({row}, 0)::numeric), "
                 f"sum(hashtextextended({row}, 42)::numeric) FROM {table}")[0]


def _rows(c, table, columns):
    row = f"ROW({columns})::text" if columns else "''::text"
    return sorted(r[0] for r in c.run(f"SELECT {row} FROM {table}"))


def _explain(s, t, table, columns, ds, dt):
    text = f"{table}: {ds[0]} rows at the source, {dt[0]} at the target"
    if max(ds[0], dt[0]) > 200000:
        return text + ", contents differ"
    a, b = _rows(s, table, columns), _rows(t, table, columns)
    only_a, only_b = _minus(a, b), _minus(b, a)
    names = [r[0] for r in s.run("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = %s::regclass "
                                 "AND attnum > 0 AND NOT attisdropped", table)]
    differ = [n for n in names if _digest(s, table, n) != _digest(t, table, n)]
    return (f"{text}; columns {', '.join(differ) or 'equal, each by itself'}; "
            f"{len(only_a)} only at the source: {only_a[:5]}; {len(only_b)} only at the target: {only_b[:5]}")


def _minus(a, b):
    from collections import Counter
    return sorted((Counter(a) - Counter(b)).elements())


def compare(source, target, ignore=(), sequences=True, matviews=False):
    """What differs between the user's tables of two servers, as readable lines; [] when nothing.

    Columns are taken by name. Both ends are read at different moments: writers must rest. A sequence
    at the target must be at or beyond the source's."""
    with source.admin() as s, target.admin() as t:
        kinds = "rm" if matviews else "r"
        at_s, at_t = _tables(s, kinds), _tables(t, kinds)
        for name in ignore:
            at_s.pop(name, None)
            at_t.pop(name, None)
        out = [f"{n}: not at the target" for n in at_s if n not in at_t]
        out += [f"{n}: not at the source" for n in at_t if n not in at_s]
        for table in sorted(at_s.keys() & at_t.keys()):
            columns = at_s[table]
            if columns != at_t[table]:
                out.append(f"{table}: columns ({columns}) at the source, ({at_t[table]}) at the target")
                continue
            ds, dt = _digest(s, table, columns), _digest(t, table, columns)
            if ds != dt:
                out.append(_explain(s, t, table, columns, ds, dt))
        if sequences:
            out += _compare_sequences(s, t)
        return out


_SEQUENCES = """
SELECT format('%%I.%%I', n.nspname, c.relname), q.seqincrement
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence q ON q.seqrelid = c.oid
WHERE n.nspname NOT IN ('information_schema', %s) AND n.nspname !~ '^pg_' ORDER BY 1
"""


def _compare_sequences(s, t):
    out = []
    at_s, at_t = dict(s.run(_SEQUENCES, OURS)), dict(t.run(_SEQUENCES, OURS))
    for name, step in at_s.items():
        if name not in at_t:
            out.append(f"sequence {name}: not at the target")
            continue
        vs, cs = s.run(f"SELECT last_value, is_called FROM {name}")[0]
        vt, ct = t.run(f"SELECT last_value, is_called FROM {name}")[0]
        # What nextval gives at the target must be new at the source.
        next_s, next_t = vs + (step if cs else 0), vt + (step if ct else 0)
        if (next_t < next_s) if step > 0 else (next_t > next_s):
            out.append(f"sequence {name}: next value {next_s} at the source, {next_t} at the target")
    return out


def check_equal(source, target, **how):
    """Fails unless every table is equal now, and every sequence is within its interval (of 5 s)."""
    differences = compare(source, target, sequences=False, **how)
    assert not differences, "both ends differ:\n  " + "\n  ".join(differences)
    wait_converged(source, target, 15, **how)


def wait_converged(source, target, timeout=30, **how):
    """Waits until both ends are equal; fails with the differences."""
    end = time.monotonic() + timeout
    while True:
        try:
            differences = compare(source, target, **how)
        except psycopg2.Error as e:
            differences = [f"cannot compare: {e}"]
        if not differences:
            return
        if time.monotonic() > end:
            raise AssertionError(f"after {timeout:g} s both ends still differ:\n  " + "\n  ".join(differences))
        time.sleep(0.2)


# ------------------------------------------------------------------ Rebeco

# Whatever a sanitizer finds becomes exit code 99 and a line that _TROUBLE matches.
SANITIZERS = {
    "ASAN_OPTIONS": "exitcode=99:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
}
_TROUBLE = re.compile(r"(ERROR: \w+Sanitizer|runtime error: |SUMMARY: \w+Sanitizer|Assertion .* failed)")


def config(log=None, **sync):
    """A configuration of one sync between {source} and {target}; the keywords are its options."""
    tree = {
        "databases": {"source": {"url": "{source}"}, "target": {"url": "{target}"}},
        "syncs": [{"name": "default", "source": "source", "target": "target", **sync}],
    }
    if log:
        tree["log"] = log
    return yaml.safe_dump(tree, sort_keys=False)


class Result(tuple):
    """(code, out, err) of a command."""
    code = property(lambda self: self[0])
    out = property(lambda self: self[1])
    err = property(lambda self: self[2])

    @property
    def json(self):
        return json.loads(self.out)


class Rebeco:
    """A configuration, the commands run with it, and at most one daemon.

    source and target: Servers, Proxies or URLs. config: text of a configuration file, used instead
    of --source and --target; {source} and {target} in it become the URLs. env: additions."""

    _count = 0

    def __init__(self, source, target, config=None, env=None, binary=None, name=None):
        Rebeco._count += 1
        self.binary = binary or REBECO
        self.source, self.target = source, target
        self.source_url = source if isinstance(source, str) else source.url()
        self.target_url = target if isinstance(target, str) else target.url()
        self.home = os.path.join(folder(), f"{name or 'rebeco'}-{Rebeco._count}")
        os.mkdir(self.home)
        self.log_path = self.home + "/log"
        self.args = ["--source", self.source_url, "--target", self.target_url]
        if config is not None:
            self.config_path = self.home + "/rebeco.yaml"
            self.configure(config)
            self.args = ["--config", self.config_path]
        self.env = {**os.environ, **SANITIZERS, "LC_ALL": "C.UTF-8", **(env or {})}
        for key in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "REBECO_SOURCE", "REBECO_TARGET"):
            if key not in (env or {}):
                self.env.pop(key, None)
        self.process = None
        self.exit_code = None
        self.started_at = None
        self._cpu_seen = 0.0
        self._rss_seen = 0
        _running.append(self)

    def configure(self, text):
        """Writes the configuration file anew (a running daemon reads it at SIGHUP)."""
        with open(self.config_path, "w") as f:
            f.write(text.replace("{source}", self.source_url).replace("{target}", self.target_url))

    # ---- commands

    def command(self, *args, timeout=60, stdin=None):
        """Runs `rebeco ... args` to its end; returns a Result (code, out, err)."""
        try:
            p = subprocess.run([self.binary, *self.args, *args], env=self.env, capture_output=True,
                               text=True, errors="replace", timeout=timeout, input=stdin,
                               stdin=None if stdin is not None else subprocess.DEVNULL)
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f"rebeco {' '.join(args)} did not end within {timeout} s; "
                                 f"said: {e.stdout!r} {e.stderr!r}") from None
        assert not _TROUBLE.search(p.stderr), f"rebeco {' '.join(args)}:\n{p.stderr}"
        assert p.returncode >= 0, f"rebeco {' '.join(args)} died of signal {-p.returncode}:\n{p.stderr}"
        return Result((p.returncode, p.stdout, p.stderr))

    def ok(self, *args, **more):
        """The same for a command that must succeed; returns its standard output."""
        r = self.command(*args, **more)
        assert r.code == 0, f"rebeco {' '.join(args)} ended with {r.code}:\n{r.err}{r.out}"
        return r.out

    # ---- the daemon

    def start(self, *args, errors=None):
        """Starts `rebeco run args`; its output goes to a file, or its log to the descriptor `errors`."""
        assert self.process is None, "the daemon runs already"
        with open(self.log_path, "ab") as log:
            log.write(f"--- start {args}\n".encode())
            log.flush()
            self.process = subprocess.Popen([self.binary, *self.args, "run", *args], env=self.env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log if errors is None else errors,
                                            preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
        self.exit_code = None
        self.started_at = time.monotonic()
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wait_exit(self, timeout=30):
        """Waits until the daemon ends by itself and returns its exit code."""
        try:
            return self._ended(self.process.wait(timeout))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon did not end within {timeout:g} s:\n{self.log_tail()}") from None

    def terminate(self, timeout=20):
        """SIGTERM; it must end by itself, with code 0."""
        self.sample()
        self.process.send_signal(signal.SIGTERM)
        code = self.wait_exit(timeout)
        assert code == 0, f"the daemon ended with {code} after SIGTERM:\n{self.log_tail()}"

    def kill9(self):
        """SIGKILL, as an orchestrator's last word."""
        self.sample()
        self.process.kill()
        self._ended(self.process.wait())

    def hup(self):
        self.process.send_signal(signal.SIGHUP)

    def _ended(self, code):
        self.exit_code = code
        self.process = None
        self.check_log()
        return code

    def check_log(self):
        """Fails when a sanitizer or a check inside the program said something."""
        m = _TROUBLE.search(self.log())
        assert not m, f"{m.group(0)}:\n{self.log_tail(80)}"

    def check_alive(self):
        assert self.process is not None, "the daemon was not started"
        code = self.process.poll()
        if code is not None:
            self._ended(code)
            raise AssertionError(f"the daemon ended with code {code}:\n{self.log_tail()}")

    def sweep(self):
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
                self.process.kill()
            self.process.wait()
            self.process = None

    def drop(self):
        """Ends the daemon and forgets it; the folder goes with the test process."""
        self.sweep()
        if self in _running:
            _running.remove(self)

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def log_tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def log_lines(self, word=""):
        return [line for line in self.log().splitlines() if word in line]

    # ---- what it says of itself

    def status(self):
        """The status tree that the daemon last wrote at the target, or None."""
        with self._target_admin() as c:
            if c.value("SELECT to_regclass('rebeco.status')") is None:
                return None
            return c.value("SELECT doc FROM rebeco.status")

    def phase(self):
        """The phase recorded at the target: new, schema, capture, copy, catch-up, finish, follow."""
        with self._target_admin() as c:
            if c.value("SELECT to_regclass('rebeco.sync')") is None:
                return None
            return c.value("SELECT phase FROM rebeco.sync")

    def _target_admin(self):
        return Connection(self.target_url) if isinstance(self.target, str) else self.target.admin()

    def wait(self, what, condition, timeout=30.0, pause=None):
        """eventually(), failing at once when the daemon has ended."""
        def checked():
            if self.process is not None and self.process.poll() is not None:
                code = self._ended(self.process.poll())
                raise RuntimeError(f"the daemon ended with code {code} instead of: {what}\n{self.log_tail()}")
            return condition()
        try:
            return eventually(what, checked, timeout, pause)
        except AssertionError as e:
            raise AssertionError(f"{e}\non record at the target:\n{self.recorded()}\n{self.log_tail()}") from None

    def recorded(self):
        """How the tables stand by what is on record at the target: a failure shows whether the daemon stands still, or has done
        its work and the test waits for something else."""
        try:
            with self._target_admin() as c:
                c.run("SET statement_timeout = '5s'")
                return c.value("""SELECT string_agg(concat('  ', l.sync, ': ', l.label, ' ', l.state, l.pause), chr(10))
                    FROM (SELECT t.sync, format('%I.%I', t.source_schema, t.source_name) AS label, t.state,
                                 ', paused: ' || t.paused || coalesce(': ' || t.paused_what, '') AS pause
                            FROM rebeco.sync_table t ORDER BY t.paused IS NULL, t.state, t.sync, t.id LIMIT 20) l""") or "  no table"
        except psycopg2.Error as e:
            return f"  {str(e).strip()}"

    def wait_phase(self, phase, timeout=60):
        """Waits until the phase is reached, or has been passed."""
        order = ["new", "schema", "capture", "copy", "catch-up", "finish", "follow"]
        wanted = order.index(phase)
        self.wait(f"phase {phase}", lambda: (self.phase() or "new") in order[wanted:], timeout, None if phase == "follow" else 0.05)

    def wait_in_sync(self, timeout=30):
        """Returns when everything committed before this call is at the target (`kick --wait`)."""
        self.wait_phase("follow", timeout)
        self.ok("kick", "--wait", timeout=timeout)

    # ---- what it costs

    def sample(self):
        """Notes memory and CPU time of the running daemon."""
        if not self.is_running():
            return
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, StopIteration):
            with open(f"/proc/{self.process.pid}/status") as f:
                line = next(line for line in f if line.startswith("VmHWM"))
            self._rss_seen = max(self._rss_seen, int(line.split()[1]) * 1024)
            with open(f"/proc/{self.process.pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            self._cpu_seen = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_rss(self):
        """The most memory the daemon ever had, in bytes. Only the release build says something."""
        self.sample()
        return self._rss_seen

    def cpu_seconds(self):
        """CPU time of the daemon that runs, or that ran last until terminate() or kill9()."""
        self.sample()
        return self._cpu_seen


# ------------------------------------------------------------------ a network that can break


# A socket filter that takes no packet: what arrives is dropped before TCP sees it, so nothing is
# acknowledged. It needs no privilege, and is the nearest to a cut cable that one machine can have.
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27


def _deafen(s):
    take_nothing = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET | BPF_K, 0
    program = struct.pack("HL", 1, ctypes.addressof(take_nothing))
    s.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _undeafen(s):
    with contextlib.suppress(OSError):
        s.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


class _Pair:
    """One relayed connection. Its sockets are closed by the last of its two threads: a number that is
    closed earlier may be another socket's by the time the other thread writes to it."""

    def __init__(self, client, upstream):
        self.sockets = (client, upstream)
        self.threads = 2

    def shut(self):
        for s in self.sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)


class Proxy:
    """A TCP relay in front of a Server. It can go silent, go slow, or cut."""

    def __init__(self, server):
        self.server = server
        self.port = free_port()
        self.delay_s = 0.0
        self.refusing = False
        self.connections = 0
        self._is_silent = False
        self._open = threading.Event()
        self._open.set()
        self._pairs = set()
        self._guests = set()  # accepted, and not connected to the server yet
        self._lock = threading.Lock()
        self._closing = False
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        _running.append(self)

    def url(self, user=None, database="app"):
        return self.server.url(user, database, port=self.port)

    def admin(self, database="app"):
        """Around the proxy."""
        return self.server.admin(database)

    def silence(self):
        """A black hole: from now on every packet to and from either side is lost. Nothing is closed,
        nothing is acknowledged, and a new connection gets no answer at all."""
        with self._lock:
            self._is_silent = True
            self._open.clear()
            _deafen(self._listener)
            for s in self._sockets():
                _deafen(s)

    def speak(self):
        """Packets travel again; connections that both ends still believe in go on."""
        with self._lock:
            self._is_silent = False
            _undeafen(self._listener)
            for s in self._sockets():
                _undeafen(s)
            self._open.set()

    def _sockets(self):
        return [*self._guests, *(s for pair in self._pairs for s in pair.sockets)]

    def delay(self, seconds):
        """Every piece of traffic waits this long, each way."""
        self.delay_s = seconds

    def refuse(self, yes=True):
        """New connections are closed at once."""
        self.refusing = yes

    def cut(self):
        """Breaks all connections; returns how many there were."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.shut()
        return len(pairs)

    def sweep(self):
        self._closing = True
        if self._is_silent:
            self.speak()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self):
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refusing:
                client.close()
                continue
            with self._lock:
                self._guests.add(client)
                if self._is_silent:
                    _deafen(client)
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        self._open.wait()
        try:
            upstream = socket.create_connection(("127.0.0.1", self.server.port), 10)
            upstream.settimeout(None)
        except OSError:
            with self._lock:
                self._guests.discard(client)
            client.close()
            return
        for s in (client, upstream):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = _Pair(client, upstream)
        with self._lock:
            self._guests.discard(client)
            self._pairs.add(pair)
            if self._is_silent:
                for s in pair.sockets:
                    _deafen(s)
        for a, b in (pair.sockets, pair.sockets[::-1]):
            threading.Thread(target=self._relay, args=(pair, a, b), daemon=True).start()

    def _relay(self, pair, a, b):
        with contextlib.suppress(OSError, ValueError):
            while True:
                # Silence must hold for what arrives during it, so look before reading, not after.
                select.select([a], [], [])
                self._open.wait()
                data = a.recv(262144)
                if not data:
                    break
                if self.delay_s:
                    time.sleep(self.delay_s)
                self._open.wait()
                b.sendall(data)
        pair.shut()
        with self._lock:
            pair.threads -= 1
            if pair.threads > 0:
                return
            self._pairs.discard(pair)
        for s in pair.sockets:
            s.close()


# ------------------------------------------------------------------ writers


class Crew:
    """Threads that write until told to stop. A worker is a function work(connection, rng, number)
    that is called again and again; psycopg2 errors named in `allowed` (SQLSTATEs) are rolled back
    and counted, any other one is kept and raised by stop(). With `stubborn`, a lost connection is
    counted too, and made again: for tests that stop the server."""

    def __init__(self, server, work, count=1, user=None, seed=1, allowed=("40001", "40P01"), stubborn=False,
                 pause_s=0.0):
        self.server, self.work, self.user, self.allowed = server, work, user, allowed
        self.stubborn, self.pause_s = stubborn, pause_s
        self.done = 0
        self.errors = 0
        self.trouble = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(i, random.Random(f"{seed}/{i}")), daemon=True)
                         for i in range(count)]
        for t in self._threads:
            t.start()

    def _run(self, number, rng):
        c = None
        try:
            while not self._stop.is_set():
                try:
                    if c is None:
                        c = self.server.connect(self.user)
                        c.raw.autocommit = False
                    self.work(c, rng, number)
                    c.raw.commit()
                    with self._lock:
                        self.done += 1
                except psycopg2.Error as e:
                    c = self._recover(c, e)
                if self.pause_s:
                    time.sleep(self.pause_s)
        except BaseException as e:  # handed to the test by stop()
            self.trouble = self.trouble or e
        if c is not None:
            c.close()

    def _recover(self, c, e):
        """After an error: the connection to go on with, or None to make a new one."""
        with self._lock:
            self.errors += 1
        if c is not None and not c.raw.closed and e.pgcode in self.allowed:
            with contextlib.suppress(psycopg2.OperationalError):
                c.raw.rollback()
                return c
        lost = c is None or c.raw.closed or e.pgcode in ("57P01", "57P02", "57P03")
        if not (self.stubborn and lost):
            raise e
        if c is not None:
            c.close()
        self._stop.wait(0.1)
        return None

    def stop(self):
        """Ends the writers; returns how many transactions they committed."""
        self._stop.set()
        for t in self._threads:
            t.join(60)
        if self.trouble is not None:
            raise self.trouble
        return self.done

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self._stop.set()


class Writers:
    """Threads of a subclass's own making, which write from the beginning of a `with` to its end: each is a call of self.write(*args) that
    returns soon after self.stop is set. For what a Crew cannot say: writers at several servers, and ones that know what they did."""

    def __init__(self, each):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=args, daemon=True) for args in each]

    def write(self, *args):
        raise NotImplementedError

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()


def pgbench(server, *args, user=None, wait=True):
    """Runs pgbench against database app; returns its output, or the process when not waiting."""
    argv = [server.version.bin + "/pgbench" if not server.version.root else "pgbench",
            "-h", "127.0.0.1", "-p", str(server.port), "-U", user or server.owner, *args, "app"]
    if not wait:
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    r = subprocess.run(argv, capture_output=True, text=True)
    assert r.returncode == 0, f"pgbench failed: {r.stdout}{r.stderr}"
    return r.stdout


def main():
    """`python3 rig.py sweep`: removes what killed test processes left behind."""
    if sys.argv[1:] == ["sweep"]:
        _remove_stale(os.environ.get("TMPDIR") or "/tmp")


if __name__ == "__main__":
    main()
