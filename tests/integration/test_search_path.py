"""Trigger functions that do without SET search_path (the head of schema/010_capture.sql says when) resolve nothing by the
writer's path: they are read for names without a schema, and run under a path that begins with look-alikes of all that the server has."""

import re

import psycopg2
import pytest
from test_capture import install

TRAP = "LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION ''a look-alike was called''; END$$" # inside of a literal

# Functions, operators, then types: all of pg_catalog that can be had in PL/pgSQL, with the same arguments.
LOOK_ALIKES = f"""
CREATE SCHEMA evil;
DO $do$
DECLARE
    t text;
BEGIN
    FOR t IN
        SELECT format('CREATE FUNCTION evil.%I(%s) RETURNS %s {TRAP}', p.proname, a.types, f.type)
          FROM pg_proc p
         CROSS JOIN LATERAL (SELECT string_agg(format('pg_catalog.%I', y.typname), ', ' ORDER BY u.n) AS types
                               FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u (oid, n) JOIN pg_type y ON y.oid = u.oid) a
         CROSS JOIN LATERAL (SELECT format('pg_catalog.%I', y.typname) AS type FROM pg_type y WHERE y.oid = p.prorettype) f
         WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset
        UNION ALL
        SELECT format('CREATE FUNCTION evil.operator_%s(pg_catalog.%I, pg_catalog.%I) RETURNS pg_catalog.%I {TRAP}; '
                      'CREATE OPERATOR evil.%s (LEFTARG = pg_catalog.%2$I, RIGHTARG = pg_catalog.%3$I, FUNCTION = evil.operator_%1$s)',
                      o.oid, l.typname, r.typname, y.typname, o.oprname)
          FROM pg_operator o JOIN pg_type l ON l.oid = o.oprleft JOIN pg_type r ON r.oid = o.oprright JOIN pg_type y ON y.oid = o.oprresult
         WHERE o.oprnamespace = 'pg_catalog'::regnamespace
    LOOP
        BEGIN
            EXECUTE t;
        EXCEPTION WHEN OTHERS THEN
            NULL; -- a pseudo-type that PL/pgSQL does not have
        END;
    END LOOP;
    FOR t IN SELECT format('CREATE TYPE evil.%I AS (trap pg_catalog.int4)', y.typname) FROM pg_type y
              WHERE y.typnamespace = 'pg_catalog'::regnamespace AND y.typtype <> 'c' AND y.typcategory <> 'A'
    LOOP
        EXECUTE t;
    END LOOP;
    -- An exact match goes before a polymorphic one.
    FOR t IN SELECT unnest('{{text[],oid[],int2[],int4[],public.mood}}'::text[])
    LOOP
        EXECUTE format('CREATE FUNCTION evil.exact(%1$s, %1$s) RETURNS boolean {TRAP}', t);
        EXECUTE format('CREATE OPERATOR evil.= (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = evil.exact)', t);
    END LOOP;
END
$do$;
GRANT ALL ON SCHEMA evil TO public;
"""

# Tables that are called as ours are, and as the server's are.
TABLES_TOO = """
DO $do$
DECLARE
    n name;
BEGIN
    FOR n IN SELECT DISTINCT relname FROM pg_class WHERE relnamespace IN ('rebeco'::regnamespace, 'pg_catalog'::regnamespace) AND relkind <> 'i'
             UNION SELECT unnest('{new_rows,old_rows,k,r,names}'::name[])
    LOOP
        EXECUTE format('CREATE TABLE %s.%I (trap pg_catalog.int4)', 'PLACE', n);
    END LOOP;
END
$do$
"""

# Types of keys, two values each; those whose trigger function keeps its path pinned have a star.
KEYS = {"integer": "1 2", "bigint": "1 2", "smallint": "1 2", "text": "a b", "varchar(5)": "a b", "char(3)": "a b", '"char"': "a b", "name": "a b",
        "uuid": "00000000-0000-0000-0000-000000000001 00000000-0000-0000-0000-000000000002", "numeric": "1.0 2", "date": "2020-01-01 2020-01-02",
        "timestamptz": "2020-01-01 2020-01-02", "bytea": r"\x01 \x02", "boolean": "t f", "oid": "1 2", "inet": "10.0.0.1 10.0.0.2", "float8": "1 2",
        "interval": "1d 2d", "jsonb": "1 2", "int4range": "[1,2) [1,3)", "int[]": "{1} {2}", "text[]": "{a} {b}", "public.mood": "sad glad",
        "public.small*": "1 2", "public.moods*": "sad glad", "public.pair*": "(1,2) (1,3)", "public.citext*": "a b", "public.mood[]*": "{sad} {glad}"}
EXTRA = """
CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN small AS int CHECK (VALUE < 100); CREATE DOMAIN moods AS mood; CREATE TYPE pair AS (a int, b int);
"""


def prepare(source):
    with source.admin() as c:
        c.run("CREATE EXTENSION citext")
    source.psql(EXTRA)
    install(source)


