"""What each version of PostgreSQL has brought, where both ends know it: copied, followed, and written at both ends."""

import os

import pytest
import rig
import two_way

# By the version that has it first: {name: (what is created, rows, what happens to them then)}. Everything is in the schema v.
FEATURES = {
    13: {
        "types of trusted extensions": (
            """CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION pg_trgm; CREATE EXTENSION cube;
               CREATE EXTENSION intarray; CREATE EXTENSION pgcrypto; CREATE EXTENSION seg; CREATE EXTENSION isn; CREATE EXTENSION btree_gin; CREATE EXTENSION btree_gist;
               CREATE TABLE v.cubes (c cube PRIMARY KEY, n int); CREATE TABLE v.segs (s seg PRIMARY KEY, n int); CREATE TABLE v.books (i isbn PRIMARY KEY, e ean13, n int);
               CREATE TABLE v.words (w citext, h hstore, t ltree, n int, g ltree[], PRIMARY KEY (w, h, t)); CREATE INDEX ON v.words USING gin (w gin_trgm_ops);
               CREATE TABLE v.ints (id int PRIMARY KEY, a int[]); CREATE INDEX ON v.ints USING gin (a gin__int_ops);
               CREATE TABLE v.secret (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), p text, d bytea)""",
            """INSERT INTO v.cubes SELECT cube(ARRAY[n * 0.1, -n], ARRAY[n, n / 3.0]), n FROM generate_series(1, 20) n; INSERT INTO v.cubes VALUES ('()', 0);
               INSERT INTO v.segs VALUES ('1.0', 1), ('5.30 .. 7', 2), ('<0', 3), ('5(+-)0.3', 4), ('>1.50', 5);
               INSERT INTO v.books VALUES ('978-0-393-04002-9', '0220356483481', 1), ('0-393-04002-X', '978-0393040029', 2) ON CONFLICT DO NOTHING;
               INSERT INTO v.words SELECT 'Word' || n, hstore('k', NULLIF(n, 3)::text), ('a.b' || n)::ltree, n, ARRAY['a.b']::ltree[] FROM generate_series(1, 20) n;
               INSERT INTO v.ints SELECT n, ARRAY[n, NULL, n + 1] - NULL::int FROM generate_series(1, 20) n;
               INSERT INTO v.secret (p, d) SELECT crypt('x', gen_salt('md5')), pgp_sym_encrypt('é', 'k') FROM generate_series(1, 9)""",
            ["UPDATE v.cubes SET n = n + 1; UPDATE v.cubes SET c = cube_enlarge(c, 0.1, 3) WHERE n % 3 = 0; DELETE FROM v.cubes WHERE n = 1",
             "UPDATE v.segs SET n = n + 1; UPDATE v.segs SET s = '1.000' WHERE s = '1.0'; DELETE FROM v.segs WHERE n = 4; INSERT INTO v.segs VALUES ('6.50', 9)",
             "UPDATE v.books SET n = 7; SELECT isn_weak(true); INSERT INTO v.books VALUES ('0-11-000533-4!', '0000000000000', 3)",
             "UPDATE v.words SET w = upper(w::text), h = h || 'x=>NULL' WHERE n < 9; DELETE FROM v.words WHERE n = 12; UPDATE v.words SET t = t || 'q' WHERE n > 15",
             "UPDATE v.ints SET a = sort(a) || 7; DELETE FROM v.secret WHERE d IS NULL; UPDATE v.secret SET p = crypt('y', gen_salt('bf', 4))"]),
    },
    14: {
        "multiranges, lz4, a function's body as SQL": (
            """CREATE TABLE v.many (id int4multirange PRIMARY KEY, d datemultirange, n nummultirange); CREATE TABLE v.compressed (id int PRIMARY KEY, t text);
               DO $$ BEGIN ALTER TABLE v.compressed ALTER t SET COMPRESSION lz4; EXCEPTION WHEN feature_not_supported THEN NULL; END $$;
               CREATE TYPE v.span AS RANGE (subtype = float8, multirange_type_name = v.spans); CREATE TABLE v.spanned (id int PRIMARY KEY, s v.spans);
               CREATE FUNCTION v.twice(a int) RETURNS int IMMUTABLE BEGIN ATOMIC; SELECT a * 2; END; CREATE INDEX ON v.compressed (v.twice(id));
               CREATE TABLE v.numbered_parts (id int, v text) PARTITION BY RANGE (id); CREATE TABLE v.numbered_part PARTITION OF v.numbered_parts DEFAULT;
               ALTER TABLE v.numbered_parts ADD UNIQUE (id), ALTER id SET NOT NULL; CREATE STATISTICS v.st ON (id + 1), v FROM v.numbered_parts""",
            """INSERT INTO v.many SELECT int4multirange(int4range(n, n + 1), int4range(n + 5, NULL)), '{[2024-01-01,2024-02-01),[infinity,]}', '{[1.0,1.00]}' FROM generate_series(1, 20) n;
               INSERT INTO v.compressed SELECT n, repeat(md5(n::text), 1000) FROM generate_series(1, 20) n; INSERT INTO v.spanned SELECT n, '{[-0,0],(1,NaN)}' FROM generate_series(1, 9) n;
               INSERT INTO v.numbered_parts SELECT n FROM generate_series(1, 9) n""",
            ["UPDATE v.many SET id = id + '{[100000,100001)}' WHERE id @> 7; UPDATE v.many SET n = n + '{[3,4]}'; DELETE FROM v.many WHERE id = '{}'",
             "UPDATE v.compressed SET t = t || t WHERE id < 9; UPDATE v.spanned SET s = '{}' WHERE id < 3; UPDATE v.numbered_parts SET v = 'x', id = -id"]),
    },
    15: {
        "NULLs that are not distinct": (
            """CREATE TABLE v.lone (id int PRIMARY KEY, u int, w text, UNIQUE NULLS NOT DISTINCT (u)); CREATE UNIQUE INDEX ON v.lone (w, u) NULLS NOT DISTINCT;
               CREATE TABLE v.lone_only (a int, b int, UNIQUE NULLS NOT DISTINCT (a))""",
            "INSERT INTO v.lone SELECT n, n, 'w' FROM generate_series(2, 20) n; INSERT INTO v.lone VALUES (1, NULL, NULL); INSERT INTO v.lone_only VALUES (1, 1), (NULL, 1)",
            ["BEGIN; UPDATE v.lone SET u = 100 WHERE id = 1; UPDATE v.lone SET u = NULL, w = NULL WHERE id = 7; UPDATE v.lone SET u = 7, w = 'w' WHERE id = 1; COMMIT",
             "BEGIN; DELETE FROM v.lone WHERE id = 7; INSERT INTO v.lone VALUES (30, NULL, 'x'); COMMIT; BEGIN; UPDATE v.lone SET u = -1 WHERE id = 30; UPDATE v.lone SET u = NULL WHERE id = 2; COMMIT",
             "BEGIN; UPDATE v.lone_only SET a = 3 WHERE a IS NULL; UPDATE v.lone_only SET a = NULL WHERE a = 1; COMMIT; UPDATE v.lone_only SET b = 7 WHERE a IS NULL"]),
        "scales below zero and beyond, views of who asks, an action for some columns": (
            """CREATE TABLE v.rounded (id numeric(3, -2) PRIMARY KEY, t numeric(2, 5), a numeric(3, -2)[]); CREATE DOMAIN v.thousands AS numeric(4, -3); CREATE TABLE v.round (id int PRIMARY KEY, d v.thousands);
               CREATE VIEW v.asked WITH (security_invoker) AS SELECT * FROM v.rounded;
               CREATE TABLE v.tenant (t int, id int, PRIMARY KEY (t, id)); CREATE TABLE v.post (t int, id int, author int, PRIMARY KEY (t, id), FOREIGN KEY (t, author) REFERENCES v.tenant ON DELETE SET NULL (author))""",
            """INSERT INTO v.rounded SELECT n * 100, 0.00012, ARRAY[n * 100] FROM generate_series(1, 20) n; INSERT INTO v.round SELECT n, n * 1000 FROM generate_series(1, 20) n;
               INSERT INTO v.tenant SELECT n % 3, n FROM generate_series(1, 30) n; INSERT INTO v.post SELECT n % 3, n, n FROM generate_series(1, 30) n""",
            ["UPDATE v.rounded SET id = id + 5000 WHERE id < 1000; UPDATE v.rounded SET t = 0.00099; UPDATE v.round SET d = d + 1499 WHERE id < 5",
             "DELETE FROM v.tenant WHERE id % 5 = 0; DELETE FROM v.post WHERE id = 5"]),
    },
    16: {
        "collations with rules, a storage with its name": (
            """CREATE COLLATION v.turned (provider = icu, locale = 'und', rules = '&z < a'); CREATE COLLATION v.blind (provider = icu, locale = 'und-u-ks-level1', rules = '&x = q', deterministic = false);
               CREATE TABLE v.ruled (k text COLLATE v.turned PRIMARY KEY, n int, s text STORAGE EXTERNAL); CREATE TABLE v.blinded (k text COLLATE v.blind PRIMARY KEY, n int)""",
            "INSERT INTO v.ruled SELECT chr(96 + n), n FROM generate_series(1, 26) n; INSERT INTO v.blinded VALUES ('É', 1), ('x', 2), ('z', 3)",
            ["UPDATE v.ruled SET k = k || k, s = repeat('x', 5000) WHERE n < 9; DELETE FROM v.ruled WHERE k > 'z'",
             "UPDATE v.blinded SET k = 'e' WHERE n = 1; UPDATE v.blinded SET k = 'q' WHERE k = 'X'; UPDATE v.blinded SET n = n + 1"]),
    },
    17: {
        "partitioned: identity columns, exclusion constraints": (
            """CREATE TABLE v.drawn (id bigint GENERATED ALWAYS AS IDENTITY, at int, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
               CREATE TABLE v.drawn_1 PARTITION OF v.drawn FOR VALUES FROM (0) TO (10) PARTITION BY LIST (at); CREATE TABLE v.drawn_1a PARTITION OF v.drawn_1 DEFAULT; CREATE TABLE v.drawn_2 PARTITION OF v.drawn DEFAULT;
               CREATE TABLE v.rooms (house int NOT NULL, at int4range, id int, PRIMARY KEY (house, id), EXCLUDE USING gist (house WITH =, at WITH &&)) PARTITION BY LIST (house);
               CREATE TABLE v.rooms_1 PARTITION OF v.rooms FOR VALUES IN (1, 2); CREATE TABLE v.rooms_2 PARTITION OF v.rooms DEFAULT""",
            """INSERT INTO v.drawn (at, v) SELECT n, 'v' FROM generate_series(1, 30) n; INSERT INTO v.rooms SELECT n % 4, int4range(n * 10, n * 10 + 10), n FROM generate_series(1, 40) n""",
            ["UPDATE v.drawn SET at = 50 - at; INSERT INTO v.drawn (at, v) VALUES (3, 'x'), (30, 'y'); UPDATE v.drawn SET id = DEFAULT WHERE id = 7; DELETE FROM v.drawn WHERE id = 9",
             "BEGIN; UPDATE v.rooms SET at = NULL WHERE id = 4; UPDATE v.rooms SET at = '[40,50)' WHERE id = 8; UPDATE v.rooms SET at = '[80,90)' WHERE id = 4; COMMIT; UPDATE v.rooms SET house = 7 WHERE house = 1"]),
        "a collation of the server's own, intervals without end": (
            """CREATE COLLATION v.builtin (provider = builtin, locale = 'C.UTF-8'); CREATE TABLE v.built (k text COLLATE v.builtin PRIMARY KEY, i interval, l interval[]); CREATE INDEX ON v.built (lower(k))""",
            "INSERT INTO v.built SELECT 'É' || n, CASE n % 3 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' ELSE '1 mon' END::interval, '{infinity,NULL}' FROM generate_series(1, 20) n",
            ["UPDATE v.built SET i = -i, k = lower(k) WHERE k < 'É5'; DELETE FROM v.built WHERE i = 'infinity' AND k > 'É7'"]),
    },
    18: {
        "columns that are computed when read": (
            """CREATE TABLE v.virtual (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL, c text GENERATED ALWAYS AS (id::text || a) STORED, d int, e int GENERATED ALWAYS AS (a + d), CHECK (b < 10000));
               CREATE TABLE v.virtual_only (a int, b int GENERATED ALWAYS AS (a * 2), t text); CREATE TABLE v.virtual_parts (id int PRIMARY KEY, w int GENERATED ALWAYS AS (id + 1) VIRTUAL, x text) PARTITION BY HASH (id);
               CREATE TABLE v.virtual_part PARTITION OF v.virtual_parts FOR VALUES WITH (MODULUS 1, REMAINDER 0)""",
            """INSERT INTO v.virtual (id, a, d) SELECT n, n, n FROM generate_series(1, 30) n; INSERT INTO v.virtual_only (a, t) SELECT n % 5, 't' FROM generate_series(1, 30) n;
               INSERT INTO v.virtual_parts (id, x) SELECT n, 'x' FROM generate_series(1, 30) n""",
            ["UPDATE v.virtual SET a = a + 1; UPDATE v.virtual SET d = NULL, id = -id WHERE b > 20; DELETE FROM v.virtual WHERE e = 7; INSERT INTO v.virtual (id, a) VALUES (100, 1)",
             "UPDATE v.virtual_parts SET id = id + 100 WHERE w > 15; UPDATE v.virtual_parts SET x = w::text; DELETE FROM v.virtual_parts WHERE w = 3",
             "UPDATE v.virtual_only SET a = a + 1 WHERE b = 4; DELETE FROM v.virtual_only WHERE b = 0; INSERT INTO v.virtual_only (a) VALUES (9), (9)"]),
        "keys over time": (
            """CREATE EXTENSION IF NOT EXISTS btree_gist; CREATE TABLE v.price (id int, at daterange, v text, PRIMARY KEY (id, at WITHOUT OVERLAPS));
               CREATE TABLE v.sale (id int PRIMARY KEY, price int, at daterange, FOREIGN KEY (price, PERIOD at) REFERENCES v.price (id, PERIOD at))""",
            """INSERT INTO v.price SELECT n, daterange('2026-01-01', '2026-06-01'), 'v' FROM generate_series(1, 30) n; INSERT INTO v.price SELECT n, daterange('2026-06-01', NULL), 'v' FROM generate_series(1, 30) n;
               INSERT INTO v.sale SELECT n, n, daterange('2026-05-01', '2026-07-01') FROM generate_series(1, 20) n""",
            ["UPDATE v.price SET v = 'w' WHERE id < 5; DELETE FROM v.price WHERE id > 25; UPDATE v.sale SET at = '[2026-03-01,2026-04-01)' WHERE id < 4",
             "BEGIN; DELETE FROM v.sale WHERE price = 7; UPDATE v.price SET at = daterange(lower(at), '2026-03-01') WHERE id = 7 AND at @> '2026-01-01'::date; INSERT INTO v.price VALUES (7, '[2026-03-01,2026-06-01)', 'n'); COMMIT"]),
        "constraints that are not enforced or not valid, uuidv7": (
            """CREATE TABLE v.boss (id uuid PRIMARY KEY DEFAULT uuidv7(), n int UNIQUE, v text, CONSTRAINT small CHECK (n < 10) NOT ENFORCED);
               CREATE TABLE v.loose (id int PRIMARY KEY, boss int REFERENCES v.boss (n) ON DELETE CASCADE NOT ENFORCED, plain int REFERENCES v.boss (n) NOT ENFORCED);
               CREATE TABLE v.was_null (id int, v text, CONSTRAINT has_v NOT NULL v NO INHERIT, UNIQUE (id)); INSERT INTO v.was_null VALUES (NULL, 'a'), (NULL, 'b'), (1, 'c');
               ALTER TABLE v.was_null ADD CONSTRAINT has_id NOT NULL id NOT VALID""",
            "INSERT INTO v.boss (n, v) SELECT n, 'v' FROM generate_series(1, 30) n; INSERT INTO v.loose SELECT n, n, n + 100 FROM generate_series(1, 30) n",
            ["DELETE FROM v.boss WHERE n % 3 = 0; UPDATE v.boss SET n = n + 1000 WHERE n < 10; UPDATE v.loose SET boss = 77777 WHERE id = 4",
             "UPDATE v.was_null SET v = 'd', id = 2 WHERE v = 'a'; INSERT INTO v.was_null VALUES (3, 'e'); DELETE FROM v.was_null WHERE id IS NULL; UPDATE v.was_null SET v = 'x' WHERE id = 1"]),
    },
}

