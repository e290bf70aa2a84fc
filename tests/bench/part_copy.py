"""Lines 1 and 2: the initial copy of everything, and of one large table. And floor, peers, Rebeco in turn."""

import os

import floor
import peers
import rig
from scene import Failed, Memory, Others, Scene, check_arrived, digest, family, large_table, rebeco, stopwatch


def children():
    me = os.getpid()
    return [p for p in family([me]) if p != me]


def rebeco_copies(scene, streams=None, **more):
    r = rebeco(scene, copy={"streams": streams} if streams else None, **more)
    figures = {}
    with stopwatch(figures):
        r.start("--until", "in-sync")
        with Memory(lambda: [r.process.pid] if r.process else []) as memory:
            code = r.wait_exit(1800)
    if code != 0:
        raise Failed(f"ended with {code}: {r.log_tail(5)}")
    r.drop()
    return {**figures, "rss_mb": memory.peak}


def _timed(work, pids):
    figures = {}
    with Memory(pids) as memory, stopwatch(figures):
        work()
    return {**figures, "rss_mb": memory.peak}


def _floor(form="binary", index=True):
    def go(scene):
        scene.empty_target(["pre-data"] if index else ["pre-data", "post-data"])
        base = set(children())
        return lambda: _timed(lambda: floor.copy(scene, form, index=index), lambda: [p for p in children() if p not in base])
    return go


def _rebeco(streams=None):
    def go(scene):
        scene.empty_target()
        return lambda: rebeco_copies(scene, streams)
    return go


def _tool(work):
    def go(scene):
        scene.empty_target()
        base = set(children())
        return lambda: _timed(lambda: work(scene), lambda: [p for p in children() if p not in base])
    return go


def _logical(scene):
    scene.empty_target(["pre-data", "post-data"])
    peer = peers.Logical(scene)

    def work():
        peer.on(copy=True)
        rig.eventually("all tables are copied", peer.is_ready, 1800, 0.1)

    def timed():
        try:
            return _timed(work, lambda: [])
        finally:
            peer.off()
    return timed


def _bucardo(scene):
    scene.empty_target(["pre-data", "post-data"])
    peer = peers.Bucardo(scene)

    def work():
        peer.start()
        rig.eventually("the first copy is done", peer.first_copy_is_done, 1800, 0.1)

    def timed():
        try:
            return _timed(work, peer.processes)
        finally:
            peer.remove()
    try:
        peer.install(copy=True)
    except BaseException:
        peer.remove()
        raise
    return timed


def _slony(scene):
    scene.empty_target(["pre-data", "post-data"])
    peer = peers.Slony(scene)

    def work():
        peer.subscribe()
        rig.eventually("the set is copied", peer.is_subscribed, 1800, 0.1)

    def timed():
        try:
            return _timed(work, peer.processes)
        finally:
            peer.remove()
    try:
        peer.install()
        peer.start()
        rig.eventually("slon has listened", lambda: scene.target.value("SELECT 1 FROM _bench.sl_set", user="postgres"), 30)
    except BaseException:
        peer.remove()
        raise
    return timed


WHO = {
    "floor": _floor(),
    "rebeco": _rebeco(),
    "rebeco (2 streams)": _rebeco(2),
    "pgcopydb": _tool(peers.pgcopydb),
    "pg_dump and pg_restore": _tool(peers.dump_and_restore),
    "logical replication": _logical,
    "slony": _slony,
    "bucardo": _bucardo,
    "floor (text)": _floor("text"),
    "floor (indexes in place)": _floor(index=False),
}


def copy(report):
    """A round: each in turn into an empty target, with checksums after each."""
    with Scene() as scene:
        for n in report.rounds():
            for who in report.in_turn(WHO, n):
                with report.attempt("copy", who, n):
                    timed = WHO[who](scene)
                    scene.checkpoint()
                    others = Others()
                    figures = timed()
                    check_arrived(scene, source=scene.loaded)
                    report.add("copy", who, n, others=others.share(), **figures)
                if who.startswith("rebeco"):
                    scene.source.run("SET client_min_messages = warning; DROP SCHEMA IF EXISTS rebeco CASCADE")


def split(report):
    """One table of 3 GB (at SCALE 50), alone, with one stream and with two."""
    with Scene(data=False) as scene:
        large_table(scene.source, 3)
        loaded = digest(scene.source, tables=["large"])
        for n in report.rounds():
            for who, streams in report.in_turn({"1 stream": 1, "2 streams": 2, "4 streams": 4}, n, items=True):
                with report.attempt("split", who, n):
                    scene.empty_target()
                    scene.checkpoint()
                    others = Others()
                    figures = rebeco_copies(scene, streams)
                    check_arrived(scene, tables=["large"], source=loaded)
                    report.add("split", who, n, others=others.share(), gb=scene.source.value("SELECT pg_table_size('large') / 1e9::float8"), **figures)
                scene.source.run("SET client_min_messages = warning; DROP SCHEMA IF EXISTS rebeco CASCADE")
