"""Lines 3, 4 and 5: what the source's application pays."""

import contextlib
import time

import floor
import peers
import rig
from scene import BIG, BULK, SECONDS, Others, Scene, beat, check_arrived, rebeco, settle, tpcb, wait_beat

EMPTY = """CREATE SCHEMA empty; CREATE FUNCTION empty.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
""" + "".join(f"CREATE TRIGGER empty_row AFTER INSERT OR UPDATE OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION empty.nothing();\n" for t in BIG)

# The least that a trigger can do which logs a key: nothing is asked, nobody's rights are taken, nothing is looked after.
ONE_INSERT = "CREATE SCHEMA least;\n" + "".join(f"""CREATE TABLE least.log_{t} (k {"int" if t.startswith("pgbench_") and k != "hid" else "bigint"}, xid bigint NOT NULL);
CREATE FUNCTION least.log_{t}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO least.log_{t} VALUES (NEW.{k}, txid_current()); RETURN NULL; END $$;
CREATE TRIGGER least_row AFTER INSERT OR UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION least.log_{t}();
""" for t, k in BIG.items())

LOGICAL_SLOT = "SELECT pg_create_logical_replication_slot('bench_idle', 'pgoutput')"


class Captures:
    """All captures on one source, one of them on at a time."""

    def __init__(self, scene, report):
        self.scene, self.report = scene, report
        self.tools = {}

    def install(self, r=None, tools=("bucardo", "slony")):
        """`r`: a daemon in sync, whose capture it is to be; one that moves everything one way."""
        s = self.scene
        if r is None:
            r = rebeco(s)
            settle(r)
        r.terminate(60)
        r.drop()
        self.on_off("rebeco_", False)
        s.source.psql(EMPTY + ONE_INSERT)
        self.on_off("empty_", False)
        self.on_off("least_", False)
        for name, make in (("bucardo", peers.Bucardo), ("slony", peers.Slony)):
            if name not in tools or not self.report.wanted(name):
                continue
            tool = make(s)
            with self.report.attempt(None, name, 1):
                tool.install()
                tool.triggers(False)
                self.tools[name] = tool

    def on_off(self, prefix, on):
        peers.set_triggers(self.scene.source, prefix, on, "ENABLE ALWAYS" if prefix == "rebeco_" else "ENABLE")

    def turn(self, who, on):
        if who == "none":
            return
        if who == "logical replication, idle slot":
            self.scene.source.run(LOGICAL_SLOT if on else "SELECT pg_drop_replication_slot('bench_idle')", user="postgres")
        elif who in ("bucardo", "slony"):
            self.tools[who].triggers(on)
            if not on:
                self.tools[who].forget()
        else:
            prefix = {"rebeco": "rebeco_", "empty row trigger": "empty_", "one INSERT a row": "least_"}[who]
            self.on_off(prefix, on)
            if not on:
                for (t,) in self.scene.source.run("SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = to_regnamespace(%s) "
                                                  r"AND c.relkind = 'r' AND c.relname ~ '^log_'", prefix.rstrip("_"), user="postgres"):
                    self.scene.source.run(f"TRUNCATE {t}", user="postgres")

    @contextlib.contextmanager
    def only(self, part, who, n):
        """One attempt with nothing but this capture on. False when it could not be installed."""
        if who in ("slony", "bucardo") and who not in self.tools:
            yield False
            return
        with self.report.attempt(part, who, n):
            self.turn(who, True)
            try:
                yield True
            finally:
                self.turn(who, False)

    def tpcb(self, part, who, n, clients):
        """TPC-B with this capture, nobody reading it."""
        with self.only(part, who, n) as is_on:
            if is_on:
                tidy(self.scene)
                others = Others()
                tps = tpcb(self.scene.source, clients, SECONDS)
                self.report.add(part, who, n, others=others.share(), **{f"tps_{clients}": tps})

    def remove(self):
        for tool in self.tools.values():
            tool.remove()


WHO = ("none", "empty row trigger", "one INSERT a row", "rebeco", "slony", "bucardo", "logical replication, idle slot")


def tidy(scene):
    with scene.source.admin() as c:
        c.run("VACUUM pgbench_tellers")
        c.run("VACUUM pgbench_branches")
        c.run("CHECKPOINT")


