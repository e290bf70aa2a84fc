"""Triggers and rules of the target: they do not fire for rows that arrive, unless the configuration asks for
it, and `check` says where that cannot be had."""

import pytest
import rig

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.kind (id int PRIMARY KEY, name text UNIQUE);
CREATE TABLE shop.item (id int PRIMARY KEY, kind int REFERENCES shop.kind, name text UNIQUE);
CREATE TABLE shop.part (id int PRIMARY KEY, item int NOT NULL REFERENCES shop.item ON DELETE CASCADE, name text);
CREATE TABLE shop.bare (item int REFERENCES shop.item ON DELETE SET NULL, v text);
"""
# What the target has besides: every event of every table is written down.
WATCH = """
CREATE SCHEMA watch;
CREATE TABLE watch.seen (n serial, tab text, what text, level text);
CREATE FUNCTION watch.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO watch.seen (tab, what, level) VALUES (TG_TABLE_NAME, TG_OP, TG_WHEN || ' ' || TG_LEVEL);
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY '{kind,item,part,bare}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON shop.%I FOR EACH ROW EXECUTE FUNCTION watch.note()', t);
        EXECUTE format('CREATE TRIGGER b AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON shop.%I FOR EACH STATEMENT EXECUTE FUNCTION watch.note()', t);
        EXECUTE format('CREATE CONSTRAINT TRIGGER c AFTER INSERT OR UPDATE OR DELETE ON shop.%I DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION watch.note()', t);
    END LOOP;
