"""Are two databases equal? Asked of psql, answered by sorting text: nothing of Rebeco's is used, and nothing
of the other tests'."""

import os
import subprocess

TABLES = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       (SELECT coalesce(string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE "C"), '') FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'rebeco') ORDER BY 1
"""

ENVIRONMENT = {"PGOPTIONS": "-c extra_float_digits=3 -c timezone=UTC -c bytea_output=hex -c intervalstyle=postgres "
                            "-c datestyle=ISO -c lc_monetary=C -c xmloption=content", "PGCLIENTENCODING": "UTF8", "LC_ALL": "C.UTF-8"}

MARK = "===== 7f3a9c "


def _psql(url, sql, *args):
    r = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url, *args], input=sql, capture_output=True,
                       text=True, env={**os.environ, **ENVIRONMENT})
    if r.returncode != 0:
        raise RuntimeError(f"psql: {r.stderr}")
    return r.stdout


def tables(url):
    """{SQL name: its columns by name}"""
    rows = _psql(url, TABLES, "-0", "-F", "\x1f").split("\0")
    return dict(row.strip("\n").split("\x1f") if "\x1f" in row else (row, "") for row in rows if row.strip("\n"))


def contents(url, names):
    """{SQL name: its rows as text, sorted}"""
    script = "".join(f"\\echo '{MARK}{i}'\nCOPY (SELECT {columns} FROM ONLY {name}) TO STDOUT;\n" for i, (name, columns) in enumerate(names.items()))
    found, rows = {}, None
    for line in _psql(url, script).split("\n"):
        if line.startswith(MARK):
            rows = found[list(names)[int(line[len(MARK):])]] = []
        elif rows is not None:
            rows.append(line)
    # What ends a table's last row gives one empty line after everything.
    last = list(names)[-1:] and found[list(names)[-1]]
    if last and last[-1] == "":
        last.pop()
    return {name: sorted(rows) for name, rows in found.items()}


def _minus(a, b):
    b = list(b)
    out = []
    for row in a:
        if row in b:
            b.remove(row)
        else:
            out.append(row)
    return out


def differences(source, target, ignore=()):
    """What differs between two databases, as readable lines; [] when they are equal."""
    at_s, at_t = tables(source), tables(target)
    for name in ignore:
        at_s.pop(name, None)
        at_t.pop(name, None)
    out = [f"{n}: not at the target" for n in at_s if n not in at_t] + [f"{n}: not at the source" for n in at_t if n not in at_s]
    both = {n: c for n, c in at_s.items() if n in at_t}
    out += [f"{n}: columns ({c}) at the source, ({at_t[n]}) at the target" for n, c in both.items() if at_t[n] != c]
    both = {n: c for n, c in both.items() if at_t[n] == c}
    rows_s, rows_t = contents(source, both), contents(target, both)
    for n in both:
        if rows_s[n] != rows_t[n]:
            more, less = _minus(rows_s[n], rows_t[n]), _minus(rows_t[n], rows_s[n])
            out.append(f"{n} ({both[n]}): {len(rows_s[n])} rows at the source, {len(rows_t[n])} at the target\n"
                       + "".join(f"    only at the source: {r[:300]}\n" for r in more[:3])
                       + "".join(f"    only at the target: {r[:300]}\n" for r in less[:3]))
    return out
