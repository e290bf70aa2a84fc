"""The demo's comparison must see every difference: a demo that cannot fail proves nothing."""

import os
import subprocess

import pytest
import rig

COMPARE = os.path.join(rig.TOP, "tests/demo/compare")
SETUP = '''
CREATE SCHEMA "Odd ""schema""";
CREATE TABLE "Odd ""schema"""."a 'table'" (id int PRIMARY KEY, "b c" text, d bytea);
INSERT INTO "Odd ""schema"""."a 'table'" SELECT i, 'row ' || i, decode(md5(i::text), 'hex')
  FROM generate_series(1, 1000) i;
CREATE TABLE part (a int, b int) PARTITION BY LIST (a);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
INSERT INTO part SELECT 1 + i % 2, i FROM generate_series(1, 100) i;
CREATE MATERIALIZED VIEW totals AS SELECT a, sum(b) AS b FROM part GROUP BY a;
CREATE SCHEMA rebeco;
CREATE TABLE rebeco.state (a int);
'''
TABLE = '"Odd ""schema"""."a \'table\'"'


def compare(source, target, *options):
    r = subprocess.run([COMPARE, *options, source.url(), target.url()], capture_output=True, text=True)
    return r.returncode, r.stdout + r.stderr


def test_equal_ends_are_equal(source, target):
    source.psql(SETUP)
    target.psql(SETUP)
    target.run("INSERT INTO rebeco.state VALUES (1)")
    code, text = compare(source, target)
    assert code == 0, text
    assert "2 of 2 equal, 1,100 rows" in text


@pytest.mark.parametrize("change, word", [
    (f"UPDATE {TABLE} SET \"b c\" = 'row 8' WHERE id = 7", "DIFFERENT"),
    (f"UPDATE {TABLE} SET d = NULL WHERE id = 7", "DIFFERENT"),
    (f"UPDATE {TABLE} SET \"b c\" = CASE id WHEN 1 THEN 'row 2' ELSE 'row 1' END WHERE id < 3", "DIFFERENT"),
    (f"DELETE FROM {TABLE} WHERE id = 7", "DIFFERENT: 1,000 rows at the source, 999 at the target"),
    ("INSERT INTO part VALUES (2, 5)", "101 at the target"),
    (f"ALTER TABLE {TABLE} RENAME d TO e", "names or types"),
    (f"ALTER TABLE {TABLE} ALTER id TYPE bigint", "names or types"),
    (f"DROP TABLE {TABLE}", "ONLY AT THE SOURCE"),
    ("CREATE TABLE more ()", "ONLY AT THE TARGET"),
])
def test_a_difference_is_found(source, target, change, word):
    source.psql(SETUP)
    target.psql(SETUP)
    target.run(change)
    code, text = compare(source, target)
    assert code == 3, text
    assert word in text


def test_a_stale_materialized_view_is_found(source, target):
    source.psql(SETUP)
    target.psql(SETUP)
    assert compare(source, target, "--matviews")[0] == 0
    source.run("INSERT INTO part VALUES (1, 7)")
    source.run("REFRESH MATERIALIZED VIEW totals")
    code, text = compare(source, target, "--matviews")
    assert code == 3 and "DIFFERENT" in text, text


def test_nothing_to_compare_is_no_success(source, target):
    assert compare(source, target)[0] == 3


def test_an_end_that_is_away_is_no_success(source, target):
    source.psql(SETUP)
    target.psql(SETUP)
    target.stop()
    assert compare(source, target)[0] == 1
