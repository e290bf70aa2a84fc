"""Servers that have used their four thousand million transaction ids, and begin again with the first. Large databases have done so more than
once. The ids that rows and catalogs have are of 32 bits, what tells before from after must not be."""

import os
import random
import time

import pytest
import rig
import two_way
import workload

ALL = 2**32
SEGMENT = 8192 * 4 * 32  # transactions in a file of pg_xact


def freeze_all(server):
    """Nothing keeps an id that a later one could be taken for."""
    server.run("ALTER DATABASE template0 ALLOW_CONNECTIONS true", user="postgres", database="postgres")
    for (name,) in server.run("SELECT datname FROM pg_database", user="postgres", database="postgres"):
        with server.admin(name) as c:
            c.run("VACUUM FREEZE")


def next_id(server, xid):
    """The server goes on with this id, as if it had used all before."""
    freeze_all(server)
    server.stop()
    server.version.run("pg_resetwal", "-x", str(xid % ALL), "-e", str(xid // ALL), "-D", server.version.inside(server.data))
    path = f"{server.data}/pg_xact/{xid % ALL // SEGMENT:04X}"
    if not os.path.exists(path):
        with open(path, "wb") as f:
            f.write(bytes(SEGMENT // 4))
        server.version.own(path)
    server.start()


def near_the_end(server, left):
    """So many transactions before the ids begin again, in the second epoch. A step of more than half of them makes the future of the past."""
    for xid in (2_000_000_000, 4_000_000_000, ALL + 1_500_000_000, ALL + 3_000_000_000, 2 * ALL - left):
        next_id(server, xid)
    assert now(server) < 2 * ALL


def now(server):
    return server.value("SELECT txid_current()")


@pytest.mark.limit(240)
def test_ids_begin_again_while_changes_are_followed(source, target, rebeco):
    near_the_end(source, 2500)
    near_the_end(target, 200)
    workload.install(source)
    with workload.Application(source, writers=2, clerks=1, two_phase=1, seed="before"):
        rebeco.start()
        rebeco.wait_phase("copy")
    with workload.Application(source, writers=4, clerks=2, two_phase=2, seed="epoch") as app:
        rig.eventually("the ids begin again", lambda: now(source) > 2 * ALL + 300, 90, 0.2)
        rebeco.kill9()
        rebeco.start()
        time.sleep(1)
    assert app.done > 100
    rebeco.wait_in_sync(60)
    while now(target) <= 2 * ALL:
        source.run("UPDATE item SET price = price + 1")
        rebeco.wait_in_sync()
    rig.check_equal(source, target)
    rebeco.terminate()


@pytest.mark.limit(240)
def test_ids_begin_again_in_both_directions(servers, rebecos):
    source, target = servers("source", "app"), servers("target", "plain")
    near_the_end(source, 1500)
    near_the_end(target, 1500)
    source.psql("".join(f"CREATE TABLE {t} (id int PRIMARY KEY, v text); INSERT INTO {t} SELECT i, '0' FROM generate_series(1, 60) i;" for t in "abc"))
    rebeco = rebecos(source, target, config=two_way.config(conflict={"default": "latest"}))
    rebeco.start()
    two_way.wait_both(rebeco)
    with two_way.Storm("epoch", source, target):
        two_way.disturb(rebeco, source, target, random.Random("epoch"), 6)
        rig.eventually("the ids begin again", lambda: min(now(source), now(target)) > 2 * ALL + 100, 90, 0.2)
    two_way.wait_both(rebeco)
    two_way.check_equal(source, target)
    two_way.check_rest(rebeco, source, target)
