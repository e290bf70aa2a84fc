"""Lines 12 and 13: growth with the number of tables and with the size, the binary, and how long a start takes."""

import contextlib
import datetime
import os
import re
import threading
import time

import floor
import rig
from part_copy import rebeco_copies
from scene import OUT, Scene, check_arrived, cpu_of, digest, large_table, rebeco, run, sessions, settle, stopwatch


def small_tables(server, count):
    server.psql("".join(f"CREATE TABLE t{i} (id int PRIMARY KEY, v text); INSERT INTO t{i} VALUES (1, 'x');" for i in range(count)))


def growth(report):
    """Set up once for each size; a round is a look at the idle daemon, or a copy."""
    for count in (10, 100, 1000):
        who = f"{count} tables"
        with Scene(data=False, max_locks_per_transaction="1000") as scene, report.attempt("growth", who, 1):
            small_tables(scene.source, count)
            r = rebeco(scene)
            settle(r)
            for n in report.rounds():
                _come_to_rest(scene)
                idle = _cpu(scene, r)
                few = {}
                for per_s in (1, 20, 170):
                    with _one_row_is_written(scene.source, per_s):
                        few[f"source_cpu_at_{per_s}"] = _cpu(scene, r)["source_cpu"]
                report.add("growth", who, n, idle_cpu_percent=sum(idle.values()), **idle, **few, rss_mb=r.peak_rss() / 1e6)
                r.wait_in_sync(60)
                check_arrived(scene, tables=["t1", "t9"])
            r.terminate(60)
            r.drop()
    for gb in (0.5, 2, 8):
        who = f"{gb:g} GB"
        with Scene(data=False) as scene:
            large_table(scene.source, gb)
            loaded = digest(scene.source, tables=["large"])
            size = scene.source.value("SELECT pg_table_size('large') / 1e9::float8")
            for n in report.rounds():
                with report.attempt("growth", who, n):
                    scene.empty_target()
                    scene.checkpoint()
                    figures = rebeco_copies(scene)
                    check_arrived(scene, tables=["large"], source=loaded)
                    report.add("growth", who, n, seconds_per_gb=figures["seconds"] / size, **figures)
                with report.attempt("growth", f"{who}, floor", n):
                    scene.empty_target(["pre-data"])
                    scene.checkpoint()
                    figures = {}
                    with stopwatch(figures):
                        floor.copy_halves(scene, "large", "id")
                    check_arrived(scene, tables=["large"], source=loaded)
                    report.add("growth", f"{who}, floor", n, seconds_per_gb=figures["seconds"] / size, **figures)
                scene.source.run("SET client_min_messages = warning; DROP SCHEMA IF EXISTS rebeco CASCADE")


def _come_to_rest(scene, limit=180):
    """After the copy the target's tables are analyzed, in a session of its own: five looks in a row find nothing at work. And at the source
    autovacuum comes for the new catalogs, to one database after the other: nothing is committed there for longer than it takes to get round."""
    quiet, last, since, end = 0, None, 0, time.monotonic() + limit
    while (quiet < 5 or time.monotonic() - since < 25) and time.monotonic() < end:
        time.sleep(1)
        quiet = 0 if sessions(scene.target, "application_name LIKE 'rebeco%' AND state <> 'idle'") else quiet + 1
        now = scene.source.value("SELECT txid_current_snapshot()::text")
        if now != last:
            last, since = now, time.monotonic()


@contextlib.contextmanager
def _one_row_is_written(server, per_s):
    """An application of many tables that writes to one of them, in transactions of one statement."""
    end = threading.Event()

    def write():
        with server.connect() as c:
            while not end.wait(1 / per_s):
                c.run("UPDATE t1 SET v = clock_timestamp()::text")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        time.sleep(2)
        yield
    finally:
        end.set()
        writer.join()


def _cpu(scene, r, seconds=10):
    """Of the daemon and of its sessions, in percent of one processor."""
    before = {}
    for name, pids in (("daemon_cpu", [r.process.pid]), ("source_cpu", sessions(scene.source, "application_name LIKE 'rebeco%'")),
                       ("target_cpu", sessions(scene.target, "application_name LIKE 'rebeco%'"))):
        before[name] = pids, cpu_of(pids)
    time.sleep(seconds)
    return {name: 100 * (cpu_of(pids) - then) / seconds for name, (pids, then) in before.items()}


def binary(report):
    os.makedirs(OUT, exist_ok=True)
    stripped = os.path.join(OUT, "rebeco.stripped")
    run("strip", "-o", stripped, rig.RELEASE)
    for n in report.rounds():
        with Scene(data=False, log_statement="all") as scene, report.attempt("binary", "rebeco", n):
            small_tables(scene.source, 100)
            r = rebeco(scene)
            settle(r)
            r.terminate(60)
            lines = len(_listens(scene.source))
            start = time.time()
            r.start()
            found = rig.eventually("it listens", lambda: _listens(scene.source)[lines:], 60, 0.05)
            r.wait_in_sync(60)
            in_sync = time.time() - start
            check_arrived(scene, tables=["t1", "t99"])
            report.add("binary", "rebeco", n, mb=os.path.getsize(stripped) / 1e6, listen_s=found[0] - start, in_sync_s=in_sync)
            r.terminate(60)
            r.drop()


def _listens(server):
    with open(server.log_path, errors="replace") as f:
        return [datetime.datetime.strptime(m[1] + " +0000", "%Y-%m-%d %H:%M:%S.%f %z").timestamp()
                for m in re.finditer(r"(?m)^(\S+ \S+) UTC .* LISTEN rebeco_wake", f.read())]
