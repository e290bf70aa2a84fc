#!/usr/bin/python3
"""What a catch-up costs, for builds of Rebeco side by side: CPU seconds of the session that reads, of the one that writes
and of the daemon, and WAL at the target. CPU time in turn holds still on a busy machine, where seconds do not.

  tests/bench/catchup_cpu.py BINARY...       ROUNDS=3 SCALE=5
"""

import os
import statistics
import sys
import time

from part_follow import backlog  # before rig: it knows where that is
import rig
from scene import ROUNDS, Scene, check_arrived, cpu_of, rebeco, sessions, settle, wait_beat


def one(scene, binary):
    number = backlog(scene)
    rig.RELEASE = binary
    r = rebeco(scene)
    wal = scene.target.value("SELECT pg_current_wal_lsn()::text", user="postgres")
    start = time.monotonic()
    r.start()
    wait_beat(scene.target, number, 300)
    seconds = time.monotonic() - start
    found = [cpu_of(sessions(server, "application_name = 'rebeco'")) for server in (scene.source, scene.target)]
    wal = float(scene.target.value("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %s)", wal, user="postgres")) / 1e6
    found += [cpu_of([r.process.pid]), wal, seconds]
    r.wait_in_sync(60)
    time.sleep(1.5)
    check_arrived(scene)
    r.terminate(60)
    r.drop()
    return found


def main():
    found = {b: [] for b in sys.argv[1:] or [rig.RELEASE]}
    with Scene() as scene:
        rig.RELEASE = next(iter(found))
        r = rebeco(scene)
        settle(r)
        r.terminate(60)
        r.drop()
        one(scene, next(iter(found)))
        for _ in range(ROUNDS):
            for b in found:
                found[b].append(one(scene, b))
    print("| | reader | writer | daemon | WAL MB | seconds |\n|---|---|---|---|---|---|")
    for b, rows in found.items():
        print(f"| {os.path.basename(b)} | " + " | ".join(f"{statistics.median(x):.2f}" for x in zip(*rows)) + " |")


if __name__ == "__main__":
    main()
