"""The promise: after the first catch-up the target always shows one committed state of the source."""

import threading
import time

import psycopg2
import pytest
import rig

SECONDS = 60 if rig.LONG else 8

SUMS = """SELECT (SELECT coalesce(sum(abalance), 0) FROM pgbench_accounts), (SELECT coalesce(sum(tbalance), 0) FROM pgbench_tellers),
                 (SELECT coalesce(sum(bbalance), 0) FROM pgbench_branches), (SELECT coalesce(sum(delta), 0) FROM pgbench_history)"""


def reader(server, stop, seen, wrong):
    with server.connect() as c:
        while not stop.is_set():
            sums = c.run(SUMS)[0]
            seen.add(sums)
            if len(set(sums)) != 1:
                wrong.append(sums)


@pytest.mark.limit(SECONDS + 120)
def test_sums_are_equal_at_every_moment(source, target, rebeco):
    rig.pgbench(source, "-i", "-s", "1", "-q")
    source.run("ALTER TABLE pgbench_history ADD id bigserial PRIMARY KEY")
    load = rig.pgbench(source, "-c", "4", "-j", "2", "-n", "-T", str(SECONDS + 15), wait=False)
    try:
        rebeco.start()
        rebeco.wait("the target is consistent",
                    lambda: target.value("SELECT count(*) FROM rebeco.sync WHERE consistent_since IS NOT NULL") == 1, 60)
        stop, seen, wrong = threading.Event(), set(), []
        readers = [threading.Thread(target=reader, args=(target, stop, seen, wrong)) for _ in range(3)]
        for r in readers:
            r.start()
        time.sleep(SECONDS)
        stop.set()
        for r in readers:
            r.join()
        rebeco.check_alive()
        assert not wrong, f"{len(wrong)} of the sums differ, first {wrong[0]}"
        # Readers that saw nothing move have proved nothing.
        assert len(seen) > SECONDS, f"only {len(seen)} states were seen"
    finally:
        load.terminate()
        load.wait()
    rig.eventually("pgbench has left", lambda: source.value(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'", user="postgres") == 0)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    assert source.value("SELECT count(*) FROM pgbench_history") > 100


def test_a_transaction_arrives_whole(source, target, rebeco):
    """Rows of one transaction in two tables, more than a slice of a batch: never one without the other."""
    source.psql("CREATE TABLE a (id int PRIMARY KEY, round int, pad text); CREATE TABLE b (id int PRIMARY KEY, round int);"
                "INSERT INTO a SELECT i, 0, repeat('x', 300) FROM generate_series(1, 3000) i;"
                "INSERT INTO b SELECT i, 0 FROM generate_series(1, 3000) i")
    rebeco.start()
    rebeco.wait_in_sync()
    stop, wrong, seen = threading.Event(), [], set()

    def watch():
        with target.connect() as c:
            while not stop.is_set():
                row = c.run("SELECT (SELECT min(round) FROM a), (SELECT max(round) FROM a), (SELECT min(round) FROM b), "
                            "(SELECT max(round) FROM b)")[0]
                seen.add(row)
                if len(set(row)) != 1:
                    wrong.append(row)

    t = threading.Thread(target=watch)
    t.start()
    try:
        with source.connect() as c:
            for i in range(1, 25):
                c.run("BEGIN; UPDATE a SET round = %s; UPDATE b SET round = %s; COMMIT", i, i)
        rebeco.wait_in_sync()
    finally:
        stop.set()
        t.join()
    assert not wrong, wrong[:3]
    assert len(seen) > 2
    with pytest.raises(psycopg2.errors.UndefinedTable):
        target.run("SELECT * FROM nowhere")
    rig.check_equal(source, target)