def overhead(report):
    """TPC-B with each capture, nobody reading it."""
    with Scene() as scene:
        captures = Captures(scene, report)
        captures.install()
        tpcb(scene.source, seconds=min(SECONDS, 5))
        for n in report.rounds():
            for clients in (8, 32):
                for who in report.in_turn(WHO, n):
                    captures.tpcb("overhead", who, n, clients)
        captures.remove()


def bulk(report):
    """Single statements of many rows."""
    with Scene() as scene:
        captures = Captures(scene, report)
        captures.install()
        for n in report.rounds():
            for who in report.in_turn(WHO[:-1], n):
                with captures.only("bulk", who, n) as is_on:
                    if is_on:
                        report.add("bulk", who, n, **_bulk(scene))
                with scene.source.admin() as c:
                    c.run("DELETE FROM wide WHERE id > 10000000")
                    c.run("VACUUM wide")
        captures.remove()


def _bulk(scene):
    out = {}
    for name, sql in (("update_us", f"UPDATE wide SET amount = amount + 1 WHERE id <= {BULK}"),
                      ("insert_us", f"INSERT INTO wide SELECT id + 10000000, u, at, amount, doc, t, b FROM wide WHERE id <= {BULK}")):
        with scene.source.connect() as c:
            c.run("SELECT 1 FROM wide WHERE id = 1")
            with scene.source.admin() as a:
                a.run("CHECKPOINT")
            start = time.monotonic()
            c.run(sql)
            out[name] = 1e6 * (time.monotonic() - start) / BULK
    return out


# ------------------------------------------------------------------ live


class _Rebeco:
    def __init__(self, scene):
        self.scene, self.r = scene, rebeco(scene)
        scene.empty_target()
        settle(self.r)

    def end(self):
        self.r.terminate(60)
        self.r.drop()
        self.scene.source.run("SET client_min_messages = warning; DROP SCHEMA IF EXISTS rebeco CASCADE")


class _Logical:
    def __init__(self, scene):
        _filled(scene)
        self.peer = peers.Logical(scene)
        self.peer.on()

    def end(self):
        self.peer.off()


class _Bucardo:
    def __init__(self, scene):
        _filled(scene)
        self.peer = peers.Bucardo(scene)
        try:
            self.peer.install()
            self.peer.start()
        except BaseException:
            self.peer.remove()
            raise

    def end(self):
        self.peer.remove()


class _Slony:
    def __init__(self, scene, sync_ms=100):
        scene.empty_target(["pre-data", "post-data"])
        self.peer = peers.Slony(scene)
        try:
            self.peer.install()
            self.peer.start(sync_ms)
            rig.eventually("slon has listened", lambda: scene.target.value("SELECT 1 FROM _bench.sl_set", user="postgres"), 30)
            self.peer.subscribe()
            rig.eventually("the set is copied", self.peer.is_subscribed, 600, 0.2)
        except BaseException:
            self.peer.remove()
            raise

    def end(self):
        self.peer.remove()


def _filled(scene):
    scene.empty_target(["pre-data"])
    floor.copy(scene)
    scene.target.run("ANALYZE", user="postgres")


LIVE = {"rebeco": _Rebeco, "logical replication": _Logical, "bucardo": _Bucardo, "slony": _Slony}


def live(report):
    """TPC-B with a replica that keeps up; the row written last must be there soon."""
    with Scene() as scene:
        tpcb(scene.source, seconds=min(SECONDS, 5))
        for n in report.rounds():
            for who in report.in_turn(("none", "rebeco", "logical replication", "bucardo"), n):
                with report.attempt("live", who, n):
                    tool = LIVE[who](scene) if who != "none" else None
                    try:
                        if tool:
                            wait_beat(scene.target, beat(scene.source), 120)
                        tidy(scene)
                        others = Others(getattr(getattr(tool, "peer", None), "processes", list))
                        figures = {f"tps_{c}": tpcb(scene.source, c, SECONDS) for c in (8, 32)}
                        share = others.share()
                        if tool:
                            start = time.monotonic()
                            wait_beat(scene.target, beat(scene.source), 300)
                            figures["behind_s"] = time.monotonic() - start
                            check_arrived(scene)
                        report.add("live", who, n, others=share, **figures)
                    finally:
                        if tool:
                            tool.end()
