"""Figures, what they mean beside the bars, and how they are shown: a table, JSON, charts."""

import contextlib
import html
import json
import os
import random
import statistics
import time
import traceback

from scene import ONLY, OUT, ROUNDS, SCALE, say

# (line of the issue, what, part, figure, who, over whom (None: the figure itself), bar, "<=" or ">=")
BARS = [
    (1, "initial copy, of the floor", "copy", "seconds", "rebeco", "floor", 1.1, "<="),
    (1, "initial copy, of pgcopydb", "copy", "seconds", "rebeco", "pgcopydb", 0.85, "<="),
    (1, "initial copy, of Bucardo", "copy", "seconds", "rebeco", "bucardo", 0.42, "<="),
    (2, "one large table: 1 stream over 2 streams", "split", "seconds", "1 stream", "2 streams", 1.6, ">="),
    (3, "TPC-B with capture, of none, 8 clients", "overhead", "tps_8", "rebeco", "none", 0.90, ">="),
    (3, "TPC-B with capture, of none, 32 clients", "overhead", "tps_32", "rebeco", "none", 0.90, ">="),
    (3, "the same, of an empty row trigger, 8 clients", "overhead", "tps_8", "rebeco", "empty row trigger", 0.97, ">="),
    (3, "the same, of an empty row trigger, 32 clients", "overhead", "tps_32", "rebeco", "empty row trigger", 0.97, ">="),
    *[(3, f"the limit: one INSERT a row and nothing else, of none, {n} clients", "overhead", f"tps_{n}", "one INSERT a row", "none", 0.90, ">=")
      for n in (8, 32)],
    (4, "TPC-B, daemon live, of none, 8 clients", "live", "tps_8", "rebeco", "none", 0.80, ">="),
    (4, "TPC-B, daemon live, of none, 32 clients", "live", "tps_32", "rebeco", "none", 0.80, ">="),
    (5, "bulk update: capture adds, us a row", "bulk", "update_us", "rebeco", "-none", 4, "<="),
    (5, "bulk insert: capture adds, us a row", "bulk", "insert_us", "rebeco", "-none", 4, "<="),
    (6, "catch-up, of the best floor", "catchup", "seconds", "rebeco", "floor", 1.15, "<="),
    (6, "catch-up, of logical replication", "catchup", "seconds", "rebeco", "logical replication", 0.22, "<="),
    (6, "catch-up, of Bucardo", "catchup", "seconds", "rebeco", "bucardo", 0.35, "<="),
    (6, "second backlog, of the first", "catchup", "second_seconds", "rebeco", "=seconds", 1.1, "<="),
    (7, "catch-up at 30 ms, of that at 0 ms", "delay", "seconds", "30 ms", "0 ms", 1.25, "<="),
    (8, "hot rows, of logical replication", "hot", "seconds", "rebeco", "logical replication", 0.05, "<="),
    *[(9, f"lag p50 at {r} tps less logical replication's, ms", "lag", f"p50_ms_{r}", "rebeco", "-logical replication", 15, "<=") for r in (0, 200, 1000)],
    *[(9, f"lag p50 at {r} tps, of {peer}'s", "lag", f"p50_ms_{r}", "rebeco", peer, 0.1, "<=") for r in (0, 200, 1000) for peer in ("bucardo", "slony")],
    *[(9, f"lag p99 at {r} tps, ms", "lag", f"p99_ms_{r}", "rebeco", None, bar, "<=") for r, bar in ((0, 100), (200, 100), (1000, 200))],
    (10, "batch cost at the source (CPU), last third over first", "consumed", "cpu_trend", "rebeco", None, 1.1, "<="),
    (10, "log size, last third over before", "consumed", "size_trend", "rebeco", None, 1.1, "<="),
    (10, "log rows deleted", "consumed", "deleted", "rebeco", None, 0, "<="),
    (11, "CPU of the readers, last third over first", "oldtx", "cpu_trend", "rebeco", None, 1.1, "<="),
    (12, "seconds a GB, 8 over 0.5", "growth", "seconds_per_gb", "8 GB", "0.5 GB", 1.1, "<="),
    (12, "the limit: seconds a GB of the floor, 8 over 0.5", "growth", "seconds_per_gb", "8 GB, floor", "0.5 GB, floor", 1.1, "<="),
    (12, "idle CPU %, 1000 tables less 10", "growth", "idle_cpu_percent", "1000 tables", "-10 tables", 0.5, "<="),
    (12, "memory with 1000 tables, MB", "growth", "rss_mb", "1000 tables", None, 64, "<="),
    (12, "memory copying 8 GB, MB", "growth", "rss_mb", "8 GB", None, 64, "<="),
    (13, "binary without symbols, MB", "binary", "mb", "rebeco", None, 2, "<="),
    (13, "start to LISTEN, 100 tables, s", "binary", "listen_s", "rebeco", None, 1, "<="),
    *[(14, f"two-way, 300 tps on both ends: lag {p} {way}, ms", "two_way", f"{p}_ms_{way}", "rebeco", None, bar, "<=")
      for way in ("there", "back") for p, bar in (("p50", 50), ("p99", 400))],
    (14, "TPC-B with two-way capture, of none, 8 clients", "two_way_capture", "tps_8", "rebeco", "none", 0.85, ">="),
    (14, "the limit: one INSERT a row and nothing else, of none, 8 clients", "two_way_capture", "tps_8", "one INSERT a row", "none", 0.85, ">="),
]