NO_TWO_WAY = {"v.lone_only", "v.virtual_only", "v.was_null"}  # they have no key


def features(source, target):
    return [f for version, found in FEATURES.items() if version <= min(source.major, target.major) for f in found.values()]


def create(source, target):
    for made, rows, _ in features(source, target):
        source.psql(f"SET search_path = public; {made}; {rows}")


def check_step(rebeco, source, target, step):
    differences = rig.compare(source, target, sequences=False)
    assert not differences, f"{step}\n{differences}\n{rebeco.log_tail(12)}"


@pytest.mark.limit(240)
@pytest.mark.parametrize("role", ["rds", "plain"])
def test_one_way(source, servers, rebecos, role):
    target = servers("target", role, os.environ.get("REBECO_PG_TARGET"))
    source.run("CREATE SCHEMA v")
    create(source, target)
    rebeco = rebecos(source, target)
    if min(source.major, target.major) >= 18:
        assert "was_null_id_key (may be NULL: id)" in rebeco.command("check").out
    rebeco.start()
    rebeco.wait_in_sync(60)
    assert target.run("SELECT object, message FROM rebeco.problem") == []
    rig.check_equal(source, target)
    for _, _, steps in features(source, target):
        for step in steps:
            source.psql("SET search_path = public; " + step)
            rebeco.wait_in_sync(30)
            check_step(rebeco, source, target, step)
    assert not rebeco.log_lines("paused") and not rebeco.log_lines("level=error"), rebeco.log_tail()
    rig.check_equal(source, target)


