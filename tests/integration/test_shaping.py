"""Tables that are not taken as they are: under another name, with some of their columns, with some of
their rows. Both ends are compared by queries that say what must be there."""

import json

import pytest
import rig

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.item (id serial PRIMARY KEY, name text NOT NULL, price numeric, secret text, made date DEFAULT '2024-05-05');
CREATE TABLE shop."a.b" (id int PRIMARY KEY, v text);
CREATE TABLE shop.event (id bigint GENERATED ALWAYS AS IDENTITY, day date, kind text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE shop.event_1 PARTITION OF shop.event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.event_2 PARTITION OF shop.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
"""
ROWS = """
INSERT INTO shop.item (name, price, secret) SELECT 'n' || i, i, 's' || i FROM generate_series(1, 400) i;
INSERT INTO shop."a.b" SELECT i, 'v' || i FROM generate_series(1, 50) i;
INSERT INTO shop.event (day, kind) SELECT date '2024-06-01' + i, 'k' || i % 5 FROM generate_series(1, 500) i;
"""


def same(source, target, at_source, at_target=None):
    """The rows of two queries are the same."""
    return source.run(at_source) == target.run(at_target or at_source)


def check_same(source, target, at_source, at_target=None):
    a, b = source.run(at_source), target.run(at_target or at_source)
    assert a == b, f"{len(a)} rows at the source, {len(b)} at the target: {a[:3]} {b[:3]}"


def test_sequences_of_schemas_that_are_not_renamed(source, target, rebecos):
    """A sequence nobody owns, in a schema without tables, and in one whose tables go to two schemas, keeps its name."""
    source.psql("CREATE SCHEMA shop; CREATE SCHEMA apart; CREATE TABLE shop.a (id serial PRIMARY KEY); CREATE TABLE shop.b (id serial PRIMARY KEY);"
                "CREATE SEQUENCE apart.s; CREATE SEQUENCE shop.s; INSERT INTO shop.a DEFAULT VALUES; INSERT INTO shop.b DEFAULT VALUES")
    target.psql("CREATE SCHEMA shop; CREATE SCHEMA apart; CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.a (id serial PRIMARY KEY);"
                "CREATE TABLE two.b (id serial PRIMARY KEY); CREATE SEQUENCE apart.s; CREATE SEQUENCE shop.s")
    rebeco = rebecos(source, target, config=rig.config(schema="expect", tables={"rename": {"shop.a": "one.a", "shop.b": "two.b"}})).start()
    rebeco.wait_in_sync()
    source.run("SELECT nextval('apart.s'), nextval('shop.s')")
    for name in ("one.a_id_seq", "two.b_id_seq", "apart.s", "shop.s"):
        rig.eventually(f"{name} is ahead", lambda name=name: target.value(f"SELECT last_value FROM {name}") > 100)
    assert target.run("SELECT object, message FROM rebeco.problem") == []


def paused(target):
    return target.run("SELECT source_name, paused, paused_what, paused_hint FROM rebeco.sync_table WHERE paused IS NOT NULL ORDER BY 1")


def codes(rebeco):
    return {f["code"]: f for f in rebeco.command("check", "--json").json["findings"]}


def test_other_names(source, target, rebecos):
    source.psql(TABLES + ROWS)
    target.psql(TABLES.replace("shop", "store") + 'ALTER TABLE store.item RENAME TO thing; ALTER TABLE store."a.b" RENAME TO "x""y";')
    rename = {'shop.item': 'store.thing', 'shop."a.b"': 'store."x""y"', "shop.*": "store.*"}
    rebeco = rebecos(source, target, config=rig.config(schema="expect", tables={"rename": rename}))
    assert not [f for f in codes(rebeco).values() if f["severity"] == "blocker"]
    rebeco.start()
    rebeco.wait_in_sync()

    def check_all():
        check_same(source, target, "SELECT * FROM shop.item ORDER BY id", "SELECT * FROM store.thing ORDER BY id")
        check_same(source, target, 'SELECT * FROM shop."a.b" ORDER BY id', 'SELECT * FROM store."x""y" ORDER BY id')
        check_same(source, target, "SELECT * FROM shop.event ORDER BY id", "SELECT * FROM store.event ORDER BY id")

    check_all()
    source.psql("UPDATE shop.item SET price = price + 1 WHERE id < 50; DELETE FROM shop.item WHERE id = 60;"
                "INSERT INTO shop.item (name) SELECT 'more' FROM generate_series(1, 500);"
                "TRUNCATE shop.\"a.b\"; INSERT INTO shop.\"a.b\" VALUES (1, 'x'); UPDATE shop.event SET kind = 'moved' WHERE id < 20")
    rebeco.wait_in_sync()
    check_all()
    rig.eventually("the table's sequence is ahead", lambda: target.value("SELECT last_value FROM store.item_id_seq") >= 900)
    target.run("DELETE FROM store.thing WHERE id < 10")
    rebeco.ok("resync", "shop.item")
    rig.eventually("it is copied again", lambda: same(
        source, target, "SELECT * FROM shop.item ORDER BY id", "SELECT * FROM store.thing ORDER BY id"))
    rebeco.terminate()
    source.run("UPDATE shop.item SET name = 'again' WHERE id = 5")
    rebeco.start()
    rebeco.wait_in_sync()
    check_all()
    assert paused(target) == []


def test_some_columns(source, target, rebecos):
    source.psql(TABLES + ROWS)
    listed = {"shop.item": ["id", "name", "price"]}
    rebeco = rebecos(source, target, config=rig.config(tables={"columns": listed}))
    assert not [f for f in codes(rebeco).values() if f["severity"] == "blocker"]
    rebeco.start()
    rebeco.wait_in_sync()
    query = "SELECT id, name, price FROM shop.item ORDER BY id"
    check_same(source, target, query)
    assert target.run("SELECT DISTINCT secret, made::text FROM shop.item") == [(None, "2024-05-05")]
    target.run("UPDATE shop.item SET secret = 'ours' WHERE id = 7")
    source.psql("UPDATE shop.item SET secret = 'x', price = 9 WHERE id < 20; INSERT INTO shop.item (name, secret) VALUES ('m', 'x');"
                "DELETE FROM shop.item WHERE id = 30; ALTER TABLE shop.item ADD unlisted int; UPDATE shop.item SET unlisted = id")
    rebeco.wait("changes arrive", lambda: same(source, target, query))
    assert target.run("SELECT id FROM shop.item WHERE secret IS NOT NULL") == [(7,)]
    rebeco.wait("nothing stands still", lambda: paused(target) == [])
    # Another list: what was not taken is taken now, and what is not any more stays as it is.
    rebeco.terminate()
    rebeco.configure(rig.config(tables={"columns": {"shop.item": ["id", "name", "secret"]}}))
    rebeco.start()
    rebeco.wait("it is copied again", lambda: same(source, target, "SELECT id, name, secret FROM shop.item ORDER BY id"))
    source.run("UPDATE shop.item SET secret = 'newest' WHERE id = 8")
    rebeco.wait("it goes on", lambda: target.value("SELECT secret FROM shop.item WHERE id = 8") == "newest")
    rebeco.wait("nothing stands still", lambda: paused(target) == [])


@pytest.mark.parametrize("columns, words", [(["name", "price"], '"id"'), (["id", "name", "colour"], '"colour"')])
def test_a_list_that_cannot_be(source, target, rebecos, columns, words):
    source.psql(TABLES + ROWS)
    rebeco = rebecos(source, target, config=rig.config(tables={"columns": {"shop.item": columns}}))
    finding = codes(rebeco)["column-list"]
    assert finding["severity"] == "blocker" and words in json.loads(json.dumps(finding["objects"]))[0]["detail"]
    rebeco.start()
    rebeco.wait("it says what is wrong", lambda: any(words.strip('"') in line and "tables.columns" in line
                                                     for line in rebeco.log_lines("table paused")), 60)
    rebeco.wait("the others are copied", lambda: same(source, target, 'SELECT * FROM shop."a.b" ORDER BY id'), 60)


def test_some_rows(source, target, rebecos):
    source.psql(TABLES + ROWS)
    where = {"shop.item": "price > 100 OR item.name = 'kept' -- nobody sees this", "shop.event": "kind IN ('k1', 'k2')"}
    rebeco = rebecos(source, target, config=rig.config(tables={"where": where}, copy={"split_size": "64kB"}))
    assert not [f for f in codes(rebeco).values() if f["severity"] == "blocker"]
    rebeco.start()
    rebeco.wait_in_sync()

    def check_all():
        check_same(source, target, "SELECT * FROM shop.item WHERE price > 100 OR name = 'kept' ORDER BY id", "SELECT * FROM shop.item ORDER BY id")
        check_same(source, target, "SELECT * FROM shop.event WHERE kind IN ('k1', 'k2') ORDER BY id", "SELECT * FROM shop.event ORDER BY id")

    check_all()
    assert target.value("SELECT count(*) FROM shop.item") == 300
    # Rows leave, come, change inside and outside.
    source.psql("UPDATE shop.item SET price = 1 WHERE id BETWEEN 390 AND 400; UPDATE shop.item SET name = 'kept' WHERE id = 5;"
                "UPDATE shop.item SET price = 500 WHERE id = 6; UPDATE shop.item SET price = NULL WHERE id = 200;"
                "INSERT INTO shop.item (name, price) VALUES ('no', 1), ('yes', 1000); DELETE FROM shop.item WHERE id IN (7, 300);"
                "UPDATE shop.event SET kind = 'k1' WHERE id BETWEEN 10 AND 30; UPDATE shop.event SET kind = 'k9' WHERE id BETWEEN 40 AND 60")
    rebeco.wait_in_sync()
    check_all()
    source.psql("BEGIN; TRUNCATE shop.item; INSERT INTO shop.item (name, price) SELECT 'x', i FROM generate_series(50, 150) i; COMMIT")
    rebeco.wait("the truncated table arrives", lambda: target.value("SELECT count(*) FROM shop.item") == 50)
    rebeco.wait_in_sync()
    check_all()
    # Another condition while the daemon is away.
    rebeco.terminate()
    where["shop.item"] = "price <= 100"
    rebeco.configure(rig.config(tables={"where": where}))
    rebeco.start()
    rebeco.wait("it is copied again", lambda: same(
        source, target, "SELECT * FROM shop.item WHERE price <= 100 ORDER BY id", "SELECT * FROM shop.item ORDER BY id"))


@pytest.mark.parametrize("condition", ["prise > 1", "price >", "price", "price > 1; DROP TABLE shop.item"])
def test_a_condition_that_cannot_be(source, target, rebecos, condition):
    source.psql(TABLES + ROWS)
    rebeco = rebecos(source, target, config=rig.config(tables={"where": {"shop.item": condition}}))
    finding = codes(rebeco)["filter-refused"]
    assert finding["severity"] == "blocker"
    rebeco.start()
    rebeco.wait("it stands still with the server's words", lambda: any(r[:2] == ("item", "error") for r in paused(target))
                or rebeco.log_lines("table paused"), 60)
    rebeco.wait("the others are copied", lambda: same(source, target, 'SELECT * FROM shop."a.b" ORDER BY id'), 60)
    assert source.value("SELECT count(*) FROM shop.item") == 400


def test_rules_that_mean_nothing(source, target, rebecos):
    source.psql(TABLES)
    for tables in ({"where": {"shop.itme": "true"}}, {"columns": {"shop.itme": ["id"]}}):
        rebeco = rebecos(source, target, config=rig.config(tables=tables))
        r = rebeco.command("check")
        assert r.code == 2 and "shop.itme" in r.err
        rebeco.start()
        assert rebeco.wait_exit(60) == 2
    for tables, words in (({"rename": {"shop.item": "store.item"}}, "schema: expect"), ({"rename": {"shop.*": "item"}}, "shop.*"),
                          ({"rename": {"*.item": "a.b"}}, "no renaming"), ({"rename": {"shop.i?": "a.b"}}, "no renaming"),
                          ({"columns": {"shop.item": "id"}}, "lists of names")):
        r = rebecos(source, target, config=rig.config(tables=tables)).command("config")
        assert r.code == 2 and words in r.err, r.err


def test_names_that_are_somebody_elses(source, target, rebecos):
    """Two tables trade their names: rows, sequences and views go by them, but a migration that says one of them would change the other."""
    tables = "CREATE TABLE a (id serial PRIMARY KEY, v text); CREATE TABLE b (id serial PRIMARY KEY, parent int REFERENCES a ON DELETE CASCADE);"
    source.psql(tables + "INSERT INTO a (v) SELECT i FROM generate_series(1, 50) i; INSERT INTO b (parent) SELECT i FROM generate_series(1, 50) i")
    target.psql("CREATE TABLE b (id serial PRIMARY KEY, v text); CREATE TABLE a (id serial PRIMARY KEY, parent int REFERENCES b ON DELETE CASCADE);"
                "CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM a")
    rename = {"public.a": "public.b", "public.b": "public.a"}
    rebeco = rebecos(source, target, config=rig.config(schema="expect", materialized_views={"refresh": ["on-change"]}, tables={"rename": rename}))
    rebeco.start()
    rebeco.wait_in_sync()

    def check_all():
        check_same(source, target, "TABLE a ORDER BY 1", "TABLE b ORDER BY 1")
        check_same(source, target, "TABLE b ORDER BY 1", "TABLE a ORDER BY 1")

    source.psql("BEGIN; INSERT INTO a (v) VALUES ('new'); INSERT INTO b (parent) VALUES (51); COMMIT; DELETE FROM a WHERE id < 10;"
                "TRUNCATE b; INSERT INTO b (parent) VALUES (51)")
    rebeco.wait_in_sync()
    check_all()
    rebeco.wait("the view is refreshed", lambda: target.run("TABLE m") == [(1,)], 60)
    for name, least in (("a_id_seq", 100), ("b_id_seq", 100)):
        rig.eventually(f"{name} is ahead", lambda name=name, least=least: target.value(f"SELECT last_value FROM {name}") > least)
    # The sequences are called as their tables are: nothing to complain of.
    assert target.run("SELECT object, message FROM rebeco.problem") == []
    r = rebeco.command("ddl", "-", stdin="ALTER TABLE a DROP COLUMN v")
    assert r.code == 1 and "public.a at the source is public.b at the target" in r.err and "ddl --only target" in r.err, r.err
    assert target.value("SELECT count(*) FROM information_schema.columns WHERE table_name = 'a'") == 2
    # As it says: first there, then here.
    rebeco.ok("ddl", "--only", "target", "-", stdin="ALTER TABLE b ADD more int")
    source.psql("ALTER TABLE a ADD more int; UPDATE a SET more = id")
    rebeco.wait("it goes on", lambda: same(source, target, "SELECT id, more FROM a ORDER BY 1", "SELECT id, more FROM b ORDER BY 1"), 60)
    rebeco.wait("nothing stands still", lambda: paused(target) == [])
    rebeco.wait_in_sync()
    check_all()


def test_a_name_for_two(source, target, rebecos):
    """Two tables cannot become one: the first goes on. One that is left out is in nobody's way, nor the successor of one that is dropped."""
    tables = "CREATE SCHEMA x; CREATE SCHEMA y; CREATE TABLE x.item (id int PRIMARY KEY); CREATE TABLE y.item (id int PRIMARY KEY); CREATE TABLE y.other (id int PRIMARY KEY);"
    source.psql(tables + "INSERT INTO x.item VALUES (1); INSERT INTO y.item VALUES (2)")
    target.psql("CREATE SCHEMA x; CREATE TABLE x.item (id int PRIMARY KEY); CREATE SCHEMA y; CREATE TABLE y.other (id int PRIMARY KEY)")
    rules = {"rename": {"y.item": "x.item"}}
    rebeco = rebecos(source, target, config=rig.config(schema="expect", tables=rules))
    finding = codes(rebeco)["same-target"]
    assert finding["severity"] == "blocker"
    assert finding["objects"] == [{"object": "y.item", "detail": "y.item would be x.item at the target, and so would x.item"}]
    rebeco.start()
    rebeco.wait("one of them stands still", lambda: any("table=y.item" in line and "the same name at the target" in line
                                                        for line in rebeco.log_lines("table paused")), 60)
    rebeco.wait("the other is copied", lambda: target.run("TABLE x.item") == [(1,)])
    rebeco.terminate()
    rebeco.ok("uninstall")
    target.run("TRUNCATE x.item")
    rebeco.configure(rig.config(schema="expect", tables={**rules, "exclude": ["x.item"]}))
    assert not [f for f in codes(rebeco).values() if f["severity"] == "blocker"]
    rebeco.start()
    rebeco.wait_in_sync()
    assert target.run("TABLE x.item") == [(2,)]
    source.run("DROP TABLE y.item")
    rebeco.wait("that it is gone is noticed", lambda: paused(target) != [])
    assert paused(target)[0][2] == "the table is gone at the source"


def test_names_of_the_target_in_words(source, target, rebecos):
    """What is wrong at the target is said by the target's names; partitions go by the name of their root."""
    source.psql("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1)")
    target.psql('CREATE SCHEMA "S.1"; CREATE VIEW "S.1".there AS SELECT 1 AS id; CREATE TABLE full_one (id int PRIMARY KEY); INSERT INTO full_one VALUES (7)')
    rename = {"public.a": '"S.1".there', "public.b": "public.full_one"}
    rebeco = rebecos(source, target, config=rig.config(schema="expect", tables={"rename": rename})).start()
    for words in ('\\"S.1\\".there (public.a at the source) is missing at the target', "public.full_one holds rows at the target already"):
        rebeco.wait(f"it says {words}", lambda words=words: any(words in line for line in rebeco.log_lines("table paused")), 60)
    rebeco.terminate()
    source.psql("CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE p_1 PARTITION OF p DEFAULT")
    for tables in ({"include": ["public.p_1"]}, {"where": {"public.p_1": "id > 1"}}):
        r = rebecos(source, target, config=rig.config(tables=tables)).command("check")
        assert r.code == 2 and "public.p_1" in r.err and "a partition by its root" in r.err, r.err


def test_columns_left_out_that_need_a_value(source, target, rebecos):
    """The table would be made with them, and take no row: `check` says so before."""
    source.psql("CREATE DOMAIN must AS int NOT NULL; CREATE TABLE t (id int PRIMARY KEY, v text, a int NOT NULL, b int NOT NULL DEFAULT 3, "
                "c int GENERATED ALWAYS AS IDENTITY, d must, e int NOT NULL GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO t (id, a, d) VALUES (1, 1, 1)")
    rebeco = rebecos(source, target, config=rig.config(tables={"columns": {"public.t": ["id", "v", "c"]}}))
    finding = codes(rebeco)["target-column-required"]
    assert finding["severity"] == "blocker"
    assert [o["object"] for o in finding["objects"]] == ["public.t"] and "column a, d is not in tables.columns" in finding["objects"][0]["detail"]
    rebeco.start()
    rebeco.wait("it says what to do", lambda: any("gets nothing from the source" in line for line in rebeco.log_lines("table paused")), 60)
    target.psql("ALTER TABLE t ALTER a SET DEFAULT 0, ALTER d SET DEFAULT 9")
    rebeco.wait_in_sync(60)
    check_same(source, target, "SELECT id, v, c FROM t")


def test_another_name_with_all_the_rest(source, target, servers, rebecos):
    """A refused row that is left out, a table without a key, a trigger that is to fire, a part of a table; and all of it goes on to a third
    database, under the old names."""
    tables = ("CREATE SCHEMA one; CREATE TABLE one.refused (id int PRIMARY KEY, v int, secret text); CREATE TABLE one.keyless (v text);"
              "CREATE TABLE one.noted (id int PRIMARY KEY, parent int REFERENCES one.refused); ")
    third = servers("third", "app")
    source.psql(tables + "INSERT INTO one.refused SELECT i, i, 's' FROM generate_series(1, 30) i; INSERT INTO one.keyless SELECT i % 3 FROM generate_series(1, 30) i;")
    for server, schema in ((target, "two"), (third, "one")):
        server.psql(tables.replace("one", schema))
    third.run("ALTER TABLE one.noted DROP CONSTRAINT noted_parent_fkey")  # that role cannot switch it off
    target.psql("ALTER TABLE two.refused ADD CHECK (v < 1000); CREATE TABLE notes (id int);"
                "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.notes VALUES (new.id); RETURN new; END';"
                "CREATE TRIGGER note AFTER INSERT ON two.noted FOR EACH ROW EXECUTE FUNCTION note()")
    rules = {"include": ["one.*"], "rename": {"one.*": "two.*"}, "columns": {"one.refused": ["id", "v"]}, "where": {"one.refused": "v > 10"}, "fire_triggers": ["one.noted"]}
    first = rebecos(source, target, config=rig.config(schema="expect", tables=rules)).start()
    first.wait_in_sync()
    on = rig.config(schema="expect", tables={"include": ["two.*"], "rename": {"two.*": "one.*"}}).replace("name: default", "name: onward")
    second = rebecos(target, third, config=on + "http: {listen: none}\n").start()
    second.wait_phase("follow")
    source.psql("INSERT INTO one.refused VALUES (100, 2000, 'x'), (101, 20, 'x'); UPDATE one.keyless SET v = 'new' WHERE v = '1'; INSERT INTO one.noted VALUES (1, 30)")
    first.wait("it can be left out", lambda: first.command("skip", "one.refused", "100").code == 0, 60)
    first.wait("the others arrive", lambda: target.run("SELECT id FROM two.refused WHERE id > 30") == [(101,)], 60)

    def has_all(server, schema):
        assert server.run(f"SELECT id, v FROM {schema}.refused ORDER BY id") == source.run("SELECT id, v FROM one.refused WHERE v BETWEEN 11 AND 1000 ORDER BY id")
        assert server.run(f"SELECT v, count(*) FROM {schema}.keyless GROUP BY v ORDER BY v") == source.run("SELECT v, count(*) FROM one.keyless GROUP BY v ORDER BY v")
        return server.run(f"SELECT id FROM {schema}.noted") == [(1,)]

    first.wait("all of it is at the target", lambda: has_all(target, "two"), 60)
    second.wait("and behind it", lambda: has_all(third, "one"), 60)
    assert target.run("TABLE notes") == [(1,)]
    source.run("UPDATE one.refused SET v = 7 WHERE id = 100")
    source.run("UPDATE one.refused SET v = 70 WHERE id = 5")
    first.wait("rows come and go", lambda: has_all(target, "two"), 60)
    second.wait("there, too", lambda: has_all(third, "one"), 60)
