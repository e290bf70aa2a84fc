"""Two-way syncs with keys and values of which equality is not identity: 1.0 and 1.00, a and A in a collation that takes them for one, zeros with a
sign, a jsonb null and NULL, arrays with bounds."""

import random
import time

import psycopg2
import pytest
import rig
from two_way import check_equal, config, disturb, meet, roles, source, target, wait_both  # noqa: F401

KEYS = {
    "k_num": ("id numeric", ["1.0", "1.00", "1", "2", "2.0", "3.10", "3.1", "-0", "0.0", "'NaN'", "7"]),
    "k_ci": ("id text COLLATE ci", ["'a'", "'A'", "'b'", "'B'", "'straße'", "'STRASSE'", "'É'", "'é'"]),
    "k_bp": ("id char(5)", ["'a'", "'a '", "'b'", "'b  '", "'c'"]),
    "k_f": ("id float8", ["'0'", "'-0'", "'NaN'", "'inf'", "0.1", "1e300"]),
    "k_arr": ("id numeric[]", ["'{1,2}'", "'{1.0,2.0}'", "'{}'", "'{NULL}'", "'[0:1]={1,2}'", "'{3}'"]),
    "k_ts": ("id timestamptz", ["'infinity'", "'-infinity'", "'2000-01-01'", "'2000-01-01 00:00:00.000001'", "'0001-01-01 BC'"]),
    "k_dom": ("id dm", ["'x'", "'y'", "'z'"]),
    "k_doma": ("id da", ["'{1}'", "'{2,3}'", "'[2:2]={1}'"]),
    "k_json": ("id jsonb", ["'1'", "'1.0'", "'\"a\"'", "'null'", "'{\"a\": 1}'"]),
    "k_iv": ("id interval", ["'1 mon'", "'30 days'", "'720:00:00'", "'1 day'", "'24:00'"]),
    "k_reg": ("id regclass", ["'pg_class'::regclass", "'-'::regclass", "999::regclass", "'pg_type'::regclass"]),
    "k_part": ("id numeric", ["1", "1.0", "2", "11", "11.0", "12"]),
    "k_ident": ("id numeric, n int GENERATED ALWAYS AS IDENTITY", ["1", "1.0", "2", "3"]),
}
# How the application finds them: the server has no operators for some domains.
FOUND_BY = {"k_dom": "id::en", "k_doma": "id::int[]"}
VALUES = ["NULL", "'null'", "'1'", "'1.0'", "'{\"a\": null}'", "'\"x\"'"]
ARRAYS = ["NULL", "'{}'", "'{1}'", "'[3:3]={1}'", "'{NULL}'"]
FLOATS = ["NULL", "'0'", "'-0'", "'NaN'", "'1'"]


def work(c, rng, number):
    table = rng.choice(list(KEYS))
    keys = KEYS[table][1]
    k, l = rng.choice(keys), rng.choice(keys)
    j, a, f = rng.choice(VALUES), rng.choice(ARRAYS), rng.choice(FLOATS)
    found = f"{FOUND_BY.get(table, 'id')} = {k}"
    kind = rng.random()
    try:
        if kind < 0.35:
            c.run(f"UPDATE {table} SET j = {j}, a = {a} WHERE {found}")
        elif kind < 0.45:
            c.run(f"UPDATE {table} SET f = {f} WHERE {found}")
        elif kind < 0.65:
            c.run(f"INSERT INTO {table} (id, j, a, f) VALUES ({k}, {j}, {a}, {f}) ON CONFLICT (id) DO UPDATE SET j = excluded.j")
        elif kind < 0.75:
            c.run(f"DELETE FROM {table} WHERE {found}")
        elif kind < 0.97:
            c.run(f"UPDATE {table} SET id = {l}, f = {f} WHERE {found}")
        elif kind < 0.985:
            c.run(f"BEGIN; DELETE FROM {table} WHERE {found}; INSERT INTO {table} (id, j, a, f) VALUES ({k}, {j}, {a}, {f}); COMMIT")
        else:
            c.run(f"TRUNCATE {table}")
    except psycopg2.Error:
        c.run("ROLLBACK")
    time.sleep(rng.random() * 0.04)


def create(source):
    columns = "j jsonb, a int[], f float8"
    source.psql("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TYPE en AS ENUM ('x', 'y', 'z'); CREATE DOMAIN dm AS en; CREATE DOMAIN da AS int[];" + "".join(
        f"CREATE TABLE {table} ({columns}, {key}, PRIMARY KEY (id)) PARTITION BY RANGE (id);" if table == "k_part"
        else f"CREATE TABLE {table} ({key}, {columns}, g text GENERATED ALWAYS AS (f::text) STORED, PRIMARY KEY (id));" for table, (key, _) in KEYS.items())
        + "CREATE TABLE k_part_1 PARTITION OF k_part FOR VALUES FROM (0) TO (10); CREATE TABLE k_part_2 PARTITION OF k_part DEFAULT;")


