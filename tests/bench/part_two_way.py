"""Line 14: both ends take writes."""

import os
import threading
import time

import peers
from scene import SECONDS, WIDE, Scene, check_arrived, percentile, program, rebeco, run, tpcb

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


def _watch(server, table, out, seconds):
    """Notes when each heartbeat is seen; looks every 2 ms."""
    with server.admin() as c:
        c.run("CREATE TEMP TABLE seen (id bigint, at timestamptz)")
        c.run(f"""DO $$ DECLARE last bigint := 0; now_last bigint; e timestamptz := clock_timestamp() + interval '{seconds} s'; BEGIN
            WHILE clock_timestamp() < e LOOP
                SELECT max(id) INTO now_last FROM {table};
                IF now_last > last THEN INSERT INTO pg_temp.seen SELECT g, clock_timestamp() FROM generate_series(last + 1, now_last) g; last := now_last; END IF;
                COMMIT; PERFORM pg_sleep(0.002);
            END LOOP; END $$""")
        out.update(c.run("SELECT id, extract(epoch FROM at)::float8 FROM seen"))


def _beat(server, table, count, every):
    server.run(f"DO $$ BEGIN FOR i IN 1..{count} LOOP INSERT INTO {table} VALUES (i, clock_timestamp()); COMMIT; PERFORM pg_sleep({every}); END LOOP; END $$",
               user="postgres")


def measure(scene, folder, seconds, every=0.1):
    ways = (("there", scene.source, scene.target, "east"), ("back", scene.target, scene.source, "west"))
    seen = {way: {} for way, *_ in ways}
    jobs = [threading.Thread(target=_watch, args=(to, table, seen[way], seconds + 5)) for way, _, to, table in ways]
    jobs += [threading.Thread(target=_load, args=(here, seconds + 2, folder)) for _, here, _, _ in ways]
    for job in jobs:
        job.start()
    time.sleep(1)
    beats = [threading.Thread(target=_beat, args=(here, table, int(seconds / every), every)) for _, here, _, table in ways]
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
    """TPC-B at the source with what both directions capture, nobody reading it."""
    with Scene() as scene:
        r = two_way(scene)
        r.terminate(60)
        r.drop()
        for n in report.rounds():
            for who in report.in_turn(("none", "rebeco"), n):
                with report.attempt("two_way_capture", who, n):
                    peers.set_triggers(scene.source, "rebeco_", who == "rebeco", "ENABLE ALWAYS")
                    scene.checkpoint()
                    report.add("two_way_capture", who, n, tps_8=tpcb(scene.source, 8, SECONDS))