def shadow(source):
    """To be called when the captures are there."""
    with source.admin() as c:
        c.run("SET check_function_bodies = off")
        c.run(LOOK_ALIKES)
        assert c.value("SELECT count(*) FROM pg_proc WHERE pronamespace = 'evil'::regnamespace") > 2000
        assert c.value("SELECT count(*) FROM pg_operator WHERE oprnamespace = 'evil'::regnamespace") > 600
        c.run(TABLES_TOO.replace("PLACE", "evil"))
        # These are not there to be found by the server: they would make the captures pin their path.
        c.run("GRANT ALL ON ALL TABLES IN SCHEMA public TO public")


def hostile(c):
    c.run("SET search_path = pg_catalog")
    c.run(TABLES_TOO.replace("PLACE", "pg_temp"))
    c.run("SET search_path = evil, pg_temp, public, pg_catalog")


def capture(source, table, form="auto", records="key", two_way=False):
    return source.value("SELECT rebeco.capture_install(%s::regclass, (SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = %s::regclass AND i.indisprimary), %s, %s, %s)",
                        f"public.{table}", f"public.{table}", form, records, two_way)


def pinned(source, n):
    return source.value(f"SELECT proconfig IS NOT NULL FROM pg_proc WHERE oid = 'rebeco.capture_{n}()'::regprocedure")


def log(source, n):
    """What is logged and where it came from, but for transactions and times. Empties it."""
    found = source.run(f"SELECT (to_jsonb(l) - 'xid' - 'at' - 'ord')::text FROM rebeco.log_{n} l ORDER BY 1")
    source.run(f"TRUNCATE rebeco.log_{n}_0, rebeco.log_{n}_1")
    return [x for (x,) in found]


def write(c, table, key, a, b):
    """Every way to write; whoever does it, names nothing by the path."""
    into = f"INSERT INTO public.{table} ({key + ', ' if key else ''}n) VALUES "
    one, two = (f"('{a}', 1)", f"('{b}', 2)") if key else ("(1)", "(2)")
    for statement in (into + one, into + two, f"UPDATE public.{table} SET n = 5", f"DELETE FROM public.{table}", into + one):
        c.run(statement)
    if key:
        c.run(f"UPDATE public.{table} SET {key} = '{b}'")
    c.run(f"TRUNCATE public.{table}")


def compare_logs(source, tables):
    """The same statements, in a session with nothing in its path and in one with traps in it: the same log."""
    with source.connect("clerk") as c:
        for table, n, key, a, b in tables:
            write(c, table, key, a, b)
    wanted = {table: log(source, n) for table, n, *_ in tables}
    with source.connect("clerk") as c:
        hostile(c)
        for table, n, key, a, b in tables:
            write(c, table, key, a, b)
    for table, n, *_ in tables:
        assert wanted[table] == log(source, n) != [], table


@pytest.mark.parametrize("two_way", [False, True])
@pytest.mark.parametrize("form", ["auto", "statement", "row"])
def test_keys_of_all_types(source, form, two_way):
    prepare(source)
    tables = []
    for i, (kind, values) in enumerate(KEYS.items()):
        source.run(f"CREATE TABLE public.t{i} (id {kind.rstrip('*')} PRIMARY KEY, n int)")
        n = capture(source, f"t{i}", form, two_way=two_way)
        assert pinned(source, n) == kind.endswith("*"), kind
        tables.append((f"t{i}", n, "id", *values.split()))
    shadow(source)
    compare_logs(source, tables)
    source.run("SELECT setval('rebeco.nap', 1)")
    compare_logs(source, tables[:3])
    for table, *_ in tables[:3]:
        source.run(f"ALTER TABLE public.{table} RENAME id TO renamed")
    compare_logs(source, [(table, n, "renamed", a, b) for table, n, _, a, b in tables[:3]])
    source.run("ALTER TABLE public.t0 ALTER renamed TYPE bigint")
    compare_logs(source, [("t0", tables[0][1], "renamed", 1, 2)])


def test_other_captures(source):
    prepare(source)
    source.psql("""
CREATE TABLE keyless (n int); CREATE TABLE whole (n int); CREATE TABLE chained (id int PRIMARY KEY, n int);
CREATE TABLE merged (id int PRIMARY KEY, n int); CREATE TABLE parts (id int PRIMARY KEY, n int) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parts DEFAULT;
CREATE TABLE many (a int, b text, c uuid, n int, PRIMARY KEY (a, b, c));
""")
    ids = {"keyless": capture(source, "keyless", records="image"), "whole": capture(source, "whole", records="nothing"), "chained": capture(source, "chained", two_way=True),
           "merged": capture(source, "merged", two_way=True), "parts": capture(source, "parts")}
    source.run(f"SELECT rebeco.chain_set({ids['chained']}, true), rebeco.merge_set({ids['merged']}, true, '{{n}}')")
    assert all(pinned(source, n) for n in ids.values())
    shadow(source)
    compare_logs(source, [(t, n, None if t in ("keyless", "whole") else "id", 1, 2) for t, n in ids.items()])


# ------------------------------------------------------------------ what is read


