"""Lines 6 to 11: a backlog, the same at a distance, hot rows, lag, a log that is consumed for ever, and an
old transaction at the source."""

import os
import statistics
import subprocess
import sys
import threading
import time

import floor
import peers
import rig
from part_source import LIVE, tidy
from scene import (BULK, HERE, SCALE, SECONDS, SMALL, TRANSACTIONS, Late, Others, Scene, beat, check_arrived, cpu_of, digest, percentile, rebeco,
                   sessions, settle, stopwatch, tpcb, wait_beat, watch_beats)

# ------------------------------------------------------------------ backlogs


def backlog(scene):
    """TPC-B and one large update, then a row that arrives last; returns its number."""
    with scene.source.admin("postgres") as c:
        c.run("ALTER DATABASE app SET synchronous_commit = off")
    tpcb(scene.source, transactions=TRANSACTIONS)
    with scene.source.admin("postgres") as c:
        c.run("ALTER DATABASE app RESET synchronous_commit")
    scene.source.run(f"UPDATE wide SET amount = amount + 1 WHERE id <= {BULK}")
    return beat(scene.source)


def hot(scene):
    """Many updates of few rows."""
    scene.source.run(f"DO $$ BEGIN FOR i IN 1..{max(1, int(SCALE * 20))} LOOP UPDATE s01 SET k = k + 1; COMMIT; END LOOP; END $$")
    return beat(scene.source)


def _catch_up(scene, report, part, who, n, number, start, database="app", measure="seconds", ours=list, source=None, limit=None):
    """From the start of a reader until the last row is there. `limit`: after so long it is cut off, and counts as that;
    `source`: its digest."""
    scene.checkpoint()
    others, figures = Others(ours), {}
    try:
        with stopwatch(figures, measure):
            start()
            wait_beat(scene.target, number, limit or 600, database)
    except Late as e:
        if not limit:
            raise
        report.cut_off.setdefault(part, {})[f"{who}, {measure}"] = str(e)
        report.add(part, who, n, others=others.share(), **{measure: limit})
        return
    share = others.share()
    check_arrived(scene, database, source=source)
    report.add(part, who, n, others=share, **figures)


def _floors(scene, report, part, n, source, measure):
    """Each floor on a copy of the target as it was before the catch-up; the best one counts."""
    best = None
    for way in [w for w in floor.WAYS if report.wanted(f"floor ({w})")] or floor.WAYS:
        with report.attempt(part, f"floor ({way})", n):
            with scene.target.admin("postgres") as c:
                c.run("CREATE DATABASE floor TEMPLATE app STRATEGY file_copy")
            try:
                scene.checkpoint()
                figures = {}
                with stopwatch(figures, measure):
                    floor.apply(scene, way, "floor")
                check_arrived(scene, "floor", source=source)
                report.add(part, f"floor ({way})", n, **figures)
                best = min(best or 1e9, figures[measure])
            finally:
                with scene.target.admin("postgres") as c:
                    c.run("DROP DATABASE floor WITH (FORCE)")
    if best:
        report.add(part, "floor", n, **{measure: best})


