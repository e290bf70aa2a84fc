#!/usr/bin/python3
"""What the demo draws: the bars of the copy, the live lag, the figures at the end.

progress.py copy     polls `rebeco status --json` until the target is in sync
progress.py lag      reads what watch.sql measures
progress.py summary  prints what the two have written down

Drawn in place on a terminal, as plain lines now and then otherwise. Standard library only.
"""
import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import time

IS_TERMINAL = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
PLAIN_EVERY_S = 5.0
BAR_WIDTH = 16


def grouped(number):
    return f"{number:,}"


def megabytes(count):
    return f"{count / 1e6:,.1f} MB"


def duration(seconds):
    if seconds is None:
        return ""
    seconds = max(1, int(seconds + 0.5))
    return f"{seconds} s" if seconds < 100 else f"{seconds // 60} min {seconds % 60:02} s"


def percentile(values, percent):
    """The smallest value that at least `percent` percent of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


class Screen:
    """A block of lines that is drawn again in place; without a terminal, once in a while what is new in
    it is printed."""

    def __init__(self):
        self.height = 0
        self.last_plain = 0.0
        self.printed = set()

    def draw(self, lines, final=False):
        now = time.monotonic()
        if not IS_TERMINAL:
            if final or now - self.last_plain >= PLAIN_EVERY_S:
                self.last_plain = now
                print("\n".join(line for line in lines if line not in self.printed), flush=True)
                self.printed.update(lines)
            return
        width = shutil.get_terminal_size().columns - 1
        text = f"\x1b[{self.height}A" if self.height else ""
        text += "".join(f"\x1b[2K{line[:width]}\n" for line in lines)
        extra = self.height - len(lines)
        if extra > 0:
            text += "\x1b[2K\n" * extra + f"\x1b[{extra}A"
        sys.stdout.write(text)
        sys.stdout.flush()
        self.height = len(lines)


def bar(part):
    full = int(max(0.0, min(1.0, part)) * BAR_WIDTH + 0.5)
    return "[" + "#" * full + "." * (BAR_WIDTH - full) + "]"


# ---------------------------------------------------------------- copy

# What the phases of a sync mean, for somebody who sees them for the first time.
PHASES = {
    "starting": "connecting",
    "new": "connecting",
    "schema": "the tables are created at the target",
    "capture": "triggers are put on the source's tables",
    "copy": "the rows are copied",
    "catch-up": "what changed meanwhile is brought over",
    "finish": "indexes, foreign keys and triggers are made at the target",
    "follow": "every change is applied as it comes",
}


class Table:
    """One table as the status shows it, with the rate that we see ourselves."""

    WINDOW_S = 4.0

    def __init__(self, name):
        self.name = name
        self.bytes = self.done = self.rows = 0
        self.state = self.trouble = ""
        self.history = collections.deque()

    def take(self, now, row):
        self.bytes, self.done = row.get("bytes") or 0, row.get("bytes_done") or 0
        self.rows = row.get("rows_done") or 0
        self.state = row.get("state", "copy")
        self.trouble = row.get("what", "") if row.get("paused") else ""
        self.history.append((now, self.done))
        while len(self.history) > 2 and now - self.history[0][0] > self.WINDOW_S:
            self.history.popleft()

    def is_copied(self):
        return self.state != "copy"

    def part(self):
        if self.is_copied():
            return 1.0
        return min(0.99, self.done / self.bytes) if self.bytes else 0.0

    def rate(self):
        (t0, d0), (t1, d1) = self.history[0], self.history[-1]
        return (d1 - d0) / (t1 - t0) if t1 > t0 else 0.0

    def line(self):
        text = f"   {self.name[:20]:20} {bar(self.part())} {self.part() * 100:3.0f} % {grouped(self.rows):>9} rows"
        rate = self.rate()
        if self.trouble:
            return f"{text}  stands still: {self.trouble}"
        if self.is_copied():
            return f"{text}  {megabytes(self.done):>9}"
        if rate <= 0:
            return f"{text}      waits"
        return f"{text}  {rate / 1e6:4.1f} MB/s  {duration((self.bytes - self.done) / rate)}"


def read_status(rebeco):
    """The daemon's own words, or None while it has not said anything yet."""
    try:
        done = subprocess.run([rebeco, "status", "--json"], capture_output=True, text=True,
                              timeout=20, stdin=subprocess.DEVNULL, check=False)
        return json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired):
        return None


