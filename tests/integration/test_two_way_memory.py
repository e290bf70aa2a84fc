"""Rounds of a two-way sync with more, or wider, conflicts than fit in the daemon's memory."""

import time

import pytest
import rig
from two_way import ONLY, check_equal, config, meet, roles, source, target, wait_both  # noqa: F401

MB = 1024 * 1024
BOUND = 64 * MB

TABLE = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, {}) i"


def start(source, target, rebecos, made, **sync):
    source.psql(made)
    rebeco = rebecos(source, target, config=config(**sync), binary=rig.RELEASE)
    rebeco.start()
    wait_both(rebeco)
    return rebeco


def meet_while_off(rebeco, source, target, at_source, at_target):
    """Both ends are written to while no daemon runs: one round finds both. Gives what that one and its start cost in memory."""
    rebeco.terminate()
    source.psql(at_source)
    target.psql(at_target)
    rebeco._rss_seen = 0
    began = time.monotonic()
    rebeco.start()
    wait_both(rebeco, 120)
    print(f"{time.monotonic() - began:.1f} s, {rebeco.peak_rss() / MB:.0f} MB")
    rebeco.terminate()
    return rebeco.peak_rss() if rebeco.binary == rig.RELEASE and rig.RELEASE != rig.REBECO else 0


def recorded(server):
    return server.run("SELECT count(*), count(DISTINCT key::text), min(length(source_row::text)), min(length(target_row::text)), "
                      "count(*) FILTER (WHERE source_row ->> 'v' NOT LIKE 's%' OR target_row ->> 'v' NOT LIKE 't%'), "
                      "string_agg(DISTINCT decision, ' '), count(DISTINCT batch) FROM rebeco.conflict")


@pytest.mark.limit(300)
@pytest.mark.parametrize("rows, width, row", [(20000, 2000, 0), (8, 8 * MB, 8 * MB) if rig.LONG else (5, 6 * MB, 6 * MB)], ids=["many", "wide"])
def test_memory_of_conflicts(source, target, rebecos, rows, width, row):
    """Every row has both versions on record at both ends, and the daemon never has more than a few of them."""
    rebeco = start(source, target, rebecos, TABLE.format(rows), conflict={"default": "target"})
    peak = meet_while_off(rebeco, source, target, *(f"UPDATE t SET v = '{end}' || repeat(md5(id::text), {width // 32})" for end in ("s", "t")))
    check_equal(source, target)
    for server in (source, target):
        assert recorded(server) == [(rows, rows, *[recorded(server)[0][2]] * 2, 0, "target", 1)]
        assert recorded(server)[0][2] >= width // 32 * 32
    assert source.value("SELECT count(*) FROM t WHERE v LIKE 't%'") == rows
    assert peak < BOUND + 10 * row


def paged(rows, width=4096):
    """As many rows as there are, and the same with so few bytes that one page holds them: what comes of both must be the same."""
    return pytest.mark.parametrize("rows, width", [(12, 32), (rows, width)], ids=["one page", "many pages"])


def changed(end, width):
    return f"'{end}' || repeat(md5(id::text), {width // 32})"


@paged(1500)
@pytest.mark.parametrize("closed", ["source", "target"])
def test_pages_while_a_direction_is_closed(source, target, rebecos, rows, width, closed):
    """The end at which nothing is written learns the records afterwards, once each."""
    rebeco = start(source, target, rebecos, TABLE.format(rows), conflict={"default": "skip"})
    x, y = (source, target) if closed == "source" else (target, source)
    rebeco.ok("direction", ONLY[closed])
    rebeco.ok("pause")
    for s, end in (source, "s"), (target, "t"):
        s.run(f"UPDATE t SET v = {changed(end, width)}")
    rebeco.ok("resume")
    rebeco.wait("it was decided", lambda: x.value("SELECT count(*) FROM rebeco.conflict") == rows)
    rebeco.ok("direction", "both")
    wait_both(rebeco)
    for s, end in (source, "s"), (target, "t"):
        assert recorded(s) == [(rows, rows, *recorded(s)[0][2:4], 0, "skip", 1)]
        assert s.value(f"SELECT count(*) FROM t WHERE v = {changed(end, width)}") == rows
    rebeco.terminate()


@paged(1500)
def test_pages_of_an_aborted_round(source, target, rebecos, rows, width):
    """Nothing of it is written down, and the message knows all of them."""
    rebeco = start(source, target, rebecos, TABLE.format(rows), conflict={"default": "abort"})
    meet(rebeco, source, target, *(f"UPDATE t SET v = {changed(end, width)}" for end in "st"), wait=False)
    rebeco.wait("the table is paused", lambda: target.value("SELECT paused FROM rebeco.sync_table WHERE source_name = 't'"))
    assert f"{rows} rows of" in target.value("SELECT paused_what FROM rebeco.sync_table WHERE source_name = 't'")
    assert source.value("SELECT count(*) FROM rebeco.conflict") == target.value("SELECT count(*) FROM rebeco.conflict") == 0
    source.run("UPDATE t SET v = 'same'")
    target.run("UPDATE t SET v = 'same'")
    rebeco.ok("resume", "public.t")
    wait_both(rebeco)
    check_equal(source, target)
    rebeco.terminate()


@paged(1500)
def test_pages_of_rows_that_are_kept_for_others(source, target, rebecos, rows, width):
    """The removal has won, and that is written down; but a row of the source refers to every third one: that is written down instead."""
    rebeco = start(source, target, rebecos, TABLE.format(rows) + "; CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t)", conflict={"default": "target"})
    meet(rebeco, source, target, f"UPDATE t SET v = {changed('s', width)}; INSERT INTO child SELECT i, i FROM generate_series(1, {rows}) i WHERE i % 3 = 0", "DELETE FROM t")
    check_equal(source, target)
    for s in source, target:
        assert s.value("SELECT count(*) FROM t") == rows // 3
        assert s.run("SELECT kind LIKE 'parent%', decision, count(*), count(DISTINCT key::text), bool_or((key ->> 0)::int % 3 = 0) FROM rebeco.conflict GROUP BY 1, 2 ORDER BY 1") \
            == [(False, "target", rows - rows // 3, rows - rows // 3, False), (True, "source", rows // 3, rows // 3, True)]
    rebeco.wait("all of them count", lambda: rebeco.status()["back"]["conflicts"] == rows)
    rebeco.terminate()


@paged(600)
def test_pages_of_merged_rows(source, target, rebecos, rows, width):
    """Sums are added once, and columns of which both ends have changed one are written down."""
    source.psql(f"CREATE TABLE t (id int PRIMARY KEY, v text, n int, w text); INSERT INTO t SELECT i, 'old', 0, 'w' FROM generate_series(1, {rows}) i")
    rebeco = rebecos(source, target, config=config(conflict={"default": "target", "merge": ["public.t"], "counters": {"public.t": ["n"]}}))
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target, f"UPDATE t SET n = n + 1, w = 'source'; UPDATE t SET v = {changed('s', width)} WHERE id % 2 = 0", f"UPDATE t SET n = n + 2, v = {changed('t', width)}")
    check_equal(source, target)
    for s in source, target:
        assert s.run("SELECT n, w, left(v, 1), count(*) FROM t GROUP BY 1, 2, 3") == [(3, "source", "t", rows)]
        assert recorded(s) == [(rows // 2, rows // 2, *recorded(s)[0][2:4], 0, "target", 1)]
    rebeco.terminate()
