"""What the tests of two-way syncs share: servers with every mix of replica role, writers, and what a person does."""

import os
import random
import time

import psycopg2
import pytest
import rig
import yaml

# Which ends grant session_replication_role (from PostgreSQL 15 on): the owners of the two databases. Servers of one owner are
# copies of one template, which the daemon takes for the same database.
ROLES = {"neither": ("app", "plain"), "source": ("rds", "plain"), "target": ("app", "rds"), "both": ("rds_too", "rds")}


# How `direction` calls the other end's way, by the end whose changes are not sent then.
ONLY = {"source": "target-to-source", "target": "source-to-target"}


def mixes(*short):
    """The mixes of ROLES that a test runs in: `short` by themselves, all in the long form, and what REBECO_ROLES asks for."""
    return os.environ.get("REBECO_ROLES", "").split() or (list(ROLES) if rig.LONG else list(short))


@pytest.fixture(params=mixes("target"))
def roles(request):
    return ROLES[request.param]


@pytest.fixture
def source(servers, roles):
    return servers("source", roles[0], os.environ.get("REBECO_PG_SOURCE"))


@pytest.fixture
def target(servers, roles):
    return servers("target", roles[1], os.environ.get("REBECO_PG_TARGET"))


def config(port=None, **sync):
    tree = yaml.safe_load(rig.config(mode="two-way", **sync))
    tree["http"] = {"listen": f"127.0.0.1:{port}" if port else "none"}
    return yaml.safe_dump(tree)


def wait_both(rebeco, timeout=60):
    """Returns when both directions run, and everything committed before is at the other end."""
    rebeco.wait("both directions run", lambda: (rebeco.status() or {}).get("in_sync"), timeout)
    rebeco.ok("kick", "--wait", timeout=timeout)


def check_equal(source, target):
    """Tables only: each end draws other values of the sequences."""
    assert rig.compare(source, target, sequences=False) == []


def position(server):
    return server.value("SELECT snapshot FROM rebeco.sync")


def check_rest(rebeco, source, target):
    """Nothing is left to do in any round: the positions do not move."""
    wait_both(rebeco)
    before = position(source), position(target)
    for _ in range(3):
        wait_both(rebeco)
        assert (position(source), position(target)) == before


def conflicts(server):
    return server.run("SELECT table_name, key->>0, kind, decision, source_row::text, target_row::text "
                      "FROM rebeco.conflict ORDER BY 1, 2")


def end_of(server):
    return server.name.split("-")[0]


def meet(rebeco, source, target, at_source, at_target, wait=True):
    """Both ends are written to while the sync stands still: one round finds both."""
    rebeco.ok("pause")
    source.psql(at_source)
    target.psql(at_target)
    rebeco.ok("resume")
    if wait:
        wait_both(rebeco)


HELD = "CREATE TABLE held (id int PRIMARY KEY, v text); INSERT INTO held VALUES (1, 'old');"  # for half_round()


def half_round(rebeco, there, late, at_there, at_late, then_there="", then_late=""):
    """Both ends write; `there` gets what the other has written, and the daemon dies before `late` does. Then both may write again."""
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
    there.psql(then_there)
    late.psql(then_late)
    rebeco.start()
    wait_both(rebeco)
    assert late.value("SELECT v FROM held") == "new"


def meet_and_pause(rebeco, source, target, column, i):
    """Both ends change a column of row i of table t, which must not be decided: the table stands still, with each end's row."""
    meet(rebeco, source, target, *(f"UPDATE t SET {column} = '{end}' WHERE id = {i}" for end in ("source", "target")), wait=False)
    rebeco.wait("the table is paused", lambda: target.value("SELECT paused FROM rebeco.sync_table WHERE source_name = 't'"))
    assert [s.value(f"SELECT {column} FROM t WHERE id = {i}") for s in (source, target)] == ["source", "target"]


def make_equal(rebeco, source, target, column, i):
    """What a person does about that: the table goes on."""
    target.run(f"UPDATE t SET {column} = 'source' WHERE id = {i}")
    rebeco.ok("resume", "public.t")
    wait_both(rebeco)
    check_equal(source, target)


def disturb(rebeco, source, target, r, seconds, calm=0.0):
    """Kills of the daemon and of its connections at random, for so long. `calm` is how many of the pauses in between are long ones: where a
    round takes longer than the others, it gets through in these."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(r.uniform(5, 20) if r.random() < calm else r.uniform(0.3, 1.5))
        if r.random() < 0.3:
            rebeco.kill9()
            rebeco.start()
        elif r.random() < 0.5:
            r.choice([source, target]).terminate_backends()


class Storm(rig.Writers):
    """Writers at both ends on the same few rows."""

    def __init__(self, seed, *servers):
        self.done = 0
        super().__init__((s, random.Random(f"{seed} {i} {s.name}")) for s in servers for i in range(3))

    def write(self, server, r):
        own = r.randint(1000, 10**9)
        connection = None
        while not self.stop.is_set():
            try:
                connection = connection or psycopg2.connect(server.url())
                with connection, connection.cursor() as c:
                    for _ in range(r.randint(1, 3)):
                        own += 1
                        self._change(c, r, own)
                self.done += 1
            except psycopg2.Error:
                connection = None if connection is None or connection.closed else connection
            time.sleep(r.random() * 0.04)

    @staticmethod
    def _change(c, r, own):
        table, i, v = r.choice("abc"), r.randint(1, 60), str(r.randint(0, 10**9))
        kind = r.random()
        if kind < 0.4:
            c.execute(f"UPDATE {table} SET v = %s WHERE id = %s", (v, i))
        elif kind < 0.6:
            c.execute(f"INSERT INTO {table} VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET v = excluded.v", (i, v))
        elif kind < 0.75:
            c.execute(f"DELETE FROM {table} WHERE id = %s", (i,))
        elif kind < 0.85:
            c.execute(f"INSERT INTO {table} VALUES (%s, %s)", (own, v))
        elif kind < 0.995:
            c.execute(f"UPDATE {table} SET id = %s, v = %s WHERE id = %s", (r.randint(1, 60), v, i))
        else:
            c.execute(f"TRUNCATE {table}")
