"""Two-way syncs at chosen moments: a row is changed while the round is being decided, or one end commits its half of a round and
the other one does not."""

import pytest
from two_way import check_equal, config, conflicts, roles, source, target, wait_both  # noqa: F401

def start(source, target, rebecos, tables, **conflict):
    source.psql(tables)
    rebeco = rebecos(source, target, config=config(conflict=conflict))
    rebeco.start()
    wait_both(rebeco)
    return rebeco


# ------------------------------------------------------------------ half rounds


def position(server):
    return server.value("SELECT snapshot FROM rebeco.sync")


def half_round(rebeco, there, late, at_there, at_late):
    """Both ends write; `there` gets what the other has written, and the daemon dies before `late` does."""
    rebeco.ok("pause")
    there.psql(at_there + "; UPDATE held SET v = 'new'")
    late.psql(at_late)
    with late.connect() as app:
        app.run("BEGIN")
        app.run("SELECT 1 FROM held FOR UPDATE")
        before = [position(s) for s in (there, late)]
        rebeco.ok("resume")
        rebeco.wait("one end has committed", lambda: position(there) != before[0])
        rebeco.kill9()
        assert position(late) == before[1], "the other end has not"
    rebeco.start()
    wait_both(rebeco)
    assert late.value("SELECT v FROM held") == "new"


HELD = "CREATE TABLE held (id int PRIMARY KEY, v text); INSERT INTO held VALUES (1, 'old');"


@pytest.mark.parametrize("first", ["target", "source"])
def test_many_conflicts_of_half_a_round_are_known_at_both_ends(source, target, rebecos, first):
    rebeco = start(source, target, rebecos, HELD + "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, 6000) i", default="source")
    there, late = (target, source) if first == "target" else (source, target)
    half_round(rebeco, there, late, "UPDATE t SET v = 'first'", "UPDATE t SET v = 'second'")
    check_equal(source, target)
    for server in (source, target):
        assert server.value("SELECT count(*) FROM rebeco.conflict") == server.value("SELECT count(DISTINCT key::text) FROM rebeco.conflict") == 6000
    rebeco.terminate()
