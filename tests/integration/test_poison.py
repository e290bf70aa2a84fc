"""Rows that the target refuses: the table stands still and names the row, the others go on, and a
person may retry it or leave the row out, which is recorded."""

import json

import pytest
import rig

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.item (id int PRIMARY KEY, v text, code int);
CREATE TABLE shop.part (a text, b int, v text, PRIMARY KEY (b, a));
CREATE TABLE shop.other (id int PRIMARY KEY, v text);
INSERT INTO shop.item SELECT i, 'v' || i, i FROM generate_series(1, 3000) i;
INSERT INTO shop.part SELECT 'a' || i, i, 'v' FROM generate_series(1, 10) i;
INSERT INTO shop.other SELECT i, 'v' || i FROM generate_series(1, 20) i;
"""


def table(rebeco, name):
    return next(t for t in rebeco.status()["tables"] if t["name"] == name)


def in_step(rebeco):
    """The daemon says so; a kick is answered at once while a table stands still."""
    rebeco.wait("it is in step", lambda: (rebeco.status() or {}).get("in_sync"), 90)


def refused(rebeco, name):
    """The refused row that status names, when it does."""
    return rebeco.wait(f"a row of {name} is named", lambda: table(rebeco, name)["refused"], 60)


def check_others_move(source, target):
    source.run("UPDATE shop.other SET v = v || '+' WHERE id = 1")
    v = source.value("SELECT v FROM shop.other WHERE id = 1")
    rig.eventually("the other table moves", lambda: target.value("SELECT v FROM shop.other WHERE id = 1") == v, 30)


def skip(rebeco, name, *key):
    """The request is refused while the row is being looked for, after a retry."""
    rebeco.wait("the row is left out", lambda: rebeco.command("skip", name, *key).code == 0, 60)


def test_a_check_only_at_the_target(source, target, running):
    target.run("ALTER TABLE shop.item ADD CHECK (code <> -13)")
    # One bad row among thousands of good ones, in one batch.
    source.run("UPDATE shop.item SET v = 'new', code = CASE WHEN id = 1777 THEN -13 ELSE code END WHERE id > 13")
    row = refused(running, "item")
    assert json.loads(row["key"]) == ["1777"]
    assert json.loads(row["row"]) == {"id": "1777", "v": "new", "code": "-13"}
    assert row["operation"] == "write" and "check" in row["error"]
    t = table(running, "item")
    assert t["paused"] == "error" and "1777" in t["what"] and "rebeco skip" in t["hint"]
    assert running.status()["consistent"] is False
    check_others_move(source, target)
    r = running.command("skip", "shop.item", "1778")
    assert r.code == 1 and "another row" in r.err
    skip(running, "shop.item", "1777")
    rig.eventually("the rest is there", lambda: target.value("SELECT count(*) FROM shop.item WHERE v = 'new'") == 2986, 30)
    assert target.run("SELECT v, code FROM shop.item WHERE id = 1777") == [("v1777", 1777)]
    key, row, operation, error, by, at = target.run(
        "SELECT key, row, operation, error, skipped_by, settled_at FROM rebeco.skipped")[0]
    assert (json.loads(key), json.loads(row)["code"], operation, by, at) == (["1777"], "-13", "write", "rds", None)
    assert "check" in error
    running.wait("status shows it", lambda: len(table(running, "item")["skipped"]) == 1)
    assert running.status()["consistent"] is False and running.status()["in_sync"] is False
    assert target.value("SELECT consistent_since FROM rebeco.sync") is None
    assert '["1777"]' in running.ok("status")
    # It stays left out over other changes and a restart ...
    running.kill9()
    running.start()
    source.run("UPDATE shop.item SET v = 'newer' WHERE id = 1776")
    rig.eventually("the table moves", lambda: target.value("SELECT v FROM shop.item WHERE id = 1776") == "newer", 30)
    running.wait("status shows it still", lambda: len(table(running, "item")["skipped"]) == 1)
    r = running.command("retry", "shop.item")
    assert r.code == 1 and "changed at the source" in r.err
    # ... until it changes.
    source.run("UPDATE shop.item SET code = 14 WHERE id = 1777")
    in_step(running)
    running.wait_in_sync()
    rig.check_equal(source, target)
    assert target.value("SELECT settled_at FROM rebeco.skipped") is not None
    assert target.value("SELECT consistent_since FROM rebeco.sync") is not None


def test_what_the_target_does_not_have_yet_is_named(source, target, rebeco):
    """Every month: the source gets a partition; and now and then an enum a value."""
    source.psql("""CREATE TYPE mood AS ENUM ('good'); CREATE TABLE felt (id int PRIMARY KEY, m mood);
                   CREATE TABLE event (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10)""")
    rebeco.start()
    rebeco.wait_in_sync()
    later = "CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (10) TO (20)", "ALTER TYPE mood ADD VALUE 'bad'"
    for sql in later:
        source.run(sql)
    source.psql("INSERT INTO event VALUES (1), (11); INSERT INTO felt VALUES (1, 'bad')")
    for name, advice in ("event", "CREATE TABLE .. PARTITION OF"), ("felt", "ALTER TYPE .. ADD VALUE"):
        refused(rebeco, name)
        assert advice in table(rebeco, name)["hint"] and "rebeco skip" in table(rebeco, name)["hint"]
    for sql in later:
        target.run(sql)
    in_step(rebeco)
    rig.check_equal(source, target)


def test_several_rows_one_after_the_other(source, target, running):
    """A change of a row that is left out is refused again when it is still bad."""
    target.run("ALTER TABLE shop.part ADD CHECK (v <> 'bad')")
    source.run("UPDATE shop.part SET v = 'bad' WHERE b IN (2, 3)")
    source.run("UPDATE shop.part SET v = 'good' WHERE b = 4")
    for n in (1, 2):
        running.wait("a row is left out", lambda: running.command(
            "skip", "shop.part", *json.loads(refused(running, "part")["key"])).code == 0, 60)
        running.wait("it is shown", lambda: len(table(running, "part")["skipped"]) == n and not table(running, "part")["refused"]
                     or n == 1 and table(running, "part")["refused"])
    rig.eventually("the rest is there", lambda: target.value("SELECT v FROM shop.part WHERE b = 4") == "good", 30)
    source.run("UPDATE shop.part SET v = 'bad', a = 'moved' WHERE b = 2")
    running.wait("its new version is refused", lambda: json.loads(refused(running, "part")["key"]) == ["2", "moved"], 60)
    source.run("DELETE FROM shop.part WHERE b IN (2, 3)")
    running.ok("retry", "shop.part")
    in_step(running)
    running.wait_in_sync()
    rig.check_equal(source, target)
    assert target.value("SELECT count(*) FROM rebeco.skipped WHERE settled_at IS NULL") == 0


def test_a_truncate_takes_along_what_is_left_out(source, target, running):
    """It names no key: unless the same row is there again, nothing is left out any more. In one transaction, since a batch
    between the two would find nothing there, and the row be a new one."""
    target.run("ALTER TABLE shop.part ADD CHECK (v <> 'bad')")
    source.run("INSERT INTO shop.part VALUES ('a', 100, 'bad')")
    refused(running, "part")
    skip(running, "shop.part", "100", "a")
    source.psql("BEGIN; TRUNCATE shop.part; INSERT INTO shop.part VALUES ('b', 1, 'good'), ('a', 100, 'bad'); COMMIT")
    rig.eventually("the rest is there", lambda: target.run("SELECT * FROM shop.part") == [("b", 1, "good")], 30)
    running.wait("it is left out again", lambda: len(table(running, "part")["skipped"]) == 1)
    assert target.value("SELECT count(*) FROM rebeco.skipped WHERE settled_at IS NULL") == 1
    source.run("TRUNCATE shop.part")
    in_step(running)
    running.wait_in_sync()
    rig.check_equal(source, target)
    assert running.status()["consistent"] and table(running, "part")["skipped"] == []
    assert target.value("SELECT count(*) FROM rebeco.skipped WHERE settled_at IS NULL") == 0


def test_a_unique_index_only_at_the_target(source, target, running):
    """The row that collides is found also when the other one comes in the same batch; it goes on by
    itself when the index is gone, without a person."""
    target.run("CREATE UNIQUE INDEX only_here ON shop.item (code)")
    source.run("INSERT INTO shop.item VALUES (5001, 'x', 9001), (5002, 'y', 9001), (5003, 'z', 9003)")
    row = refused(running, "item")
    assert json.loads(row["key"]) in (["5001"], ["5002"]) and "only_here" in row["error"]
    check_others_move(source, target)
    assert running.command("retry", "shop.other").code == 1
    target.run("DROP INDEX shop.only_here")
    running.ok("retry")
    in_step(running)
    running.wait_in_sync()
    rig.check_equal(source, target)


def test_it_is_tried_again_by_itself(source, target, running):
    target.run("ALTER TABLE shop.item ADD CONSTRAINT short CHECK (length(v) < 50)")
    source.run("UPDATE shop.item SET v = repeat('x', 51) WHERE id = 5")
    refused(running, "item")
    target.run("ALTER TABLE shop.item DROP CONSTRAINT short")
    in_step(running)
    running.wait_in_sync()
    rig.check_equal(source, target)


def test_a_deletion_that_is_refused(source, servers, rebecos):
    """Without replica role the target's own foreign key stands in the way of a deletion."""
    source.psql(TABLES)
    target = servers("target", "plain")
    r = rebecos(source, target)
    r.start()
    r.wait_in_sync(60)
    target.psql("CREATE TABLE shop.mine (item int REFERENCES shop.item); INSERT INTO shop.mine VALUES (77)")
    source.run("DELETE FROM shop.item WHERE id BETWEEN 50 AND 100")
    row = refused(r, "item")
    assert (json.loads(row["key"]), row["operation"]) == (["77"], "delete")
    skip(r, "shop.item", "77")
    rig.eventually("the rest is there", lambda: target.value("SELECT count(*) FROM shop.item WHERE id BETWEEN 50 AND 100") == 1, 30)
    target.psql("DROP TABLE shop.mine")
    source.run("INSERT INTO shop.item VALUES (77, 'again', 77)")
    in_step(r)
    r.wait_in_sync()
    rig.check_equal(source, target)