def test_keys_of_every_type_are_found(source, target, rebecos):
    """Each row is changed at both ends, once as one key and once as the other that is equal to it, where there is one."""
    create(source)
    source.psql("".join(f"INSERT INTO {table} (id) VALUES ({value}) ON CONFLICT DO NOTHING;" for table, (_, keys) in KEYS.items() for value in keys))
    rebeco = rebecos(source, target, config=config(conflict={"default": "target"}))
    rebeco.start()
    wait_both(rebeco)
    changes = "".join(f"UPDATE {table} SET f = %(f)s WHERE {FOUND_BY.get(table, 'id')} = {value};" for table, (_, keys) in KEYS.items() for value in keys)
    meet(rebeco, source, target, changes % {"f": 1}, changes % {"f": 2})
    check_equal(source, target)
    for table in KEYS:
        assert source.run(f"SELECT DISTINCT f FROM {table}") == [(2,)], table
        assert {s.value(f"SELECT count(*) FROM rebeco.conflict WHERE table_name = '{table}' AND decision = 'target'") for s in (source, target)} == \
            {source.value(f"SELECT count(*) FROM {table}")}, table
    rebeco.terminate()


def test_truncations_of_keys_with_two_collations(source, target, rebecos):
    """A list of the columns' texts is made of what is there: both collations are said in it."""
    source.psql("""CREATE TABLE t (a text, b text COLLATE "C", v int, PRIMARY KEY (a, b)); INSERT INTO t SELECT i, i FROM generate_series(1, 9) i;
        CREATE TABLE u (LIKE t INCLUDING ALL); INSERT INTO u SELECT * FROM t;
        CREATE TABLE of_u (id int PRIMARY KEY, a text, b text COLLATE "C", FOREIGN KEY (a, b) REFERENCES u)""")
    rebeco = rebecos(source, target, config=config(conflict={"default": "latest"}))
    rebeco.start()
    wait_both(rebeco)
    target.psql("TRUNCATE t; INSERT INTO t VALUES ('x', 'y')")
    wait_both(rebeco)
    meet(rebeco, source, target, "TRUNCATE u, of_u; INSERT INTO u VALUES ('x', 'y')", "INSERT INTO of_u VALUES (1, '3', '3'); UPDATE u SET v = 1 WHERE a = '4'")
    check_equal(source, target)
    assert source.run("SELECT a, b FROM t") == [("x", "y")] and source.run("SELECT a FROM u ORDER BY a") == [("3",), ("4",), ("x",)]
    rebeco.terminate()


@pytest.mark.limit(200)
@pytest.mark.parametrize("policy, merge", [("latest", []), ("latest", ["public.*"]), ("source", []), ("target", [])][:4 if rig.LONG else 2])
def test_a_storm(source, target, rebecos, policy, merge):
    create(source)
    rebeco = rebecos(source, target, config=config(conflict={"default": policy, "merge": merge}))
    rebeco.start()
    wait_both(rebeco)
    seed = random.randrange(10**6)
    print("seed", seed)
    with rig.Crew(source, work, 3, seed=f"{seed} source"), rig.Crew(target, work, 3, seed=f"{seed} target"):
        disturb(rebeco, source, target, random.Random(seed), 60 if rig.LONG else 8)
    wait_both(rebeco, 60)
    check_equal(source, target)
    twice = "SELECT table_name, key::text FROM rebeco.conflict GROUP BY table_name, key::text, source_at, target_at HAVING count(*) > 1"
    assert source.run(twice) == target.run(twice) == []
    rebeco.terminate()


NAMED = {"t_ci": "ext.citext", "t_list": "ext.citext[]", "t_dom": "ci", "t_mood": "mood", "t_md": "md"}


@pytest.mark.limit(200)
@pytest.mark.parametrize("change, ends", [
    ("ALTER EXTENSION citext SET SCHEMA other", ["target"]),
    ("ALTER SCHEMA ext RENAME TO other", ["target", "source"]),
    ("ALTER TYPE mood RENAME TO temper; ALTER DOMAIN md RENAME TO tempers; ALTER DOMAIN ci SET SCHEMA other", ["source", "target"]),
    ("ALTER EXTENSION citext SET SCHEMA other", ["source"])][:4 if rig.LONG else 3])
def test_what_a_key_is_made_of_gets_another_name(source, target, rebecos, change, ends):
    """Its type, or the operator that compares it: the log holds the same, and the sync mends itself."""
    made = "CREATE SCHEMA ext; CREATE SCHEMA other; CREATE EXTENSION citext SCHEMA ext; CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN ci AS ext.citext; CREATE DOMAIN md AS mood;"
    if "RENAME TO other" in change:
        made = made.replace("CREATE SCHEMA other;", "")
    source.psql(made + "".join(f"CREATE TABLE {t} (id {type} PRIMARY KEY, v text); INSERT INTO {t} VALUES ('{a}'), ('{b}');"
                               for t, type in NAMED.items() for a, b in [("{a}", "{b}") if t == "t_list" else ("a", "b")]))
    rebeco = rebecos(source, target, config=config(conflict={"default": "target"}))
    rebeco.start()
    wait_both(rebeco)
    for end in ends:
        {"source": source, "target": target}[end].psql(change, user="postgres")
    write = "".join(f"UPDATE {t} SET v = '%(v)s' WHERE lower(id::text) LIKE '%%a%%'; DELETE FROM {t} WHERE lower(id::text) LIKE '%%b%%'%(more)s;" for t in NAMED)
    meet(rebeco, source, target, write % {"v": "source", "more": " AND false"}, write % {"v": "target", "more": ""})
    rebeco.wait("all tables go on", lambda: not any(t["paused"] for t in rebeco.status()["tables"]), 20)
    wait_both(rebeco)
    check_equal(source, target)
    for t in NAMED:
        assert source.run(f"SELECT v FROM {t}") == [("target",)], t
        assert source.value(f"SELECT count(*) FROM rebeco.conflict WHERE table_name = '{t}'") == 1, t
    rebeco.terminate()