END $$;
"""
ROWS = """
INSERT INTO shop.kind SELECT i, 'k' || i FROM generate_series(1, 10) i;
INSERT INTO shop.item SELECT i, i % 10 + 1, 'i' || i FROM generate_series(1, 100) i;
INSERT INTO shop.part SELECT i, i % 100 + 1, 'p' || i FROM generate_series(1, 300) i;
INSERT INTO shop.bare SELECT i % 100 + 1, 'b' || i FROM generate_series(1, 50) i;
"""
# New parents with their children, children that move, parents that go with theirs.
CHANGES = """
BEGIN; INSERT INTO shop.kind VALUES (11, 'new'); INSERT INTO shop.item VALUES (101, 11, 'new'); INSERT INTO shop.part VALUES (301, 101, 'new');
INSERT INTO shop.bare VALUES (101, 'x'); COMMIT;
BEGIN; UPDATE shop.item SET kind = 1 WHERE kind = 5; DELETE FROM shop.kind WHERE id = 5; DELETE FROM shop.item WHERE id = 7; COMMIT;
BEGIN; UPDATE shop.kind SET name = 'tmp' WHERE id = 2; UPDATE shop.kind SET name = 'k2' WHERE id = 3; UPDATE shop.kind SET name = 'k3' WHERE id = 2; COMMIT;
DELETE FROM shop.part WHERE id BETWEEN 50 AND 60; UPDATE shop.part SET name = name || '!' WHERE id < 5;
"""


def seen(target, level="%"):
    return {t for t, in target.run("SELECT DISTINCT tab FROM watch.seen WHERE level LIKE %s", level)}


def findings(rebeco, code):
    return [o for f in rebeco.command("check", "--json").json["findings"] if f["code"] == code for o in f["objects"]]


def running(source, target, rebecos, **tables):
    source.psql(TABLES + ROWS)
    target.psql(TABLES + WATCH)
    rebeco = rebecos(source, target, config=rig.config(schema="expect", tables={"include": ["shop.*"], **tables}))
    rebeco.start()
    rebeco.wait_in_sync(60)
    return rebeco


def test_nothing_fires(source, target, rebecos):
    rebeco = running(source, target, rebecos)
    assert seen(target) == set() and findings(rebeco, "target-trigger") == []
    source.psql(CHANGES + "TRUNCATE shop.bare; INSERT INTO shop.bare VALUES (1, 'again')")
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target, ignore=("watch.seen",))
    assert seen(target) == set()
    target.run("ALTER TABLE shop.kind ENABLE ALWAYS TRIGGER a; ALTER TABLE shop.part ENABLE REPLICA TRIGGER b")
    said = {f["object"]: f["detail"] for f in findings(rebeco, "target-trigger")}
    assert said == {"shop.kind": "a (fires always)", "shop.part": "b (fires for replication)"}
    source.psql("UPDATE shop.kind SET name = 'x' || id; UPDATE shop.part SET name = 'x'; UPDATE shop.item SET name = 'x' || id")
    rebeco.wait_in_sync(60)
    assert seen(target) == {"kind", "part"}


def test_some_are_to_fire(source, target, rebecos):
    """Those of the tables that are named do, for changes but not for the copy; with foreign keys between tables
    of both kinds, and rows whose unique values trade places."""
    rebeco = running(source, target, rebecos, fire_triggers=["shop.item", "shop.bare"])
    assert seen(target) == set() and findings(rebeco, "target-trigger") == []
    source.psql(CHANGES)
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target, ignore=("watch.seen",))
    # The cascade of a row that goes is a statement on shop.part, which finds no row there any more.
    assert seen(target, "%ROW") == {"item", "bare"}
    kinds = {tuple(r) for r in target.run("SELECT what, level FROM watch.seen WHERE tab = 'item'")}
    assert {("INSERT", "BEFORE ROW"), ("UPDATE", "AFTER STATEMENT"), ("DELETE", "AFTER ROW"), ("INSERT", "AFTER ROW")} <= kinds
    target.run("DELETE FROM watch.seen")
    source.psql("BEGIN; UPDATE shop.kind SET name = 'y' || id; UPDATE shop.part SET name = 'y'; UPDATE shop.item SET name = 'y' || id; DELETE FROM shop.bare WHERE item < 50; COMMIT")
    rebeco.terminate()
    rebeco.start()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target, ignore=("watch.seen",))
    assert seen(target) == {"item", "bare"}
    target.run("DELETE FROM watch.seen")
    rebeco.ok("resync", "shop.part", "shop.bare")
    rebeco.wait_in_sync(60)
    assert seen(target) == set()


def test_a_row_that_a_trigger_refuses(source, target, rebecos):
    """It is found and named although only the trigger refuses it, and may be left out."""
    source.psql(TABLES + ROWS)
    target.psql(TABLES + "CREATE FUNCTION shop.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.name = 'bad' THEN "
                         "RAISE EXCEPTION 'no bad kind' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$;"
                         "CREATE TRIGGER no BEFORE INSERT OR UPDATE ON shop.kind FOR EACH ROW EXECUTE FUNCTION shop.no()")
    rebeco = rebecos(source, target, config=rig.config(schema="expect", tables={"fire_triggers": ["*.kind"]}))
    rebeco.start()
    rebeco.wait_in_sync(60)
    source.psql("INSERT INTO shop.kind SELECT i, CASE i WHEN 77 THEN 'bad' ELSE 'good' || i END FROM generate_series(50, 99) i")
    rebeco.wait("it is named", lambda: [t for t in rebeco.status()["tables"] if t["name"] == "kind" and t["refused"]])
    rebeco.ok("skip", "shop.kind", "77")
    rebeco.wait("the others are there", lambda: target.value("SELECT count(*) FROM shop.kind") == 59)
    source.run("UPDATE shop.kind SET name = 'good' WHERE id = 77")
    rebeco.wait("this one too", lambda: target.value("SELECT count(*) FROM shop.kind") == 60)
    rig.check_equal(source, target)


def test_where_the_role_cannot_prevent_it(source, plain_target, rebecos):
    """`check` names the tables whose triggers will fire, but for those where they are asked for."""
    source.psql(TABLES + ROWS)
    plain_target.psql(TABLES + WATCH)
    rebeco = rebecos(source, plain_target, config=rig.config(
        schema="expect", tables={"include": ["shop.*"], "fire_triggers": ["shop.item"]}))
    assert {f["object"] for f in findings(rebeco, "target-trigger")} == {"shop.kind", "shop.part", "shop.bare"}
    assert findings(rebeco, "replica-role-refused")


DROPS = ("CREATE SCHEMA d; CREATE FUNCTION d.drop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id %% 100 = 7 THEN RETURN NULL; END IF; "
         "RETURN NEW; END $$; CREATE TRIGGER d BEFORE INSERT ON shop.kind FOR EACH ROW EXECUTE FUNCTION d.drop();".replace("%%", "%"))


@pytest.mark.parametrize("asked", [False, True])
def test_rows_that_a_trigger_drops_while_they_are_copied(source, plain_target, rebecos, asked):
    """It returns NULL, and no statement fails: the table stands still and says so, in one piece or after a kill, when its
    chunks go through a temporary table; unless it was asked for."""
    source.psql(TABLES + "INSERT INTO shop.kind SELECT i, repeat('k' || i, 100) FROM generate_series(1, 5000) i")
    plain_target.psql(TABLES + DROPS)
    tables = {"include": ["shop.kind"], "fire_triggers": ["shop.kind"] if asked else []}
    rebeco = rebecos(source, plain_target, config=rig.config(schema="expect", tables=tables, copy={"streams": 1, "split_size": "1MB"}))
    rebeco.start()
    if asked:
        rebeco.wait_in_sync(60)
        assert plain_target.value("SELECT count(*) FROM shop.kind") == 4950
        return
    for done in "now()", "NULL":
        rebeco.wait("it is said", lambda: plain_target.run(
            "SELECT 1 FROM rebeco.sync_table WHERE paused = 'error' AND paused_what LIKE '%dropped by a trigger%' AND paused_hint LIKE '%DISABLE TRIGGER%'"))
        assert plain_target.value("SELECT consistent_since FROM rebeco.sync") is None
        rebeco.kill9()
        # As if one chunk were there already: the others go through a temporary table then.
        plain_target.run(f"UPDATE rebeco.chunk SET done_at = {done} WHERE number = 1")
        plain_target.run("UPDATE rebeco.sync_table SET paused = NULL, paused_what = NULL")
        if done == "NULL":
            plain_target.run("ALTER TABLE shop.kind DISABLE TRIGGER d")
        rebeco.start()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, plain_target)


@pytest.mark.parametrize("more, words", [({"mode": "two-way"}, "mode: one-way"), ({}, "shop.nothing")])
def test_what_cannot_be_asked(source, target, rebecos, more, words):
    source.psql(TABLES)
    rebeco = rebecos(source, target, config=rig.config(tables={"fire_triggers": ["shop.nothing"]}, **more))
    r = rebeco.command("run", timeout=30)
    assert r.code == 2 and words in r.err and "rebeco.yaml:" in r.err, r


def test_rules_do_not_act(source, target, rebeco):
    """Rules come with the schema, and would do twice what was done at the source, or refuse it."""
    source.psql("""CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE log (id serial PRIMARY KEY, what text);
                   CREATE RULE also AS ON UPDATE TO t DO ALSO INSERT INTO log (what) VALUES ('update ' || old.id);
                   CREATE RULE deaf AS ON DELETE TO t WHERE old.v = 'stay' DO INSTEAD NOTHING;
                   INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20) i""")
    assert findings(rebeco, "target-rule") == []
    rebeco.start()
    rebeco.wait_in_sync(60)
    source.psql("UPDATE t SET v = 'stay' WHERE id < 5; DELETE FROM t WHERE id < 10; INSERT INTO t VALUES (30, 'new')")
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