def make_database(server, name, owner, encoding):
    server.run(f"CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'", user="postgres")


def test_a_value_that_the_targets_encoding_lacks(source, target, rebecos):
    make_database(target, "latin", "rds", "LATIN1")
    source.psql(TABLES)
    r = rebecos(source, target.url(database="latin"))
    r.start()
    r._target_admin = lambda: target.admin(database="latin")
    in_step(r)
    source.run("UPDATE shop.item SET v = 'price: 5 ' || chr(8364) WHERE id = 5")
    source.run("UPDATE shop.item SET v = chr(228) WHERE id = 6")
    row = refused(r, "item")
    assert json.loads(row["key"]) == ["5"] and "LATIN1" in row["error"]
    assert json.loads(row["row"])["v"] == r"price: 5 \xe2\x82\xac"
    skip(r, "shop.item", "5")
    rig.eventually("the rest is there", lambda: target.value("SELECT v FROM shop.item WHERE id = 6", database="latin") == "\u00e4", 30)
    assert "price" in target.value("SELECT row FROM rebeco.skipped", database="latin")


def test_a_bad_byte_at_the_source(source, target, rebecos):
    """A SQL_ASCII database holds any bytes."""
    make_database(source, "bytes", "app", "SQL_ASCII")
    source.psql(TABLES, database="bytes")
    r = rebecos(source.url(database="bytes"), target)
    r.start()
    r.wait_in_sync(60)
    source.psql(r"UPDATE shop.item SET v = E'caf\351' WHERE id = 5; UPDATE shop.item SET v = 'fine' WHERE id = 6", database="bytes")
    what = r.wait("the row is named", lambda: (table(r, "item").get("detail") or "").startswith("the row: ") and table(r, "item"), 60)
    assert r"5,caf\351," in what["detail"] and "cannot be read" in what["what"]
    assert r.command("skip", "shop.item", "5").code == 1
    source.psql(r"UPDATE shop.item SET v = E'caf\303\251' WHERE id = 5", database="bytes")
    r.ok("retry")
    in_step(r)
    r.wait_in_sync()
    assert target.value("SELECT v FROM shop.item WHERE id = 5") == "caf\u00e9"
    assert target.value("SELECT v FROM shop.item WHERE id = 6") == "fine"


