"""Tables whose rows cannot be told apart: by images, and as a whole. Duplicates are counted, at both ends."""

import random
import time
from collections import Counter

import pytest
import rig


def rows(server, table):
    """The rows of a table as a multiset of texts, read without any help of Rebeco."""
    return Counter(r[0] for r in server.run(f"SELECT t::text FROM {table} t", user="postgres"))


def check(rebeco, source, target, step):
    source.psql(step)
    rebeco.wait_in_sync(30)
    differences = rig.compare(source, target)
    assert not differences, f"{step}\n{differences}\n{rebeco.log_tail(12)}"


def no_pause(rebeco):
    assert not rebeco.log_lines("paused"), rebeco.log_tail()


def copies(rebeco, table):
    return len([line for line in rebeco.log_lines("table copied") if table in line])


STEPS = [
    "INSERT INTO t SELECT 1, 'one' FROM generate_series(1, 5)",
    "DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE a = 1 LIMIT 2)",
    "UPDATE t SET b = 'two' WHERE ctid IN (SELECT ctid FROM t WHERE a = 1 LIMIT 1)",
    "UPDATE t SET b = b",
    "INSERT INTO t VALUES (NULL, NULL), (NULL, NULL), (NULL, ''), (2, NULL), (0, NULL)",
    "DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE a IS NULL AND b IS NULL LIMIT 1)",
    "BEGIN; INSERT INTO t VALUES (9, 'gone'); DELETE FROM t WHERE a = 9; INSERT INTO t VALUES (8, 'x'); UPDATE t SET b = 'y' WHERE a = 8; COMMIT",
    "BEGIN; INSERT INTO t VALUES (7, 'kept'); SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; COMMIT",
    "UPDATE t SET a = a + 1; UPDATE t SET a = a - 1; UPDATE t SET a = 3 - a WHERE a IN (1, 2)",
    "INSERT INTO t SELECT * FROM t; INSERT INTO t SELECT * FROM t",
    "TRUNCATE t",
    "INSERT INTO t SELECT i % 3, 'x' FROM generate_series(1, 10) i; TRUNCATE t; INSERT INTO t VALUES (5, 'after'), (5, 'after')",
    "BEGIN; INSERT INTO t VALUES (6, 'before'); TRUNCATE t; INSERT INTO t VALUES (6, 'between'); DELETE FROM t; INSERT INTO t VALUES (6, 'after'); COMMIT",
    "BEGIN; SAVEPOINT s; TRUNCATE t; INSERT INTO t VALUES (1, 'undone'); ROLLBACK TO s; INSERT INTO t VALUES (6, 'after'); COMMIT",
    "MERGE INTO t USING (VALUES (6, 'm'), (7, 'n')) v (a, b) ON t.a = v.a WHEN MATCHED THEN UPDATE SET b = v.b WHEN NOT MATCHED THEN INSERT VALUES (v.a, v.b)",
    "COPY (SELECT 1) TO STDOUT; DELETE FROM t",
]


@pytest.mark.parametrize("form", ["row", "statement"])
def test_duplicates_are_counted(source, target, rebecos, form):
    source.psql("CREATE TABLE t (a int, b text); INSERT INTO t SELECT i % 4, 'x' FROM generate_series(1, 20) i; CREATE TABLE k (a int PRIMARY KEY)")
    rebeco = rebecos(source, target, rig.config(capture=form)).start()
    rebeco.wait_in_sync()
    assert rebeco.log_lines("table without a key"), rebeco.log_tail()
    for step in STEPS:
        if "MERGE" in step and source.value("SHOW server_version_num") < "150000":
            continue
        check(rebeco, source, target, step + "; INSERT INTO k SELECT count(*) FROM k")
    no_pause(rebeco)
    assert copies(rebeco, "public.t") == 1