class _Group:
    """Rebeco and the peers, each with a database of its own at the target, all behind by the same backlog."""

    def __init__(self, scene, report, part, with_bucardo=True):
        self.scene, self.report, self.part = scene, report, part
        scene.empty_target()
        self.r = rebeco(scene)
        settle(self.r)
        self.r.terminate(60)
        self.logical, self.bucardo = peers.Logical(scene, "logical"), peers.Bucardo(scene, "bucardo_copy")
        used = [name for name, who in (("logical", "logical replication"), ("bucardo_copy", "bucardo")) if report.wanted(who)]
        with scene.target.admin("postgres") as c:
            for name in used:
                c.run(f"CREATE DATABASE {name} TEMPLATE app STRATEGY file_copy")
        for name in used:
            scene.target.run("DROP SCHEMA rebeco CASCADE", user="postgres", database=name)
        self.has = {}
        if report.wanted("logical replication"):
            with report.attempt(part, "logical replication", 1):
                self.logical.on()
                self.has["logical"] = True
        if with_bucardo and report.wanted("bucardo"):
            with report.attempt(part, "bucardo", 1):
                self.bucardo.install()
                self.bucardo.start()
                number = beat(scene.source)
                wait_beat(scene.target, number, 120, "bucardo_copy")
                self.bucardo.stop()
                self.has["bucardo"] = True
        if self.has.get("logical"):
            self.logical.stop()
            number = beat(scene.source)
            self.logical.start()
            wait_beat(scene.target, number, 120, "logical")
            self.logical.stop()
        self._rebeco_in_step()

    def _rebeco_in_step(self):
        self.r.start()
        self.r.wait_in_sync(120)
        time.sleep(1.5)  # its logs are emptied
        self.r.terminate(60)

    def round(self, n, make, measure="seconds", floors=True, cut_off=None):
        """`cut_off`: how many times as long as Rebeco logical replication may take."""
        scene, report, part = self.scene, self.report, self.part
        number = make(scene)
        source = digest(scene.source)  # it stands still until the next round
        if floors and report.wanted("floor"):
            _floors(scene, report, part, n, source, measure)
        with report.attempt(part, "rebeco", n):
            _catch_up(scene, report, part, "rebeco", n, number, self.r.start, measure=measure, source=source)
        if self.r.is_running():
            self.r.wait_in_sync(600)
            time.sleep(1.5)
            self.r.terminate(60)
        if self.has.get("logical"):
            with report.attempt(part, "logical replication", n):
                _catch_up(scene, report, part, "logical replication", n, number, self.logical.start, "logical", measure, source=source,
                          limit=cut_off and max(30, cut_off * (report.median(part, "rebeco", measure) or 0)))
                self.logical.stop()
        if self.has.get("bucardo"):
            with report.attempt(part, "bucardo", n):
                self.has["bucardo"] = False
                # Its second backlog may take hours: what the planner believes of its log is out of date.
                first = report.median(part, "bucardo", "seconds")
                _catch_up(scene, report, part, "bucardo", n, number, self.bucardo.start, "bucardo_copy", measure, self.bucardo.processes, source,
                          limit=3 * first if first and measure != "seconds" else None)
                self.bucardo.stop()
                self.has["bucardo"] = True

    def end(self):
        self.r.drop()
        if self.report.wanted("bucardo"):
            self.bucardo.remove()
        if self.has.get("logical"):
            self.logical.off()


def catchup(report):
    """The same backlog twice, after a stop."""
    for n in report.rounds():
        with Scene() as scene:
            group = _Group(scene, report, "catchup")
            try:
                group.round(n, backlog, "seconds")
                group.round(n, backlog, "second_seconds")
            finally:
                group.end()


def hot_rows(report):
    """Logical replication takes minutes here: when the bar is reached with room to spare, no more is waited for."""
    for n in report.rounds():
        with Scene() as scene:
            group = _Group(scene, report, "hot", with_bucardo=False)
            try:
                group.round(n, hot, floors=False, cut_off=40)
            finally:
                group.end()


# ------------------------------------------------------------------ distance


class Relay:
    """The server, seen from a distance."""

    def __init__(self, server, round_trip_ms):
        self.server, self.port = server, rig.free_port()
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "relay.py"), str(self.port), str(server.port), str(round_trip_ms / 2)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the relay does not start")

    def url(self, user=None, database="app"):
        return self.server.url(user, database, self.port)

    def admin(self, database="app"):
        return self.server.admin(database)

    def end(self):
        self.process.kill()
        self.process.wait()


def delay(report):
    """The same backlog at 0 ms and at 30 ms to both ends."""
    for n in report.rounds():
        with Scene() as scene:
            r = rebeco(scene)
            settle(r)
            r.terminate(60)
            for ms in (0, 30):
                with report.attempt("delay", f"{ms} ms", n):
                    relays = [Relay(s, ms) for s in (scene.source, scene.target)]
                    far = rebeco(scene, *relays)
                    try:
                        number = backlog(scene)
                        _catch_up(scene, report, "delay", f"{ms} ms", n, number, far.start)
                        far.wait_in_sync(600)
                        time.sleep(1.5)
                        far.terminate(60)
                    finally:
                        far.drop()
                        for relay in relays:
                            relay.end()
            r.drop()


# ------------------------------------------------------------------ lag


def measure_lag(scene, rate, seconds, every=0.05):
    count = int(seconds / every)
    first = scene.source.value("SELECT max(id) FROM beat")
    seen, tps = {}, []
    watch = threading.Thread(target=watch_beats, args=(scene.target, "beat", first, count, seen, seconds + 25 if rate >= 1000 else seconds + 5))
    load = threading.Thread(target=lambda: tps.append(tpcb(scene.source, seconds=seconds + 2, rate=rate)))
    watch.start()
    if rate:
        load.start()
    time.sleep(1)
    scene.source.run(f"DO $$ BEGIN FOR i IN 1..{count} LOOP INSERT INTO beat VALUES ({first} + i, clock_timestamp()); COMMIT; PERFORM pg_sleep({every}); END LOOP; END $$",
                     user="postgres")
    if rate:
        load.join()
    watch.join()
    sent = dict(scene.source.run("SELECT id, extract(epoch FROM at)::float8 FROM beat WHERE id > %s", first))
    found = [1000 * (seen[i] - sent[i]) if i in seen else 1000.0 * seconds for i in sent]
    return {f"p50_ms_{rate}": percentile(found, 50), f"p99_ms_{rate}": percentile(found, 99), f"lost_{rate}": sum(i not in seen for i in sent),
            **({f"tps_{rate}": tps[0]} if tps else {})}