@pytest.mark.parametrize("copying", [False, True])
def test_a_refusal_without_a_name(source, target, rebeco, copying):
    """Extensions refuse values with XX000, as if the server were broken: it is this table's trouble all the same."""
    source.psql("CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY)")
    target.psql("CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY);"
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "IF new.v = 'bad' THEN RAISE 'this is no geometry' USING ERRCODE = 'XX000'; END IF; RETURN new; END $$;"
                "CREATE TRIGGER refuse BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION refuse();"
                "ALTER TABLE a ENABLE ALWAYS TRIGGER refuse")
    if not copying:
        rebeco.start()
        rebeco.wait_in_sync()
    source.psql("INSERT INTO a VALUES (1, 'good'), (2, 'bad'); INSERT INTO b VALUES (1)")
    if copying:
        rebeco.start()
    rebeco.wait("the other table moves", lambda: target.value("SELECT count(*) FROM pg_class WHERE relname = 'b'")
                and target.value("SELECT count(*) FROM b") == 1)
    rebeco.wait("the table stands still", lambda: [t for t in (rebeco.status() or {}).get("tables", [])
                                                   if t["name"] == "a" and t["paused"] == "error" and "no geometry" in t["what"]])
    source.run("UPDATE a SET v = 'good' WHERE id = 2")
    rebeco.ok("retry", "public.a")
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