class Report:
    """Collects figures: one list of values per part, who, and name of the figure."""

    def __init__(self):
        self.figures, self.failures, self.busy = {}, {}, {}
        self.cut_off = {}  # part -> who and figure -> what was not there after how long: such a figure is the least that it can be
        self.took = {}     # part -> seconds, with all that is around the measuring
        self.started = time.time()

    def rounds(self):
        return range(1, ROUNDS + 1)

    def wanted(self, who):
        return ONLY is None or who in ONLY

    def in_turn(self, whos, n, items=False):
        """The order of a round: everybody, starting elsewhere each time."""
        names = [w for w in whos if self.wanted(w)]
        random.Random(n).shuffle(names)
        return [(w, whos[w]) for w in names] if items else names

    @contextlib.contextmanager
    def attempt(self, part, who, n):
        """Whatever goes wrong inside is the failure of `who`, and is reported as that."""
        try:
            yield
        except Exception as e:  # noqa: BLE001
            say(f"{part or 'setup'}: {who} FAILED in round {n}: {e}")
            if os.environ.get("TRACE"):
                traceback.print_exc()
            self.failures.setdefault(part, {})[who] = str(e)[-500:]
        self.write()

    def add(self, part, who, n, others=0.0, **values):
        for name, value in values.items():
            self.figures.setdefault(part, {}).setdefault(who, {}).setdefault(name, []).append(float(value))
        if others > 0.2:
            self.busy.setdefault(part, {}).setdefault(who, []).append(round(others, 2))
        say(f"{part}: {who}, round {n}: " + ", ".join(f"{k} {v:.4g}" for k, v in values.items()) +
            (f"  (others used {others:.2f} CPUs)" if others > 0.05 else ""))
        self.write()

    def median(self, part, who, name):
        values = self.figures.get(part, {}).get(who, {}).get(name)
        return statistics.median(values) if values else None

    def ratios(self):
        """One row per bar that was measured or failed."""
        out = []
        for line, what, part, name, who, over, bar, sense in BARS:
            if part not in self.figures and part not in self.failures:
                continue
            value = self.median(part, who, name)
            if value is not None and over is not None:
                other = self.median(part, who, over[1:]) if over[0] == "=" else self.median(part, over.lstrip("-"), name)
                value = None if not other and over[0] != "-" or other is None else value - other if over[0] == "-" else value / other
            least = f"{over}, {name}" in self.cut_off.get(part, {})
            verdict = "not measured" if value is None else "reached" if (value <= bar if sense == "<=" else value >= bar) else "MISSED"
            failed = self.failures.get(part, {})
            if value is None and (who in failed or over and over.lstrip("-=") in failed):
                verdict = f"{who if who in failed else over.lstrip('-=')} failed"
            out.append({"line": line, "what": what, "value": value, "bar": bar, "sense": sense, "verdict": verdict,
                        "bound": "below " if least and value is not None else ""})
        return out

    def text(self):
        out = [f"scale {SCALE:g}, {ROUNDS} rounds, medians; only ratios within a run mean anything", ""]
        for part, whos in self.figures.items():
            names = sorted({n for w in whos.values() for n in w})
            out += [part, *_table(["", *names], [[who, *[_short(self.median(part, who, n)) for n in names]] for who in whos]), ""]
        for part, failed in self.failures.items():
            out += [f"FAILED in {part or 'setup'}: {who}: {' '.join(why.split())[:300]}" for who, why in failed.items()]
        for part, whos in self.busy.items():
            out += [f"disturbed in {part}: {who}: others used {shares} CPUs" for who, shares in whos.items()]
        for part, whos in self.cut_off.items():
            out += [f"cut off in {part}: {who}: {why}" for who, why in whos.items()]
        if self.took:
            out += ["took: " + ", ".join(f"{part} {_minutes(s)}" for part, s in self.took.items()) + f"; in all {_minutes(sum(self.took.values()))}"]
        out += ["", "RATIOS", *_table(["line", "measure", "value", "bar", ""], [
            [str(r["line"]), r["what"], r["bound"] + _short(r["value"]), f"{r['sense']} {r['bar']:g}", r["verdict"]] for r in self.ratios()])]
        return "\n".join(out)

    def write(self):
        os.makedirs(OUT, exist_ok=True)
        stem = os.path.join(OUT, "bench")
        with _replaced(stem + ".txt") as f:
            f.write(self.text() + "\n")
        with _replaced(stem + ".json") as f:
            json.dump({"scale": SCALE, "rounds": ROUNDS, "started": self.started, "figures": self.figures, "ratios": self.ratios(),
                       "failures": {str(k): v for k, v in self.failures.items()}, "others": self.busy,
                       "cut_off": self.cut_off, "took": self.took}, f, indent=1)
        for part, name, title in (("copy", "seconds", "Initial copy, seconds"), ("split", "seconds", "One large table, seconds"),
                                  ("overhead", "tps_8", "TPC-B with capture, 8 clients, transactions a second"),
                                  ("live", "tps_8", "TPC-B with a live replica, 8 clients, transactions a second"),
                                  ("bulk", "update_us", "Update of many rows, microseconds a row"),
                                  ("catchup", "seconds", "Catch-up, seconds"), ("delay", "seconds", "Catch-up by distance, seconds"),
                                  ("hot", "seconds", "Hot rows, seconds"), ("lag", "p50_ms_200", "Lag at 200 transactions/s, p50, ms"),
                                  ("growth", "idle_cpu_percent", "Idle CPU, %")):
            rows = [(who, self.median(part, who, name)) for who in self.figures.get(part, {})]
            rows = [(who, v) for who, v in rows if v is not None]
            if rows:
                with _replaced(f"{stem}-{part}.svg") as f:
                    f.write(_chart(title, sorted(rows, key=lambda r: r[1])))