def lag(report):
    for n in report.rounds():
        with Scene() as scene:
            for who in report.in_turn(("rebeco", "logical replication", "slony", "bucardo"), n):
                with report.attempt("lag", who, n):
                    tool = LIVE[who](scene)
                    try:
                        _lag(scene, report, tool, who, n)
                    finally:
                        tool.end()


def _lag(scene, report, tool, who, n):
    wait_beat(scene.target, beat(scene.source), 120)
    tidy(scene)
    time.sleep(2)
    for rate in (0, 200, 1000):
        others = Others(getattr(getattr(tool, "peer", None), "processes", list))
        figures = measure_lag(scene, rate, SECONDS)
        report.add("lag", who, n, others=others.share(), **figures)
    wait_beat(scene.target, beat(scene.source), 120)
    check_arrived(scene)


# ------------------------------------------------------------------ for ever


LOGS = """SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint, coalesce(sum(pg_stat_get_tuples_deleted(c.oid)), 0)::bigint
FROM pg_class c WHERE c.relnamespace = 'rebeco'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^log_[0-9]+_[01]$'"""


def consumed(report):
    """Changes are logged and consumed, over and over: a thousandth of the 100 million a cycle. The trend is the
    last third over the first."""
    for n in report.rounds():
        with Scene() as scene, report.attempt("consumed", "rebeco", n):
            r = rebeco(scene)
            settle(r)
            rows, cycles = min(BULK, 100000) // 4, 40
            times, cpu, size = [], [], []
            readers = sessions(scene.source, "application_name = 'rebeco'")
            for i in range(cycles):
                for part in range(4):
                    scene.source.run(f"UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid BETWEEN {part * rows + 1} AND {(part + 1) * rows}")
                start, before = time.monotonic(), cpu_of(readers)
                wait_beat(scene.target, beat(scene.source), 120)
                times.append(time.monotonic() - start)
                cpu.append(cpu_of(readers) - before)
                size.append(scene.source.run(LOGS, user="postgres")[0][0])
            third = cycles // 3
            trend = lambda v: statistics.median(v[-third:]) / max(statistics.median(v[third // 2:third // 2 + third]), 1e-9)  # noqa: E731
            r.wait_in_sync(120)
            check_arrived(scene)
            report.add("consumed", "rebeco", n, changes=4 * rows * cycles, cpu_trend=trend(cpu), time_trend=trend(times), size_trend=max(size[-third:]) / max(max(size[:2 * third]), 1),
                       size_mb=max(size) / 1e6, deleted=scene.source.run(LOGS, user="postgres")[0][1])
            r.terminate(60)
            r.drop()


def oldtx(report):
    """A transaction with an id of its own stays open under load; CPU of the sessions that read, per second."""
    for n in report.rounds():
        with Scene() as scene, report.attempt("oldtx", "rebeco", n):
            r = rebeco(scene)
            settle(r)
            seconds = max(10, round(SECONDS * 4))
            load = threading.Thread(target=tpcb, args=(scene.source,), kwargs={"seconds": seconds + 4, "rate": 400})
            with scene.source.connect() as old:
                old.run("BEGIN")
                old.run(f"INSERT INTO {list(SMALL)[-1]} VALUES (-1, 0, 'old')")
                load.start()
                time.sleep(3)
                used = []
                step = seconds / 10
                for _ in range(10):
                    pids = sessions(scene.source, "application_name = 'rebeco'")
                    before = cpu_of(pids)
                    time.sleep(step)
                    used.append((cpu_of(pids) - before) / step)
                load.join()
                old.run("COMMIT")
            r.wait_in_sync(120)
            check_arrived(scene)
            report.add("oldtx", "rebeco", n, cpu_trend=statistics.median(used[-3:]) / statistics.median(used[:3]),
                       cpu_last=statistics.median(used[-3:]), age_s=seconds)
            r.terminate(60)
            r.drop()