@pytest.fixture
def pair(servers):
    """The two ends of a two-way sync."""
    return [servers(name, owner, os.environ.get(f"REBECO_PG_{name.upper()}")) for name, owner in (("source", "app"), ("target", "rds"))]


@pytest.mark.limit(240)
def test_two_way(pair, rebecos):
    """Each step is taken at one end, the next one at the other."""
    source, target = pair
    source.run("CREATE SCHEMA v")
    create(source, target)
    rebeco = rebecos(source, target, config=two_way.config(tables={"include": ["*.*"], "exclude": sorted(t for t in NO_TWO_WAY if source.value("SELECT to_regclass(%s)", t))}))
    rebeco.start()
    two_way.wait_both(rebeco)
    assert target.run("SELECT object, message FROM rebeco.problem") == []
    steps = [s for _, _, steps in features(source, target) for s in steps if not any(t in s for t in NO_TWO_WAY)]
    for i, step in enumerate(steps):
        pair[i % 2].psql("SET search_path = public; " + step)
        two_way.wait_both(rebeco)
        differences = rig.compare(source, target, sequences=False, ignore=NO_TWO_WAY)
        assert not differences, f"{step}\n{differences}\n{rebeco.log_tail(12)}"
    assert not rebeco.log_lines("paused"), rebeco.log_tail()
    assert source.run("SELECT * FROM rebeco.conflict") == []
    rebeco.terminate()


