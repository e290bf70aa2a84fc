#!/usr/bin/python3
"""The benchmark: Rebeco, its peers and floors, in turn, on the same data. `make bench` calls it.

  PARTS=copy,split,...   which measurements, default all
  ROUNDS=3               how often; medians count
  SCALE=50               size of the data; 50 is what the bars were set for
  ONLY=rebeco,floor      only these of those that are compared, by the names that the table has
  SECONDS_EACH=20        how long each load with pgbench lasts
  REBECO_RELEASE=file    the program under test, default build/rebeco

Writes build/bench/bench.txt, bench.json and charts, anew after each figure: what was measured is there when the
rest is interrupted. Says at the end how long each part took. The exit code is 1 when something could not be
measured, and 130 when it was interrupted; a missed bar is a figure, not an error."""

import os
import signal
import sys
import time

import part_copy
import part_follow
import part_size
import part_source
import part_two_way
from report import Report
from scene import OUT, say

PARTS = {
    "copy": part_copy.copy, "split": part_copy.split, "overhead": part_source.overhead, "live": part_source.live,
    "bulk": part_source.bulk, "catchup": part_follow.catchup, "delay": part_follow.delay, "hot": part_follow.hot_rows,
    "lag": part_follow.lag, "consumed": part_follow.consumed, "oldtx": part_follow.oldtx, "two_way": part_two_way.lag, "two_way_capture": part_two_way.capture,
    "growth": part_size.growth, "binary": part_size.binary,
}


def main():
    names = (os.environ.get("PARTS") or ",".join(PARTS)).split(",")
    unknown = [n for n in names if n not in PARTS]
    if unknown:
        sys.exit(f"bench: there is no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    report = Report()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for name in names:
            say(f"== {name}")
            start = time.monotonic()
            try:
                with report.attempt(name, "the part itself", 0):
                    PARTS[name](report)
            finally:
                report.took[name] = time.monotonic() - start
                report.write()
    except KeyboardInterrupt:
        report.failures.setdefault(name, {})["the part itself"] = "interrupted"
        report.write()
    print(report.text())
    print(f"\nalso in {OUT}: bench.txt, bench.json, charts")
    sys.exit(130 if "interrupted" in report.failures.get(name, {}).values() else 1 if report.failures else 0)


if __name__ == "__main__":
    main()
