"""Line 14: both ends take writes."""

import os
import threading
import time

from part_source import Captures
from scene import SECONDS, WIDE, Scene, check_arrived, percentile, program, rebeco, run, tpcb, watch_beats

RATE = 150  # transactions a second at each end
LOAD = f"""\\set id random(1, {WIDE})
UPDATE wide SET amount = amount + 1 WHERE id = :id;
"""
BEATS = "".join(f"CREATE TABLE {t} (id bigint PRIMARY KEY, at timestamptz NOT NULL); INSERT INTO {t} VALUES (0, now());" for t in ("east", "west"))


def two_way(scene):
    scene.source.psql(BEATS)
    r = rebeco(scene, mode="two-way", conflict={"default": "latest"})
    r.start()
    r.wait("both directions run", lambda: (r.status() or {}).get("in_sync"), 900)
    return r


def _load(server, seconds, folder):
    path = os.path.join(folder, f"{server.name}.pgbench")
    with open(path, "w") as f:
        f.write(LOAD)
    run(program(server, "pgbench"), "-n", "-c", 8, "-T", max(1, round(seconds)), "-R", RATE, "-f", path, server.url())


def _beat(server, table, count, every):
    server.run(f"DO $$ BEGIN FOR i IN 1..{count} LOOP INSERT INTO {table} VALUES (i, clock_timestamp()); COMMIT; PERFORM pg_sleep({every}); END LOOP; END $$",
               user="postgres")


def measure(scene, folder, seconds, every=0.1):
    ways = (("there", scene.source, scene.target, "east"), ("back", scene.target, scene.source, "west"))
    seen, count = {way: {} for way, *_ in ways}, int(seconds / every)
    jobs = [threading.Thread(target=watch_beats, args=(to, table, 0, count, seen[way], seconds + 5)) for way, _, to, table in ways]
    jobs += [threading.Thread(target=_load, args=(here, seconds + 2, folder)) for _, here, _, _ in ways]
    for job in jobs:
        job.start()
    time.sleep(1)
    beats = [threading.Thread(target=_beat, args=(here, table, count, every)) for _, here, _, table in ways]
    for job in beats:
        job.start()
    for job in jobs + beats:
        job.join()
    out = {}
    for way, here, _, table in ways:
        sent = here.run(f"SELECT id, extract(epoch FROM at)::float8 FROM {table} WHERE id > 0")
        found = [1000 * (seen[way][i] - at) if i in seen[way] else 1000.0 * seconds for i, at in sent]
        out.update({f"p50_ms_{way}": percentile(found, 50), f"p99_ms_{way}": percentile(found, 99)})
    return out


def lag(report):
    """Single updates all over a large table at both ends, and a heartbeat in each direction."""
    for n in report.rounds():
        with Scene() as scene, report.attempt("two_way", "rebeco", n):
            r = two_way(scene)
            time.sleep(2)
            report.add("two_way", "rebeco", n, **measure(scene, r.home, SECONDS), rss_mb=r.peak_rss() / 1e6)
            r.wait_in_sync(120)
            check_arrived(scene)
            r.terminate(60)
            r.drop()


def capture(report):
    """TPC-B at the source with what both directions capture, nobody reading it; and with the least that a trigger can log."""
    with Scene() as scene:
        captures = Captures(scene, report)
        captures.install(two_way(scene), tools=())
        scene.checkpoint()
        tpcb(scene.source, seconds=min(SECONDS, 5))
        for n in report.rounds():
            for who in report.in_turn(("none", "one INSERT a row", "rebeco"), n):
                captures.tpcb("two_way_capture", who, n, 8)