def test_spans_of_both_ends_overlap(pair, rebecos):
    """Keys that differ, and yet cannot stand side by side (PostgreSQL 18): nothing that a policy decides."""
    source, target = pair
    if min(source.major, target.major) < 18:
        pytest.skip("PostgreSQL 18 at both ends has keys WITHOUT OVERLAPS")
    source.psql("CREATE EXTENSION btree_gist; CREATE TABLE price (id int, at daterange, v text, PRIMARY KEY (id, at WITHOUT OVERLAPS)); CREATE TABLE other (id int PRIMARY KEY);"
                "INSERT INTO price SELECT n, '[2026-01-01,2026-07-01)', 'v' FROM generate_series(1, 5) n")
    rebeco = rebecos(source, target, config=two_way.config())
    assert "exclusion constraint price_pkey" in rebeco.command("check").out
    rebeco.start()
    two_way.wait_both(rebeco)
    # The same span, and one that ends earlier at both ends, in the same way and in another.
    two_way.meet(rebeco, source, target, "UPDATE price SET v = 'source' WHERE id = 1; UPDATE price SET at = '[2026-01-01,2026-05-01)' WHERE id = 2",
                 "UPDATE price SET v = 'target' WHERE id = 1; UPDATE price SET at = '[2026-01-01,2026-05-01)' WHERE id = 2")
    two_way.check_equal(source, target)
    two_way.meet(rebeco, source, target, "UPDATE price SET at = '[2026-01-01,2026-03-01)' WHERE id = 3; INSERT INTO other VALUES (1)",
                 "UPDATE price SET at = '[2026-02-01,2026-04-01)' WHERE id = 3; INSERT INTO other VALUES (2)", wait=False)
    rebeco.wait("the span is named", lambda: "2026-0" in (target.value("SELECT concat_ws(' ', paused_what, paused_detail) FROM rebeco.sync_table WHERE source_name = 'price'") or ""))
    rebeco.wait("the other table goes on", lambda: all(s.value("SELECT count(*) FROM other") == 2 for s in pair))
    assert [s.value("SELECT at::text FROM price WHERE id = 3") for s in pair] == ["[2026-01-01,2026-03-01)", "[2026-02-01,2026-04-01)"]
    target.run("UPDATE price SET at = '[2026-03-01,2026-04-01)' WHERE id = 3")
    rebeco.wait("both spans are everywhere", lambda: all(s.value("SELECT count(*) FROM price WHERE id = 3") == 2 for s in pair), 60)
    two_way.wait_both(rebeco)
    two_way.check_equal(source, target)
    rebeco.terminate()


