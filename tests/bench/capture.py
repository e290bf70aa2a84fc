#!/usr/bin/python3
"""What capture costs: CPU time of the server process, per statement and per row, with no capture, each
form, and what was tried. CPU time and interleaved rounds, because it holds still on a busy machine.

  tests/bench/capture.py [ROUNDS] [VARIANT...]
"""

import os
import re
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
import rig  # noqa: E402
from test_capture import capture, install  # noqa: E402

N, BULK = 10000, 100000
WORK = [
    ("insert", N, f"DO $$ BEGIN FOR i IN 1..{N} LOOP INSERT INTO t VALUES (i, 0, 'x'); END LOOP; END $$"),
    ("update", N, f"DO $$ BEGIN FOR i IN 1..{N} LOOP UPDATE t SET v = v + 1 WHERE id = i; END LOOP; END $$"),
    ("bulk insert", BULK, f"INSERT INTO w SELECT i, 0, repeat('x', 50) FROM generate_series(1, {BULK}) i"),
    ("bulk update", BULK, "UPDATE w SET v = v + 1"),
    ("bulk delete", BULK, "DELETE FROM w"),
]


def functions(c, change):
    """Replaces the trigger functions by what `change` makes of their text."""
    for (text,) in c.run("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'rebeco'::regnamespace "
                         r"AND proname ~ '^capture_\d+$'"):
        c.run(change(text).replace("%", "%%"))


def without_index(c):
    c.run("DROP INDEX rebeco.log_1_0_xid, rebeco.log_2_0_xid")


def with_set(c):
    functions(c, lambda s: re.sub(r" SECURITY DEFINER\n(?! SET)", " SECURITY DEFINER\n SET search_path TO pg_catalog, pg_temp\n", s))


def without_check(c):
    functions(c, lambda s: re.sub(r"IF rebeco\.capture_columns[^=]*=\) '[^']*'::pg_catalog\.text\[\] AND", "IF", s))


def without_wake(c):
    functions(c, lambda s: re.sub(r"IF found AND .* THEN", "IF false THEN", s))


def without_old_keys(c):
    functions(c, lambda s: re.sub(r"\n        IF NOT \(OLD.*?END IF;", "", s, flags=re.S))


def without_when(c):
    for name, text in c.run("SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'rebeco%%'"):
        table = re.search(r" ON public\.(\w) ", text)[1]
        c.run(f"DROP TRIGGER {name} ON {table}")
        c.run(re.sub(r"WHEN \(.*\) EXECUTE", "EXECUTE", text))
        c.run(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


VARIANTS = {"none": None, "auto": lambda c: None, "statement": lambda c: None, "row": lambda c: None}
for f in (without_index, with_set, without_check, without_wake, without_old_keys, without_when):
    VARIANTS["auto " + f.__name__.replace("_", " ")] = f


def cpu_us(pid):
    with open(f"/proc/{pid}/schedstat") as f:
        return int(f.read().split()[0]) / 1000


def measure(server, name):
    server.run("TRUNCATE t, w")
    if VARIANTS[name]:
        for table in ("t", "w"):
            capture(server, table, name.split()[0])
        with server.connect() as c:
            VARIANTS[name](c)
    figures = []
    with server.connect() as c:
        pid = c.value("SELECT pg_backend_pid()")
        for _, n, sql in WORK:
            c.run("SELECT 1")
            start = cpu_us(pid)
            c.run(sql)
            figures.append((cpu_us(pid) - start) / n)
    server.run("SELECT rebeco.capture_remove(id) FROM rebeco.capture")
    server.run("ALTER TABLE rebeco.capture ALTER id RESTART")
    return figures


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    names = sys.argv[2:] or list(VARIANTS)
    server = rig.Server("bench", "app")
    install(server)
    server.run("CREATE TABLE t (id bigint PRIMARY KEY, v int, pad text); CREATE TABLE w (LIKE t INCLUDING ALL)")
    found = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(measure(server, name))
    print("| us of CPU | " + " | ".join(w[0] for w in WORK) + " |\n|---" + "|---" * len(WORK) + "|")
    for name in names:
        print(f"| {name} | " + " | ".join(f"{statistics.median(x):.2f}" for x in zip(*found[name])) + " |")


if __name__ == "__main__":
    main()
