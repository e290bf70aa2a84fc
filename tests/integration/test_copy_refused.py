"""Rows that the target refuses while a table is copied: the rest of the table arrives, and the rows are
named one after the other when the table is followed."""

import json

import pytest
import rig
from test_poison import check_others_move, in_step, make_database, refused, skip, table

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.item (id int PRIMARY KEY, v text, code int);
CREATE TABLE shop.other (id int PRIMARY KEY, v text);
"""
ROWS = """
INSERT INTO shop.item SELECT i, 'v' || i, i FROM generate_series(1, 5000) i;
INSERT INTO shop.other SELECT i, 'v' || i FROM generate_series(1, 20) i;
"""


def begin(source, target, rebecos, here, **options):
    """The target has the tables already, with something more."""
    source.psql(TABLES + ROWS)
    target.psql(TABLES + here)
    r = rebecos(source, target, rig.config(schema="expect", **options))
    return r


def started(r):
    r.start()
    r.wait("it knows its tables", lambda: (r.status() or {}).get("tables"), 60)


def leave_out(r, *keys):
    """One after the other, whichever is named first."""
    left = {str(k) for k in keys}
    while left:
        key = json.loads(refused(r, "item")["key"])
        assert key[0] in left
        skip(r, "shop.item", *key)
        r.wait("it is left out", lambda k=key: k in [json.loads(s["key"]) for s in table(r, "item")["skipped"]])
        left -= set(key)


def test_a_unique_index_only_at_the_target(source, target, rebecos):
    """Never a silent difference: the rows that lose are named."""
    r = begin(source, target, rebecos, "CREATE UNIQUE INDEX only_here ON shop.item (code)")
    source.run("UPDATE shop.item SET code = 4000 WHERE id IN (17, 4444)")
    started(r)
    rig.eventually("the rest is there", lambda: target.value("SELECT count(*) FROM shop.item") == 4998, 60)
    there = target.value("SELECT id FROM shop.item WHERE code = 4000")
    leave_out(r, *({17, 4000, 4444} - {there}))
    check_others_move(source, target)
    assert r.status()["in_sync"] is False and target.value("SELECT consistent_since FROM rebeco.sync") is None
    target.psql("DROP INDEX shop.only_here")
    source.run("UPDATE shop.item SET v = 'again' WHERE code = 4000")
    in_step(r)
    rig.check_equal(source, target)


HERE = """
ALTER TABLE shop.item ADD CHECK (code <> 13), ADD CHECK (v IS NOT NULL);
CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON shop.item FOR EACH ROW WHEN (NEW.id = 3333) EXECUTE FUNCTION shop.refuse();
ALTER TABLE shop.item ENABLE ALWAYS TRIGGER refuse;
"""


def test_each_way_of_refusing(source, target, rebecos):
    """Chunks of a few pages, loaded while the daemon is killed: whatever was logged or loaded twice, what is there is
    right, and only the bad rows are named."""
    r = begin(source, target, rebecos, HERE, copy={"split_size": "64kB", "streams": 2})
    source.run("UPDATE shop.item SET v = NULL WHERE id = 4001")
    for _ in range(4):
        r.start()
        rig.eventually("something is loaded", lambda: target.value("SELECT to_regclass('rebeco.chunk')")
                       and target.value("SELECT count(*) FROM rebeco.chunk WHERE done_at IS NOT NULL"), 60)
        r.kill9()
    started(r)
    rig.eventually("the rest is there", lambda: target.value("SELECT count(*) FROM shop.item") == 4997, 60)
    leave_out(r, 13, 3333, 4001)
    assert sorted(target.run("SELECT key, settled_at FROM rebeco.skipped")) == [('["13"]', None), ('["3333"]', None), ('["4001"]', None)]
    target.psql("ALTER TABLE shop.item DROP CONSTRAINT item_code_check; DROP TRIGGER refuse ON shop.item")
    source.run("UPDATE shop.item SET v = 'mended' WHERE id IN (13, 3333, 4001)")
    in_step(r)
    rig.check_equal(source, target)


def test_keys_of_several_columns(source, target, rebecos):
    """A deferrable key, which ON CONFLICT does not take; texts with quotes; a column whose name is another's key."""
    make = 'CREATE SCHEMA shop; CREATE TABLE shop.item ("a b" text, c numeric, "K" regclass, v text, PRIMARY KEY (c, "a b", "K") DEFERRABLE)'
    source.psql(make + """; INSERT INTO shop.item SELECT E'it''s "' || i, i, 'pg_class', 'v' FROM generate_series(1, 1000) i""")
    target.psql(make + "; ALTER TABLE shop.item ADD CHECK (c <> 500)")
    r = rebecos(source, target, rig.config(schema="expect"))
    started(r)
    key = json.loads(refused(r, "item")["key"])
    assert key == ["500", 'it\'s "500', "pg_class"]
    skip(r, "shop.item", *key)
    rig.eventually("the rest is there", lambda: target.value("SELECT count(*) FROM shop.item") == 999, 60)
    source.run("DELETE FROM shop.item WHERE c = 500")
    in_step(r)
    rig.check_equal(source, target)