def test_conflicts_of_rows_with_columns_that_are_computed_when_read(pair, rebecos):
    """Decided, merged and replayed without them (PostgreSQL 18)."""
    source, target = pair
    if min(source.major, target.major) < 18:
        pytest.skip("PostgreSQL 18 at both ends has virtual columns")
    columns = "id int PRIMARY KEY, a int, d int, n int NOT NULL, b int GENERATED ALWAYS AS (a * 2) VIRTUAL, s text GENERATED ALWAYS AS (a || ':' || d) STORED, e bigint GENERATED ALWAYS AS (n + d)"
    source.psql("".join(f"CREATE TABLE {t} ({columns}); INSERT INTO {t} SELECT n, n, n, n FROM generate_series(1, 5) n;" for t in ("merged", "decided")))
    rebeco = rebecos(source, target, config=two_way.config(conflict={"default": "source", "merge": ["public.merged"], "counters": {"public.merged": ["n"]}}))
    rebeco.start()
    two_way.wait_both(rebeco)
    changes = ["".join(f"UPDATE {t} SET {change};" for t in ("merged", "decided")) for change in ("a = a + 100, n = n + 1", "d = d + 1000, n = n + 2")]
    two_way.meet(rebeco, source, target, *changes)
    two_way.check_equal(source, target)
    assert source.run("SELECT * FROM merged WHERE id = 3") == [(3, 103, 1003, 6, 206, "103:1003", 1009)]
    assert source.run("SELECT * FROM decided WHERE id = 3") == [(3, 103, 3, 4, 206, "103:3", 7)]
    number = source.value("SELECT id FROM rebeco.conflict WHERE table_name = 'decided' AND key ->> 0 = '3'")
    rebeco.ok("conflicts", "show", str(number))
    rebeco.ok("conflicts", "replay", str(number))
    two_way.wait_both(rebeco)
    two_way.check_equal(source, target)
    assert target.run("SELECT * FROM decided WHERE id = 3") == [(3, 3, 1003, 5, 6, "3:1003", 1008)]
    rebeco.terminate()


