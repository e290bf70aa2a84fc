"""Are two databases equal? Asked of psql, answered by sorting text: nothing of Rebeco's is used, and nothing
of the other tests'."""

import os
import subprocess

# Not quote_ident(): what is a word of SQL depends on the version.
TABLES = """
SELECT '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"',
       (SELECT coalesce(string_agg('"' || replace(a.attname, '"', '""') || '"', ', ' ORDER BY a.attname COLLATE "C"), '') FROM pg_attribute a
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


def _parts(url, name):
    """What a table's rows are in: itself, or its partitions."""
    return [name, *_psql(url, "SELECT '\"' || replace(n.nspname, '\"', '\"\"') || '\".\"' || replace(c.relname, '\"', '\"\"') || '\"' "
                              f"FROM pg_partition_tree('{_literal(name)}') t JOIN pg_class c ON c.oid = t.relid "
                              "JOIN pg_namespace n ON n.oid = c.relnamespace", "-0").split("\0")]


def _literal(name):
    return name.replace("'", "''")


def _shaped(source, target, how):
    """A table that is not simply equal at both ends (see schema_shape.py)."""
    names = ", ".join('"' + c.replace('"', '""') + '"' for c in how["columns"]) if how["columns"] else "*"
    if not how["columns"]:  # the order of columns may differ
        columns = _psql(source, "SELECT string_agg('\"' || replace(attname, '\"', '\"\"') || '\"', ', ' ORDER BY attname COLLATE \"C\") FROM pg_attribute "
                                f"WHERE attrelid = '{_literal(how['source'])}'::regclass AND attnum > 0 AND NOT attisdropped", "-0")
        names = columns.rstrip("\0").rstrip("\n")
    rows_s = _psql(source, f"COPY (SELECT {names} FROM {how['source']} WHERE {how['where'] or 'true'}) TO STDOUT").split("\n")
    rows_t = _psql(target, f"COPY (SELECT {names} FROM {how['target']}) TO STDOUT").split("\n")
    return _compare_rows(f"{how['source']} ({names}, where {how['where']}) as {how['target']}", sorted(rows_s[:-1]), sorted(rows_t[:-1]))


def _compare_rows(what, rows_s, rows_t):
    if rows_s == rows_t:
        return []
    more, less = _minus(rows_s, rows_t), _minus(rows_t, rows_s)
    return [f"{what}: {len(rows_s)} rows at the source, {len(rows_t)} at the target\n"
            + "".join(f"    only at the source: {r[:300]}\n" for r in more[:3])
            + "".join(f"    only at the target: {r[:300]}\n" for r in less[:3])]


def differences(source, target, shaped=(), aside=()):
    """What differs between two databases, as readable lines; [] when they are equal. `shaped` are plan["compare"]; tables that are
    `aside` may differ."""
    at_s, at_t = tables(source), tables(target)
    compared = []
    for how in shaped:
        compared += _shaped(source, target, how)
        for name in _parts(source, how["source"]):
            at_s.pop(name.strip("\n"), None)
        for name in _parts(target, how["target"]):
            at_t.pop(name.strip("\n"), None)
    for table in aside:
        for name in _parts(source, table):
            at_s.pop(name.strip("\n"), None)
            at_t.pop(name.strip("\n"), None)
    out = [f"{n}: not at the target" for n in at_s if n not in at_t] + [f"{n}: not at the source" for n in at_t if n not in at_s]
    both = {n: c for n, c in at_s.items() if n in at_t}
    out += [f"{n}: columns ({c}) at the source, ({at_t[n]}) at the target" for n, c in both.items() if at_t[n] != c]
    both = {n: c for n, c in both.items() if at_t[n] == c}
    rows_s, rows_t = contents(source, both), contents(target, both)
    for n in both:
        out += _compare_rows(f"{n} ({both[n]})", rows_s[n], rows_t[n])
    return compared + out
