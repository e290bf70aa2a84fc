"""Columns that only the target has: what is in them stays, a row that arrives gets their default, and
one that cannot do without a value is said with its remedy."""

import pytest
import rig

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.item (id int PRIMARY KEY, name text UNIQUE, price numeric);
INSERT INTO shop.item SELECT i, 'n' || i, i FROM generate_series(1, 300) i;
CREATE TABLE shop.other (id int PRIMARY KEY, v text);
"""

EXTRA = """
ALTER TABLE shop.item ADD note text, ADD rank int NOT NULL DEFAULT 7, ADD made timestamptz NOT NULL DEFAULT clock_timestamp(),
  ADD no bigint GENERATED ALWAYS AS IDENTITY, ADD double numeric GENERATED ALWAYS AS (price * 2) STORED
"""

SAME = "SELECT id, name, price FROM shop.item ORDER BY id"


def paused(target):
    return target.run("SELECT paused, paused_what, paused_hint FROM rebeco.sync_table WHERE paused IS NOT NULL")


def same(source, target):
    return source.run(SAME) == target.run(SAME)


def test_extra_columns_stay_untouched(source, target, rebecos):
    for server in (source, target):
        server.psql(TABLES)
    target.run("DELETE FROM shop.item")
    target.run(EXTRA)
    rebeco = rebecos(source, target).start()
    rebeco.wait_in_sync()
    assert same(source, target)
    assert paused(target) == []
    target.run("UPDATE shop.item SET note = 'ours ' || id, rank = id")
    before = target.run("SELECT id, note, rank, made, no FROM shop.item WHERE id > 20 ORDER BY id")
    source.run("UPDATE shop.item SET price = price + 1000 WHERE id > 20")
    source.run("INSERT INTO shop.item VALUES (1001, 'new', 5)")
    source.run("DELETE FROM shop.item WHERE id = 20")
    rebeco.wait_in_sync()
    assert same(source, target)
    assert target.run("SELECT id, note, rank, made, no FROM shop.item WHERE id BETWEEN 21 AND 1000 ORDER BY id") == before
    note, rank, double = target.run("SELECT note, rank, double FROM shop.item WHERE id = 1001")[0]
    assert (note, rank, double) == (None, 7, 10)


def test_a_column_that_comes_while_following(source, target, rebeco):
    """At the target first: no drift, and what is written into it there stays; then at the source too."""
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    target.run("ALTER TABLE shop.item ADD note text DEFAULT 'none'")
    target.run("UPDATE shop.item SET note = 'ours' WHERE id = 5")
    source.run("UPDATE shop.item SET price = 0 WHERE id IN (5, 6)")
    rig.eventually("the rows arrive", lambda: same(source, target))
    assert target.run("SELECT note FROM shop.item WHERE id IN (5, 6) ORDER BY id") == [("ours",), ("none",)]
    rig.eventually("nothing stands still", lambda: paused(target) == [])
    # A person lets the daemon see it before the source has it: what the target holds by then is not known.
    rebeco.wait("it is planned again", lambda: target.value(
        "SELECT target_layout LIKE '%%\"note\"%%' FROM rebeco.sync_table WHERE source_name = 'item'"))
    source.run("ALTER TABLE shop.item ADD note text DEFAULT 'none'")
    source.run("UPDATE shop.item SET price = 1 WHERE id = 6")
    rig.wait_converged(source, target, 40)
    source.run("UPDATE shop.item SET note = 'theirs' WHERE id = 5")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


@pytest.mark.parametrize("column", ["grade int NOT NULL", "grade shop.must"])
def test_a_column_that_needs_a_value(source, target, rebeco, column):
    source.psql(TABLES + "CREATE DOMAIN shop.basis AS int NOT NULL; CREATE DOMAIN shop.must AS shop.basis;"
                "CREATE TABLE shop.user_of_it (id shop.must PRIMARY KEY);")
    rebeco.start()
    rebeco.wait_in_sync()
    with target.connect() as c:
        c.run("BEGIN")
        c.run("DELETE FROM shop.item")
        c.run(f"ALTER TABLE shop.item ADD {column}")
        c.run("COMMIT")
    rebeco.wait("it stands still and says why", lambda: any(
        reason == "drift" and "grade" in what and "needs a value" in what and "DROP COLUMN" in hint and "SET DEFAULT" in hint
        for reason, what, hint in paused(target)), 20)
    source.run("INSERT INTO shop.other VALUES (1, 'moves')")
    rig.eventually("the others go on", lambda: target.value("SELECT v FROM shop.other") == "moves")
    target.run("ALTER TABLE shop.item ALTER grade SET DEFAULT 3")
    rebeco.wait("it goes on by itself", lambda: paused(target) == [], 20)
    source.run("UPDATE shop.item SET price = price + 1")
    rebeco.wait("every row is there again", lambda: same(source, target))
    assert target.run("SELECT DISTINCT grade FROM shop.item") == [(3,)]


def test_a_dropped_column_may_be_kept_under_another_name(source, target, rebeco):
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    source.run("ALTER TABLE shop.item DROP price")
    rebeco.wait("it stands still", lambda: any("price" in what and "DROP COLUMN" in hint for _, what, hint in paused(target)))
    target.run("ALTER TABLE shop.item RENAME price TO old_price")
    rebeco.wait("it goes on", lambda: paused(target) == [], 20)
    source.run("UPDATE shop.item SET name = 'other' WHERE id = 9")
    rebeco.wait("the row arrives", lambda: target.value("SELECT name FROM shop.item WHERE id = 9") == "other")
    assert target.value("SELECT count(*) FROM shop.item WHERE old_price = id") == 300