@pytest.mark.parametrize("action", ["NO ACTION", "CASCADE", "SET NULL"])
def test_what_is_not_enforced_keeps_nothing_and_removes_nothing(pair, rebecos, action):
    """One end removes a row, the other writes one that refers to it: nobody minds (PostgreSQL 18)."""
    source, target = pair
    if min(source.major, target.major) < 18:
        pytest.skip("PostgreSQL 18 at both ends has foreign keys that are not enforced")
    source.psql(f"CREATE TABLE parent (id int PRIMARY KEY, v int); CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE {action} NOT ENFORCED);"
                "INSERT INTO parent SELECT n FROM generate_series(1, 5) n; INSERT INTO child SELECT n, n FROM generate_series(1, 5) n")
    rebeco = rebecos(source, target, config=two_way.config())
    rebeco.start()
    two_way.wait_both(rebeco)
    two_way.meet(rebeco, source, target, "DELETE FROM parent WHERE id < 4", "INSERT INTO child VALUES (10, 1); UPDATE child SET parent = 3 WHERE id = 4")
    two_way.check_equal(source, target)
    assert source.run("SELECT id FROM parent ORDER BY 1") == [(4,), (5,)]
    assert source.run("SELECT id, parent FROM child ORDER BY 1") == [(1, 1), (2, 2), (3, 3), (4, 3), (5, 5), (10, 1)]
    assert source.run("SELECT * FROM rebeco.conflict") == []
    rebeco.terminate()