def is_alive(pid):
    """A process that has ended, but was not waited for, is not alive."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Copy:
    """The course of the copy, as far as it was seen."""

    PATIENCE_S = 20

    def __init__(self):
        self.screen = Screen()
        self.tables = {}
        self.phase = ""
        self.copy_from = self.copy_to = None
        self.begin = self.well_at = time.monotonic()

    def take(self, doc):
        now = time.monotonic()
        phase = doc["phase"]
        for row in doc.get("tables", []):
            name = f"{row['schema']}.{row['name']}"
            self.tables.setdefault(name, Table(name)).take(now, row)
        if phase == "copy" and self.copy_from is None:
            self.copy_from = now
        if self.copy_from is not None and self.copy_to is None and phase not in ("copy", self.phase):
            self.copy_to = now
        self.phase = phase

    def trouble(self):
        """Tables that have been standing still for a while: it will not get better."""
        now = time.monotonic()
        troubled = [f"{t.name}: {t.trouble}" for t in self.tables.values() if t.trouble]
        if not troubled:
            self.well_at = now
        return troubled if now - self.well_at > self.PATIENCE_S else []

    def draw(self, final=False):
        tables = sorted(self.tables.values(), key=lambda t: -t.bytes)
        lines = [t.line() for t in tables]
        done = sum(t.done for t in tables)
        if self.copy_from is not None:
            end = self.copy_to or time.monotonic()
            lines.append(f"   {len(tables)} tables, {megabytes(done)}, "
                         f"{done / 1e6 / max(0.1, end - self.copy_from):.1f} MB/s on average")
        lines.append(f"   {time.monotonic() - self.begin:4.0f} s  {self.phase}: {PHASES.get(self.phase, '')}")
        self.screen.draw(lines, final)

    def result(self):
        end = self.copy_to or time.monotonic()
        start = self.copy_from or self.begin
        return {"bytes": sum(t.done for t in self.tables.values()),
                "rows": sum(t.rows for t in self.tables.values()),
                "copy_s": end - start, "total_s": time.monotonic() - self.begin}


def copy(args):
    seen = Copy()
    while True:
        alive = is_alive(args.pid)
        doc = read_status(args.rebeco)
        if doc is not None:
            seen.take(doc)
            in_sync = doc["phase"] == "follow" and doc.get("consistent", False)
            seen.draw(in_sync)
            if in_sync:
                break
            if seen.trouble():
                print("   Tables stand still:\n   " + "\n   ".join(seen.trouble()), file=sys.stderr)
                return 1
        if not alive:
            print("   rebeco run has ended by itself", file=sys.stderr)
            return 1
        if time.monotonic() - seen.begin > args.limit:
            print(f"   not in sync after {args.limit} s", file=sys.stderr)
            return 1
        time.sleep(0.4)
    write(args.result, seen.result())
    return 0


# ---------------------------------------------------------------- lag


def read_lags(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return [float(x) for x in re.findall(r"beat \d+ lag_ms ([0-9.]+)\n", f.read())]


def lag_line(lags):
    if not lags:
        return "   waiting for the first heartbeat"
    now = lags[-20:]
    return (f"   lag in the last second: {max(now):6.1f} ms at most, {percentile(now, 50):5.1f} ms typical"
            f"    since the start: p50 {percentile(lags, 50):.1f} ms, p99 {percentile(lags, 99):.1f} ms")


def lag(args):
    screen = Screen()
    end = time.monotonic() + args.seconds
    while time.monotonic() < end:
        time.sleep(0.5)
        screen.draw([lag_line(read_lags(args.watch))])
    time.sleep(0.3)
    lags = read_lags(args.watch)
    screen.draw([lag_line(lags)], final=True)
    if len(lags) < args.seconds * 5:
        print(f"   only {len(lags)} heartbeats arrived in {args.seconds:g} s", file=sys.stderr)
        return 1
    write(args.result, {"beats": len(lags), "p50_ms": percentile(lags, 50),
                        "p99_ms": percentile(lags, 99), "max_ms": max(lags)})
    return 0


# ---------------------------------------------------------------- summary


def summary(args):
    with open(args.copy, encoding="utf-8") as f:
        c = json.load(f)
    with open(args.lag, encoding="utf-8") as f:
        measured = json.load(f)
    for name, text in (
            ("copied", f"{grouped(c['rows'])} rows, {megabytes(c['bytes'])} in {c['copy_s']:.1f} s: "
                       f"{c['bytes'] / 1e6 / max(0.1, c['copy_s']):.1f} MB/s"),
            ("in sync after", f"{c['total_s']:.1f} s, from an empty target to an exact one with all indexes"),
            ("lag", f"p50 {measured['p50_ms']:.1f} ms, p99 {measured['p99_ms']:.1f} ms, "
                    f"at most {measured['max_ms']:.1f} ms ({measured['beats']} heartbeats)"),
            ("compared", f"{args.rows} rows at each end"),
            ("shop", f"{args.transactions} transactions; on average "
                     f"{args.latencies[0]} ms before, {args.latencies[1]} ms during the copy, "
                     f"{args.latencies[2]} ms while following"),
            ("peak memory", f"{args.memory_kb / 1024:.1f} MB, of the daemon")):
        print(f"   {name:14} {text}")
    return 0


# ---------------------------------------------------------------- main


def write(path, result):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(result, f)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    p = commands.add_parser("copy")
    p.set_defaults(run=copy)
    p.add_argument("--rebeco", required=True)
    p.add_argument("--pid", type=int, required=True)
    p.add_argument("--limit", type=float, default=300)
    p.add_argument("--result", required=True)
    p = commands.add_parser("lag")
    p.set_defaults(run=lag)
    p.add_argument("--watch", required=True)
    p.add_argument("--seconds", type=float, required=True)
    p.add_argument("--result", required=True)
    p = commands.add_parser("summary")
    p.set_defaults(run=summary)
    p.add_argument("--copy", required=True)
    p.add_argument("--lag", required=True)
    p.add_argument("--memory-kb", type=int, required=True)
    p.add_argument("--rows", required=True)
    p.add_argument("--transactions", required=True)
    p.add_argument("--latencies", nargs=3, required=True)
    args = parser.parse_args()
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
