"""Foreign keys of every form, at a target whose role may switch them off and at one whose role may not.
There they are checked, and act, while rows are written: the end must be the source's state all the same."""

import contextlib
import random

import psycopg2
import pytest
import rig

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.parent (id int PRIMARY KEY, code int NOT NULL UNIQUE, name text UNIQUE);
CREATE TABLE shop.plain (id int PRIMARY KEY, parent int NOT NULL REFERENCES shop.parent);
CREATE TABLE shop.falls (id int PRIMARY KEY, parent int REFERENCES shop.parent ON DELETE CASCADE ON UPDATE CASCADE,
                         code int REFERENCES shop.parent (code) ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE shop.nulled (id int PRIMARY KEY, parent int REFERENCES shop.parent ON DELETE SET NULL ON UPDATE SET NULL);
CREATE TABLE shop.preset (id int PRIMARY KEY, parent int DEFAULT 0 REFERENCES shop.parent ON DELETE SET DEFAULT ON UPDATE SET DEFAULT);
CREATE TABLE shop.strict (id int PRIMARY KEY, parent int REFERENCES shop.parent ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE shop.keyed (parent int REFERENCES shop.falls ON DELETE CASCADE ON UPDATE CASCADE, no int, PRIMARY KEY (parent, no));
CREATE TABLE shop.tree (id int PRIMARY KEY, up int REFERENCES shop.tree);
CREATE TABLE shop.fall_tree (id int PRIMARY KEY, up int REFERENCES shop.fall_tree ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE shop.egg (id int PRIMARY KEY, hen int, v int);
CREATE TABLE shop.hen (id int PRIMARY KEY, egg int NOT NULL REFERENCES shop.egg, v int);
ALTER TABLE shop.egg ADD FOREIGN KEY (hen) REFERENCES shop.hen;
CREATE TABLE shop.yin (id int PRIMARY KEY, yang int NOT NULL);
CREATE TABLE shop.yang (id int PRIMARY KEY, yin int NOT NULL REFERENCES shop.yin DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE shop.yin ADD FOREIGN KEY (yang) REFERENCES shop.yang DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE shop.ring (id int PRIMARY KEY, rung int);
CREATE TABLE shop.rung (id int PRIMARY KEY, ring int REFERENCES shop.ring ON DELETE CASCADE);
ALTER TABLE shop.ring ADD FOREIGN KEY (rung) REFERENCES shop.rung ON DELETE SET NULL;
CREATE TABLE shop.part_parent (id int, zone int, PRIMARY KEY (id, zone)) PARTITION BY LIST (zone);
CREATE TABLE shop.part_parent_1 PARTITION OF shop.part_parent FOR VALUES IN (1);
CREATE TABLE shop.part_parent_2 PARTITION OF shop.part_parent FOR VALUES IN (2);
CREATE TABLE shop.part_child (id int, zone int, parent int, PRIMARY KEY (id, zone),
    FOREIGN KEY (parent, zone) REFERENCES shop.part_parent) PARTITION BY LIST (zone);
CREATE TABLE shop.part_child_1 PARTITION OF shop.part_child FOR VALUES IN (1);
CREATE TABLE shop.part_child_2 PARTITION OF shop.part_child FOR VALUES IN (2);
INSERT INTO shop.parent SELECT i, 100 + i, 'n' || i FROM generate_series(0, 20) i;
"""


@pytest.fixture(params=["may not", "may"])
def end(request, servers, source, rebecos):
    """A target whose role may, or may not, switch foreign keys off; with a daemon in step."""
    target = servers("target", "plain" if request.param == "may not" else "rds")
    target.rebeco = rebecos(source, target)
    return target


@pytest.fixture
def plain(source, plain_target, rebecos):
    plain_target.rebeco = rebecos(source, plain_target)
    return plain_target


def go(source, target, sql):
    source.psql(sql)
    target.rebeco.start()
    target.rebeco.wait_in_sync(60)


def paused(target):
    return target.run("SELECT source_name, paused, paused_what, paused_hint FROM rebeco.sync_table WHERE paused IS NOT NULL ORDER BY 1")


def arrives(source, target, sql):
    """What the statements leave is at the target, and no table ever had to stand still for it."""
    source.psql("BEGIN;" + sql + ";COMMIT")
    target.rebeco.wait_in_sync()
    assert rig.compare(source, target) == []
    assert paused(target) == []
    assert target.rebeco.log_lines("table paused") == []


STATEMENTS = [
    "INSERT INTO shop.parent VALUES ({a}, 100 + {a}, 'n{a}')",
    "DELETE FROM shop.parent WHERE id = {a} AND id > 0",
    "UPDATE shop.parent SET id = {b} WHERE id = {a} AND id > 0",
    "UPDATE shop.parent SET code = 1000 + {n} WHERE id = {a}",
    "UPDATE shop.parent SET name = 'm{n}' WHERE id = {a}",
    "DELETE FROM shop.plain WHERE parent = {a}",
    "UPDATE shop.plain SET parent = {b} WHERE parent = {a}",
    "UPDATE shop.strict SET parent = {b} WHERE parent = {a}",
    "DELETE FROM shop.parent WHERE id = {a} AND id > 0; INSERT INTO shop.parent VALUES (20 + {a}, 100 + {a}, 'n{a}')",
    "INSERT INTO shop.parent VALUES (50 + {a}, 200 + {a}, 'x{a}'); UPDATE shop.plain SET parent = 50 + {a} WHERE parent = {a};"
    "DELETE FROM shop.parent WHERE id = {a} AND id > 0; UPDATE shop.parent SET name = 'n{a}' WHERE id = 50 + {a}",
    *[f"INSERT INTO shop.{t} VALUES ({{c}} * 10 + {{b}}, {{a}})" for t in ("plain", "falls", "nulled", "preset", "strict")],
    "INSERT INTO shop.falls SELECT {c} * 10 + {b}, {a}, code FROM shop.parent WHERE id = {b}",
    "INSERT INTO shop.keyed SELECT id, {a} FROM shop.falls WHERE parent = {b}",
    *[s.format(t=t, a="{a}", b="{b}") for t in ("tree", "fall_tree") for s in (
        "INSERT INTO shop.{t} VALUES ({a}, nullif({b}, {a}))", "UPDATE shop.{t} SET up = {b} WHERE id = {a}",
        "DELETE FROM shop.{t} WHERE id = {a}", "UPDATE shop.{t} SET id = {b} WHERE id = {a}",
        "WITH RECURSIVE d AS (SELECT {a} AS id UNION SELECT t.id FROM shop.{t} t JOIN d ON t.up = d.id) "
        "DELETE FROM shop.{t} USING d WHERE {t}.id = d.id")],
    "INSERT INTO shop.egg VALUES ({a}); INSERT INTO shop.hen VALUES ({a}, {a}); UPDATE shop.egg SET hen = {a} WHERE id = {a}",
    "UPDATE shop.egg SET hen = {b}, v = {c} WHERE id = {a}",
    "UPDATE shop.egg SET hen = NULL WHERE id = {a}; DELETE FROM shop.hen WHERE id = {a}; DELETE FROM shop.egg WHERE id = {a}",
    "INSERT INTO shop.yin VALUES ({a}, {a}); INSERT INTO shop.yang VALUES ({a}, {a})",
    "UPDATE shop.yin SET yang = {b} WHERE id = {a}",
    "DELETE FROM shop.yin WHERE id = {a}; DELETE FROM shop.yang WHERE id = {a}",
    "INSERT INTO shop.ring VALUES ({a}); INSERT INTO shop.rung VALUES ({a}, {b}); UPDATE shop.ring SET rung = {c} WHERE id = {b}",
    "DELETE FROM shop.ring WHERE id = {a}", "DELETE FROM shop.rung WHERE id = {a}",
    "DELETE FROM shop.ring WHERE id = {a}; INSERT INTO shop.ring VALUES ({a}); INSERT INTO shop.rung VALUES ({b}, {a})",
    "INSERT INTO shop.part_parent VALUES ({a}, 1 + {b} % 2); INSERT INTO shop.part_child VALUES ({c}, 1 + {b} % 2, {a})",
    "DELETE FROM shop.part_child WHERE parent = {a}; DELETE FROM shop.part_parent WHERE id = {a}",
    "UPDATE shop.part_child SET parent = {b} WHERE id = {a}",]


@pytest.mark.limit(300)
def test_many_transactions(source, end):
    """Statements that the source's foreign keys refuse are left out; what it takes must arrive."""
    go(source, end, TABLES)
    rng = random.Random(7)
    taken = 0
    with source.connect() as c:
        for number in range(500):
            c.run("BEGIN")
            for _ in range(rng.choice([1, 1, 2, 5, 30])):
                statement = rng.choice(STATEMENTS).format(n=number, a=rng.randrange(1, 20), b=rng.randrange(1, 20), c=rng.randrange(1, 20))
                c.run("SAVEPOINT s")
                try:
                    c.run(statement)
                    taken += 1
                except psycopg2.Error:
                    c.run("ROLLBACK TO s")
            try:
                c.run("COMMIT")
            except psycopg2.Error:
                pass
            if number % 125 == 124:
                end.rebeco.wait_in_sync()
                assert rig.compare(source, end) == []
    assert taken > 1000
    assert paused(end) == []
    assert end.value("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'shop'::regnamespace") == \
        source.value("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'shop'::regnamespace")
    # The names of the partitions' own are the server's choice, and another one from 18 on.
    same = "SELECT conname, condeferrable, condeferred FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 ORDER BY conrelid::regclass::text, conname"
    assert [r for r in end.run(same) if "sync" not in r[0] and "chunk" not in r[0]] == \
        [r for r in source.run(same) if "sync" not in r[0] and "chunk" not in r[0]], "constraints stay as they were"


def test_hard_ones(source, plain):
    """What no order alone can do. Nothing stands still for any of it."""
    go(source, plain, TABLES)
    # A key moves while others refer to it, and takes its unique values along.
    arrives(source, plain, "INSERT INTO shop.plain SELECT i, i FROM generate_series(1, 20) i")
    arrives(source, plain, "INSERT INTO shop.parent VALUES (70, 170, NULL); UPDATE shop.plain SET parent = 70 WHERE parent = 3;"
            "DELETE FROM shop.parent WHERE id = 3; UPDATE shop.parent SET code = 103, name = 'n3' WHERE id = 70")
    # A tree larger than a statement, in an unlucky order, not to be put off; and its end.
    arrives(source, plain, "INSERT INTO shop.tree SELECT i, nullif(i + 1, 5001) FROM generate_series(1, 5000) i ORDER BY i DESC")
    arrives(source, plain, "DELETE FROM shop.tree")
    # A cycle that is not deferrable, more rows than a statement takes.
    arrives(source, plain, "INSERT INTO shop.egg SELECT i FROM generate_series(1, 5000) i;"
            "INSERT INTO shop.hen SELECT i, 5001 - i FROM generate_series(1, 5000) i; UPDATE shop.egg SET hen = id")
    arrives(source, plain, "UPDATE shop.egg SET hen = NULL; DELETE FROM shop.hen; DELETE FROM shop.egg")
    arrives(source, plain, "TRUNCATE shop.parent CASCADE; INSERT INTO shop.parent SELECT i, 100 + i, 'm' || i FROM generate_series(0, 9) i;"
            "INSERT INTO shop.plain SELECT i, i FROM generate_series(1, 9) i")


def test_unique_values_trade_places(source, plain):
    """Between rows that others refer to: they are removed for a moment, which nobody may notice."""
    go(source, plain, """
        CREATE SCHEMA shop;
        CREATE TABLE shop.parent (id int PRIMARY KEY, name text NOT NULL UNIQUE);
        CREATE TABLE shop.plain (id int PRIMARY KEY, parent int NOT NULL REFERENCES shop.parent);
        INSERT INTO shop.parent SELECT i, 'n' || i FROM generate_series(1, 10) i;
        INSERT INTO shop.plain SELECT i, i FROM generate_series(1, 10) i;""")
    arrives(source, plain, "UPDATE shop.parent SET name = 'x' WHERE id = 1; UPDATE shop.parent SET name = 'n1' WHERE id = 2;"
            "UPDATE shop.parent SET name = 'n2' WHERE id = 1")
    assert plain.value("SELECT count(*) FROM shop.plain") == 10


def test_a_foreign_key_that_only_the_target_has(source, plain):
    """What is refused at the end of a batch is laid at its table's door, also a partition; others go on."""
    go(source, plain, """
        CREATE SCHEMA shop;
        CREATE TABLE shop.parent (id int PRIMARY KEY);
        CREATE TABLE shop.child (id int, parent int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
        CREATE TABLE shop.child_1 PARTITION OF shop.child FOR VALUES FROM (0) TO (1000);
        CREATE TABLE shop.other (id int PRIMARY KEY);""")
    plain.run("ALTER TABLE shop.child ADD CONSTRAINT ours FOREIGN KEY (parent) REFERENCES shop.parent DEFERRABLE INITIALLY DEFERRED")
    source.psql("INSERT INTO shop.child VALUES (1, 7); INSERT INTO shop.other VALUES (1)")
    plain.rebeco.wait("the child stands still", lambda: [r[:2] for r in paused(plain)] == [("child", "error")])
    assert "ours" in paused(plain)[0][2]
    rig.eventually("the other table goes on", lambda: plain.value("SELECT count(*) FROM shop.other") == 1)
    source.run("INSERT INTO shop.parent VALUES (7)")
    rig.eventually("the parent goes on", lambda: plain.value("SELECT count(*) FROM shop.parent") == 1)
    plain.rebeco.ok("resume", "shop.child")
    rig.wait_converged(source, plain, 60)


def test_a_table_that_goes_on_later(source, plain):
    """What foreign keys do for its old changes must not hit rows that are past them."""
    go(source, plain, """
        CREATE SCHEMA shop;
        CREATE TABLE shop.parent (id int PRIMARY KEY, code int NOT NULL UNIQUE);
        CREATE TABLE shop.child (id int PRIMARY KEY, code int REFERENCES shop.parent (code) ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE shop.other (id int PRIMARY KEY, parent int REFERENCES shop.parent ON DELETE CASCADE);
        INSERT INTO shop.parent VALUES (1, 10), (3, 30);
        INSERT INTO shop.child VALUES (1, 10), (3, 30);""")
    plain.rebeco.ok("pause", "shop.parent")
    source.psql("UPDATE shop.parent SET code = 11 WHERE id = 1; INSERT INTO shop.parent VALUES (2, 10);"
                "INSERT INTO shop.child VALUES (2, 10); UPDATE shop.child SET code = 10 WHERE id = 3; INSERT INTO shop.other VALUES (1, 3)")
    plain.rebeco.wait("the child waits for it", lambda: any(
        name == "child" and "waits for shop.parent" in what for name, _, what, _ in paused(plain)))
    rig.eventually("the other goes on", lambda: plain.value("SELECT count(*) FROM shop.other") == 1)
    plain.rebeco.ok("resume", "shop.parent")
    rig.wait_converged(source, plain, 60)


def test_a_foreign_key_that_cannot_be_put_off(source, plain):
    """Somebody reads the table, and goes on reading: the batch cannot have its lock. The rest goes on."""
    go(source, plain, """
        CREATE SCHEMA shop;
        CREATE TABLE shop.egg (id int PRIMARY KEY, hen int);
        CREATE TABLE shop.hen (id int PRIMARY KEY, egg int NOT NULL REFERENCES shop.egg);
        ALTER TABLE shop.egg ADD FOREIGN KEY (hen) REFERENCES shop.hen;
        CREATE TABLE shop.other (id int PRIMARY KEY);""")
    with plain.connect() as reader:
        reader.run("BEGIN")
        reader.run("SELECT count(*) FROM shop.hen")
        source.psql("BEGIN; INSERT INTO shop.egg VALUES (1); INSERT INTO shop.hen VALUES (1, 1); UPDATE shop.egg SET hen = 1; COMMIT;"
                    "INSERT INTO shop.other VALUES (1)")
        plain.rebeco.wait("a table stands still and says what to do", lambda: any(
            "cannot be put off" in what and "DEFERRABLE" in hint for _, _, what, hint in paused(plain)))
        rig.eventually("the other table goes on", lambda: plain.value("SELECT count(*) FROM shop.other") == 1)
        reader.run("COMMIT")
    for name, *_ in paused(plain):
        plain.rebeco.ok("resume", f"shop.{name}")
    rig.wait_converged(source, plain, 60)


def test_a_table_goes_on_with_those_that_wait_for_it(source, plain):
    """Two that refer to one another get through together or not at all: what a foreign key holds does not wait for its own time."""
    go(source, plain, """
        CREATE SCHEMA shop;
        CREATE TABLE shop.egg (id int PRIMARY KEY, hen int);
        CREATE TABLE shop.hen (id int PRIMARY KEY, egg int NOT NULL REFERENCES shop.egg);
        ALTER TABLE shop.egg ADD FOREIGN KEY (hen) REFERENCES shop.hen;
        CREATE TABLE shop.chick (id int PRIMARY KEY, hen int NOT NULL REFERENCES shop.hen);""")
    plain.rebeco.ok("pause", "shop.egg")
    source.psql("BEGIN; INSERT INTO shop.egg VALUES (1); INSERT INTO shop.hen VALUES (1, 1); UPDATE shop.egg SET hen = 1;"
                "INSERT INTO shop.chick VALUES (1, 1); COMMIT")
    plain.rebeco.wait("the others are refused", lambda: [
        name for name, _, what, _ in paused(plain) if "cannot be written" in what] == ["chick", "hen"])
    before = plain.rebeco.log_lines("table paused")
    plain.rebeco.ok("resume", "shop.egg")
    rig.wait_converged(source, plain, 60)
    assert plain.rebeco.log_lines("table paused") == before


@pytest.mark.parametrize("whole", [False, True])
def test_rows_without_a_key_under_a_value_that_has_a_new_owner(source, plain_target, rebecos, whole):
    """The old owner is removed before the new one can be written, and with it go rows that cannot be written once
    more: the table of the owners stands still instead."""
    plain_target.rebeco = rebecos(source, plain_target, rig.config(tables={"whole": ["shop.child"], "whole_every": "100ms"}) if whole else None)
    go(source, plain_target, """
        CREATE SCHEMA shop;
        CREATE TABLE shop.parent (id int PRIMARY KEY, code int UNIQUE);
        CREATE TABLE shop.child (code int REFERENCES shop.parent (code) ON DELETE CASCADE, v text);
        INSERT INTO shop.parent VALUES (1, 5);
        INSERT INTO shop.child VALUES (5, 'a'), (5, 'a');""")
    source.psql("BEGIN; DELETE FROM shop.parent WHERE id = 1; INSERT INTO shop.parent VALUES (2, 5);"
                "INSERT INTO shop.child VALUES (5, 'a'), (5, 'a'), (5, 'b'); COMMIT")
    plain_target.rebeco.wait("it stands still", lambda: any(
        name == "parent" and "drop those foreign keys" in hint for name, _, _, hint in paused(plain_target)), 60)
    assert plain_target.value("SELECT count(*) FROM shop.parent WHERE id = 1") == 1

    def dropped():  # a try of the batch may have one of the two tables, and want the other
        with contextlib.suppress(psycopg2.errors.DeadlockDetected):
            plain_target.run("ALTER TABLE shop.child DROP CONSTRAINT child_code_fkey")
            return True
    rig.eventually("the foreign key is dropped", dropped)
    plain_target.rebeco.ok("retry")
    rig.wait_converged(source, plain_target, 60)
    assert plain_target.value("SELECT count(*) FROM shop.child") == 3


def test_a_copy_that_cannot_begin(source, plain):
    """Rows refer to what would have to go first. Each try asks the source anew from where it is to be read, so that to go on without the
    copy would lose what was changed before: the table stands still until the copy is there, also for who says `retry`."""
    go(source, plain, "CREATE SCHEMA shop; CREATE TABLE shop.parent (id int PRIMARY KEY); CREATE TABLE shop.child (id int PRIMARY KEY, parent int REFERENCES shop.parent);"
       "CREATE TABLE shop.other (id int PRIMARY KEY); INSERT INTO shop.parent SELECT generate_series(1, 9)")

    def refused():
        return plain.log_tail(10000).count("ERROR:  table shop.parent cannot be emptied")
    plain.rebeco.ok("resync", "shop.parent")
    plain.rebeco.wait("it stands still", lambda: "cannot be emptied" in str(paused(plain)))
    source.run("INSERT INTO shop.parent VALUES (10)")
    before = refused()
    plain.rebeco.wait("it was tried again", lambda: refused() > before + 1)
    plain.rebeco.ok("retry", "shop.parent")
    source.run("INSERT INTO shop.other VALUES (1)")
    plain.rebeco.wait("the others go on", lambda: plain.value("SELECT count(*) FROM shop.other"))
    assert [p[0] for p in paused(plain)] == ["parent"]
    plain.psql("DELETE FROM shop.parent")
    plain.rebeco.ok("retry", "shop.parent")
    rig.wait_converged(source, plain)
    assert paused(plain) == [] and plain.value("SELECT count(*) FROM shop.parent") == 10