def test_too_many_are_no_matter_of_rows(source, target, rebecos):
    """The table stands still with the server's words, and goes on by itself when that is mended."""
    r = begin(source, target, rebecos, "ALTER TABLE shop.item ADD CONSTRAINT small CHECK (code < 0)")
    source.psql("INSERT INTO shop.item SELECT i, 'v', i FROM generate_series(5001, 12000) i")
    started(r)
    r.wait("it stands still", lambda: table(r, "item")["paused"] == "error" and "small" in table(r, "item")["what"], 60)
    assert target.value("SELECT count(*) FROM shop.item") == 0
    check_others_move(source, target)
    target.psql("ALTER TABLE shop.item DROP CONSTRAINT small")
    r.ok("retry", "shop.item")
    in_step(r)
    rig.check_equal(source, target)


def test_names_of_what_the_target_has_not(source, target, rebecos):
    """A value of regclass is the name of a table, and so on: where the target has none of that name the row is named, and the others arrive."""
    made = "CREATE SCHEMA shop; CREATE TABLE shop.item (id int PRIMARY KEY, r regclass, t regtype, o regrole, p regprocedure[], v text); CREATE TABLE shop.other (id int PRIMARY KEY, v text)"
    source.run("CREATE ROLE only_here", user="postgres")
    source.psql(made + "; CREATE TABLE shop.secret (id int PRIMARY KEY); CREATE TYPE shop.mine AS (a int); CREATE FUNCTION shop.of_mine(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
                "INSERT INTO shop.item SELECT i, 'pg_class', 'int', 'app', '{now()}', 'v' FROM generate_series(1, 3000) i; INSERT INTO shop.other VALUES (1, 'x');"
                "UPDATE shop.item SET r = 'shop.secret' WHERE id = 5; UPDATE shop.item SET t = 'shop.mine[]' WHERE id = 6; UPDATE shop.item SET o = 'only_here' WHERE id = 7;"
                "UPDATE shop.item SET p = '{now(),shop.of_mine(int)}' WHERE id = 8")
    target.psql(made)
    r = rebecos(source, target, rig.config(schema="expect", tables={"include": ["shop.item", "shop.other"]}))
    started(r)
    rig.eventually("the rest is there", lambda: target.value("SELECT count(*) FROM shop.item") == 2996, 60)
    assert json.loads(refused(r, "item")["key"])[0] in "5678"
    check_others_move(source, target)
    target.run("CREATE ROLE only_here", user="postgres")
    target.psql("CREATE TABLE shop.secret (id int PRIMARY KEY); CREATE TYPE shop.mine AS (a int); CREATE FUNCTION shop.of_mine(int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    r.ok("retry", "shop.item")
    in_step(r)
    rig.check_equal(source, target)


MAKE = """
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ({labels});
CREATE DOMAIN shop.code AS int CHECK (VALUE <> {never});
CREATE TYPE shop.pair AS (a int, b text);
CREATE TABLE shop.item (id text PRIMARY KEY, v text, code shop.code, mood shop.mood, p shop.pair, q shop.pair, c char(5), f float8[]{more});
CREATE TABLE shop.other (id int PRIMARY KEY, v text);
"""
VALUES = r"""
INSERT INTO shop.item SELECT 'k' || i, E'\\''" \n' || chr(233) || i, i, 'ok', ROW(i, NULL)::shop.pair, CASE WHEN i % 2 = 0 THEN ROW(NULL, NULL)::shop.pair END, 'c',
    CASE WHEN i % 3 > 0 THEN '{NaN,-0}'::float8[] END FROM generate_series(1, 4000) i;
UPDATE shop.item SET mood = 'new' WHERE id = 'k14';
UPDATE shop.item SET v = chr(8364) WHERE id = 'k15';
UPDATE shop.item SET id = 'k16' || chr(8364) WHERE id = 'k16';
INSERT INTO shop.other VALUES (1, 'x');
"""
EURO = r"k16\xe2\x82\xac"


def as_text(server, database, where="true"):
    return server.run(f"SELECT t::text, p IS NULL, q IS NULL FROM shop.item t WHERE {where} ORDER BY id COLLATE \"C\"", database=database)


@pytest.mark.parametrize("form", ["binary", "text"])
def test_values_that_do_not_enter(source, target, rebecos, form):
    """A character that the target's encoding lacks, in a value and in a key; a domain and an enum type that are
    narrower there. Small chunks, and kills."""
    make_database(target, "latin", "rds", "LATIN1")
    more = "" if form == "binary" else ", r regclass DEFAULT 'pg_class'"
    source.psql(MAKE.format(labels="'sad', 'ok', 'new'", never=-1, more=more) + VALUES)
    target.psql(MAKE.format(labels="'sad', 'ok'", never=13, more=more), database="latin")
    r = rebecos(source, target.url(database="latin"), rig.config(schema="expect", copy={"split_size": "64kB", "streams": 2}))
    r._target_admin = lambda: target.admin(database="latin")
    for _ in range(3):
        r.start()
        rig.eventually("something is loaded", lambda: target.value("SELECT to_regclass('rebeco.chunk')", database="latin")
                       and target.value("SELECT count(*) FROM rebeco.chunk WHERE done_at IS NOT NULL", database="latin"), 60)
        r.kill9()
    started(r)
    leave_out(r, "k13", "k14", "k15", EURO)
    good = f"id NOT IN ('k13', 'k14', 'k15', 'k16' || chr({8364}))"
    rig.eventually("the rest is there", lambda: target.value("SELECT count(*) FROM shop.item", database="latin") == 3996, 60)
    assert as_text(target, "latin") == as_text(source, "app", good)
    assert r.log_lines("rows are refused by the target")
    source.psql("UPDATE shop.item SET code = 12, mood = 'sad', v = 'x' WHERE id IN ('k13', 'k14', 'k15')")
    rig.eventually("what is mended is there", lambda: as_text(target, "latin") == as_text(source, "app", f"id <> 'k16' || chr({8364})"), 60)
    r.wait("one is left out still", lambda: [json.loads(s["key"]) for s in table(r, "item")["skipped"]] == [[EURO]])
    # There can be no such row to remove.
    source.psql("UPDATE shop.item SET id = 'k16' WHERE id = 'k16' || chr(8364)")
    in_step(r)
    assert as_text(target, "latin") == as_text(source, "app")
    assert target.value("SELECT count(*) FROM rebeco.skipped WHERE settled_at IS NULL", database="latin") == 0


def test_values_of_which_none_enters(source, target, rebecos):
    """The table stands still with the server's words, after three tries of a chunk."""
    make = "CREATE SCHEMA shop; CREATE DOMAIN shop.code AS int{}; CREATE TABLE shop.item (id int PRIMARY KEY, code shop.code); CREATE TABLE shop.other (id int PRIMARY KEY, v text)"
    source.psql(make.format("") + "; INSERT INTO shop.item SELECT i, i FROM generate_series(1, 12000) i; INSERT INTO shop.other VALUES (1)")
    target.psql(make.format(" CHECK (VALUE < 0)"))
    r = rebecos(source, target, rig.config(schema="expect"))
    started(r)
    r.wait("it stands still", lambda: table(r, "item")["paused"] == "error" and "violates check" in table(r, "item")["what"], 60)
    assert target.value("SELECT count(*) FROM shop.item") == 0
    check_others_move(source, target)
    target.psql("ALTER DOMAIN shop.code DROP CONSTRAINT code_check")
    r.ok("retry", "shop.item")
    in_step(r)
    rig.check_equal(source, target)