def loose_names(text):
    """What is looked up by the path in the text of a trigger function."""
    text = re.sub(r"^\s*#variable_conflict use_column", "", text)
    text = re.sub(r"'(?:[^']|'')*'", "''", text)
    text = re.sub(r'"(?:[^"]|"")*"', "x", text)
    found = re.findall(r"\b(DISTINCT|IN|BETWEEN|LIKE|ILIKE|SIMILAR|NULLIF|CASE|ROW|ANY|ALL|SOME|ORDER|GROUP|OVERLAPS|GREATEST|LEAST|JOIN|CAST|COLLATE)\b", text)
    found += re.findall(r"::(?!pg_catalog\.)\S*", text)
    text = re.sub(r"::pg_catalog\.\w+(\[\])?", "", re.sub(r"OPERATOR\(pg_catalog\.[^\s)]+\)", " ", text))
    text = re.sub(r"INSERT INTO rebeco\.\w+ \([\w, ]*\)", "INSERT", text)
    found += re.findall(r"(?<![\w.])(?!IF\b|ELSIF\b|AND\b|NOT\b|VALUES\b|FROM\b|WHEN\b)\w+(?=\s*\()", text)
    found += re.findall(r"\b(?:FROM|INTO|UPDATE|TABLE)\s+(?!rebeco\.|old_rows\b|new_rows\b|\()\S+", text)
    found += re.findall(r"[-+*/<>=~!@#%^&|`?]+", text.replace(":=", "").replace("k.*", "k"))
    found += re.findall(r"DECLARE\s+\w+ (?!pg_catalog\.)\S+", text)
    return found


@pytest.mark.parametrize("loose", ["a = b", "lower(a)", "SELECT f (x)", "a IN (1)", "'1'::text", "a IS DISTINCT FROM b", "SELECT 1 FROM log_1", "INSERT INTO log_1 (a) VALUES (1)", "a || b",
                                   "CASE a WHEN b THEN c END", "DECLARE a text;"])
def test_the_reader_finds_what_is_loose(loose):
    assert loose_names(loose)


def functions(source):
    return source.run(r"SELECT proname, prosrc, proconfig IS NOT NULL, prosecdef FROM pg_proc WHERE pronamespace = 'rebeco'::regnamespace")


def test_every_function_pins_its_path_or_needs_none(source):
    prepare(source)
    for form in ("auto", "row", "statement"):
        for two_way in (False, True):
            table = f"{form}_{two_way}".lower()
            source.run(f"CREATE TABLE public.{table} (\"a 'b\" int, b text, c mood, n int, PRIMARY KEY (\"a 'b\", b, c))")
            capture(source, table, form, two_way=two_way)
    free = 0
    for name, text, is_pinned, runs_as_us in functions(source):
        if not is_pinned and re.fullmatch(r"capture_\d+", name):
            assert loose_names(text) == [], name
            free += 1
        else:
            assert is_pinned or not runs_as_us, name
    assert free == 6


def test_the_traps_catch_what_is_loose(source):
    """Each name of the functions by itself without its schema, in the statement that comes by it."""
    prepare(source)
    caught = 0
    for form in ("auto", "row", "statement"):
        source.run(f"CREATE TABLE public.t_{form} (id int PRIMARY KEY, n int)")
        capture(source, f"t_{form}", form)
    shadow(source)
    source.run("SELECT setval('rebeco.nap', 1)")
    for n, form in ((1, "auto"), (2, "row"), (3, "statement")):
        text = source.value(f"SELECT pg_get_functiondef('rebeco.capture_{n}()'::regprocedure)")
        rare = range(text.index("        names := "), text.index("    IF found AND "))
        for m in re.finditer(r"OPERATOR\(pg_catalog\.([^)]*)\)|pg_catalog\.", text):
            if m.start() < text.index("BEGIN\n") or m.start() in rare:
                continue
            source.psql(text[:m.start()] + (m[1] or "") + text[m.end():])
            with source.connect("clerk") as c:
                hostile(c)
                with pytest.raises(psycopg2.Error):
                    write(c, f"t_{form}", "id", 1, 2)
                caught += 1
            source.run(f"DELETE FROM public.t_{form}")
        source.psql(text)
    assert caught > 30


# ------------------------------------------------------------------ where it stays pinned


@pytest.mark.parametrize("sign, is_pinned", [
    ("SELECT 1", False),
    ("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SET search_path = public AS 'SELECT 1'", True),
    ("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SET work_mem = '1MB' AS 'SELECT 1'", False),
    ("CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.orders (id int); CREATE TABLE two.orders (id int)", True),
    ("CREATE SCHEMA one; CREATE TABLE one.capture (id int); CREATE TABLE one.pg_class (id int); CREATE TEMP TABLE t (id int)", False)])
def test_a_path_that_changes_keeps_it_pinned(source, sign, is_pinned):
    install(source)
    source.run("CREATE TABLE public.t (id int PRIMARY KEY)")
    n = capture(source, "t")
    assert not pinned(source, n)
    source.psql(sign)
    source.run(f"SELECT rebeco.capture_function({n}, 1)")
    assert pinned(source, n) == is_pinned
    assert source.value(f"SELECT rebeco.capture_is_intact({n})") is None