@contextlib.contextmanager
def _replaced(path):
    """A file that is the old one or the new one, whenever somebody pulls the plug."""
    with open(path + ".new", "w") as f:
        yield f
    os.rename(path + ".new", path)


def _minutes(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _short(value):
    return "-" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _table(head, rows):
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    return ["  " + "  ".join(cell.ljust(w) if i < 2 and len(head) == 5 or i == 0 else cell.rjust(w)
                             for i, (cell, w) in enumerate(zip(r, widths))).rstrip() for r in [head, *rows]]


def _chart(title, rows):
    """Bars from left to right, with their values; Rebeco's in another colour."""
    height, most = 26, max(v for _, v in rows) or 1
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{50 + height * len(rows)}" font-family="sans-serif" font-size="13">',
           f'<rect width="100%" height="100%" fill="#ffffff"/><text x="12" y="24" font-size="15">{html.escape(title)}</text>']
    for i, (who, v) in enumerate(rows):
        y, w = 42 + i * height, 420 * v / most
        out.append(f'<text x="200" y="{y + 14}" text-anchor="end">{html.escape(who)}</text>'
                   f'<rect x="210" y="{y}" width="{w:.1f}" height="{height - 8}" fill="{"#c2571a" if who.startswith("rebeco") else "#7f8fa6"}"/>'
                   f'<text x="{216 + w:.1f}" y="{y + 14}">{_short(v)}</text>')
    return "\n".join([*out, "</svg>", ""])