# What a source of PostgreSQL 13 may have and no later server takes, or not in the same words.
RETIRED = {
    "AGGREGATE public.collect": "CREATE AGGREGATE collect (anyelement) (SFUNC = array_append, STYPE = anyarray, INITCOND = '{}')",
    "OPERATOR public.!!!": "CREATE FUNCTION half(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 / 2'; CREATE OPERATOR !!! (LEFTARG = int, PROCEDURE = half)",
    "VIEW public.factorial": "CREATE VIEW factorial AS SELECT id, id ! AS f FROM kept",
}


def test_what_newer_servers_do_not_take_any_more(source, target, rebecos):
    """It is named; everything else is copied and followed."""
    if not source.major < 14 <= target.major:
        pytest.skip("from PostgreSQL 13 to a newer one")
    source.psql("CREATE TABLE kept (id int PRIMARY KEY, v text); INSERT INTO kept VALUES (3, 'x');" + ";".join(RETIRED.values()))
    r = rebecos(source, target).start()
    r.wait_phase("follow", 60)
    source.run("UPDATE kept SET v = 'y'")
    rig.wait_converged(source, target)
    named = {name for name, in target.run("SELECT object FROM rebeco.problem WHERE kind = 'schema'")}
    assert named and all(any(name.startswith(word) for name in named) for word in RETIRED), named
    assert all(name in r.ok("status") for name in named)
    assert not r.log_lines("paused"), r.log_tail()
    r.terminate()
