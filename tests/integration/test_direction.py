"""`direction`: one direction of a two-way sync is closed and opened again while everything runs; nothing is lost."""

import concurrent.futures
import random
import threading
import time
import urllib.error
import urllib.request

import psycopg2
import pytest
import rig
from two_way import ONLY, Storm, check_equal, check_rest, config, conflicts, roles, source, target, wait_both  # noqa: F401


@pytest.fixture
def pair(source, target, rebecos):
    """A two-way sync; start(tables, ...) gives the Rebeco."""
    def start(tables, port=None, **sync):
        source.psql(tables)
        rebeco = rebecos(source, target, config=config(port, **sync))
        rebeco.start()
        wait_both(rebeco)
        return rebeco
    return start


TABLES = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, 20) i"


@pytest.mark.parametrize("closed", ["source", "target"])
def test_a_closed_end_keeps_its_changes(source, target, pair, closed):
    port = rig.free_port()
    rebeco = pair(TABLES + "; CREATE TABLE u (id int PRIMARY KEY)", port)
    x, y = (source, target) if closed == "source" else (target, source)
    x.run("UPDATE t SET v = 'before' WHERE id = 1")
    said = rebeco.ok("direction", ONLY[closed])
    assert y.value("SELECT v FROM t WHERE id = 1") == "before"
    assert f"what was committed at the {closed} before" in said
    x.psql("UPDATE t SET v = 'kept' WHERE id = 2; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (30, 'kept'); TRUNCATE u; INSERT INTO u VALUES (7)")
    y.psql("UPDATE t SET v = 'sent' WHERE id = 4; INSERT INTO t VALUES (40, 'sent'); DELETE FROM t WHERE id = 5")
    for start_again in False, True:
        if start_again:
            rebeco.kill9()
            rebeco.start()
            wait_both(rebeco)
            y.run("UPDATE t SET v = 'sent later' WHERE id = 6")
        assert "direction is closed" in rebeco.ok("kick", "--wait")
        assert x.run("SELECT id, v FROM t WHERE id IN (4, 5, 6, 40) ORDER BY id") == [(4, "sent"), (6, "sent later" if start_again else "old"), (40, "sent")]
        assert y.run("SELECT id, v FROM t WHERE id IN (2, 3, 30) ORDER BY id") == [(2, "old"), (3, "old")]
        assert y.run("SELECT * FROM u") == []
        rebeco.wait("the status tells", lambda: rebeco.status()["direction"]["kept_changes"] == 5)
    assert rebeco.status()["direction"]["open"] == ONLY[closed]
    rebeco.wait("in sync", lambda: rebeco.status()["in_sync"])
    text = rebeco.ok("status")
    assert f"direction: {ONLY[closed]} only, since 20" in text and f"5 changes of the {closed} are kept" in text
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as r:
        assert r.status == 200
    assert "both directions" in rebeco.ok("direction", "both")
    wait_both(rebeco)
    check_equal(source, target)
    assert y.run("SELECT id, v FROM t WHERE id IN (2, 3, 30) ORDER BY id") == [(2, "kept"), (30, "kept")]
    assert y.run("SELECT * FROM u") == [(7,)]
    assert conflicts(source) == conflicts(target) == []
    rebeco.wait("the status tells that too", lambda: "direction:" not in rebeco.ok("status"))
    rebeco.terminate()


class Counter:
    """One writer that inserts rows, each in a transaction of its own."""

    def __init__(self, server, first):
        self.server, self.next = server, first
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._write)

    def _write(self):
        with self.server.connect() as c:
            while not self.stop.is_set():
                c.run("INSERT INTO t VALUES (%s, 'counted')", self.next)
                self.next += 1
                time.sleep(0.002)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


@pytest.mark.parametrize("closed", ["source", "target"])
def test_what_was_committed_before_is_there_and_nothing_after(source, target, pair, closed):
    """While both ends write without a pause."""
    rebeco = pair(TABLES)
    x, y = (source, target) if closed == "source" else (target, source)
    with Counter(x, 1000) as at_x, Counter(y, 1000000) as at_y:
        for only in ONLY[closed], "both", ONLY[closed], ONLY["target" if closed == "source" else "source"], ONLY[closed]:
            before = at_x.next
            rebeco.ok("direction", only)
            if only == ONLY[closed]:
                there = y.value("SELECT max(id) FROM t WHERE id < 1000000")
                assert there >= before - 1
                assert y.value("SELECT count(*) FROM t WHERE id BETWEEN 1000 AND 999999") == there - 999
                sent = at_y.next - 1
                rebeco.wait("the other end's come", lambda: x.value("SELECT max(id) FROM t") >= sent)
                rebeco.wait("writes go on", lambda: at_x.next > before + 50)
                assert y.value("SELECT max(id) FROM t WHERE id < 1000000") == there
    rebeco.ok("direction", "both")
    wait_both(rebeco)
    check_equal(source, target)
    assert conflicts(source) == conflicts(target) == []
    rebeco.terminate()


@pytest.mark.parametrize("closed", ["source", "target"])
def test_conflicts_with_what_is_kept(source, target, pair, closed):
    """They are decided as ever, under each policy; both ends agree when the direction is open again."""
    policies = ["latest", "source", "target"]
    rebeco = pair(";".join(TABLES.replace(" t ", f" t_{p} ") for p in policies),
                  conflict={"default": "abort", "tables": {f"public.t_{p}": p for p in policies}})
    x, y = (source, target) if closed == "source" else (target, source)
    rebeco.ok("direction", ONLY[closed])
    x.psql("".join(f"UPDATE t_{p} SET v = 'kept' WHERE id <= 5; DELETE FROM t_{p} WHERE id = 6;" for p in policies))
    wait_both(rebeco)
    y.psql("".join(f"UPDATE t_{p} SET v = 'sent' WHERE id BETWEEN 4 AND 8;" for p in policies))
    wait_both(rebeco)

    def known(server):  # what a kind is called depends on the end
        return [c[:2] + c[3:] for c in conflicts(server)]

    rebeco.wait("both ends know them", lambda: len(known(source)) == 9 and known(source) == known(target))
    for p in policies:
        x_wins = p == closed
        assert y.run(f"SELECT v FROM t_{p} WHERE id BETWEEN 4 AND 6") == [("sent",)] * 3
        assert x.run(f"SELECT id, v FROM t_{p} WHERE id BETWEEN 4 AND 8 ORDER BY id") == (
            [(4, "kept"), (5, "kept")] if x_wins else [(i, "sent") for i in (4, 5, 6)]) + [(7, "sent"), (8, "sent")]
        assert {c[2] for c in known(source) if c[0] == f"t_{p}"} == {closed if x_wins else {"source": "target", "target": "source"}[closed]}
    if closed == "source":  # who has won has not arrived
        shown = rebeco.ok("conflicts", "show", str(target.value("SELECT max(id) FROM rebeco.conflict WHERE table_name = 't_source'")))
        assert "rebeco direction both" in shown and "has changed since" not in shown
        r = rebeco.command("conflicts", "replay", str(target.value("SELECT max(id) FROM rebeco.conflict WHERE table_name = 't_source'")))
        assert r.code == 1 and "rebeco direction both" in r.err
    if closed == "target":  # a replay at the target would not be sent
        r = rebeco.command("conflicts", "replay", str(target.value("SELECT max(id) FROM rebeco.conflict WHERE table_name = 't_latest'")))
        assert r.code == 1 and "rebeco direction both" in r.err
    rebeco.ok("direction", "both")
    wait_both(rebeco)
    check_equal(source, target)
    for p in policies:
        want = [("kept",), ("kept",)] if p == closed else [("sent",)] * 3
        assert source.run(f"SELECT v FROM t_{p} WHERE id BETWEEN 4 AND 6") == want
    assert len(conflicts(source)) == 9
    rebeco.terminate()


# ------------------------------------------------------------------ foreign keys

FAMILY = """
    CREATE TABLE g (id int PRIMARY KEY); INSERT INTO g SELECT generate_series(1, {n});
    CREATE TABLE p (id int PRIMARY KEY, v text, g int REFERENCES g); INSERT INTO p SELECT i, 'old', i FROM generate_series(1, {n}) i;
    CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p)"""


def kept(server):
    return server.run("SELECT table_name, (key ->> 0)::int, count(*) FROM rebeco.conflict WHERE kind = 'parent_kept' GROUP BY 1, 2 ORDER BY 1, 2")


def logged_again(server, table="p"):
    log = server.value("SELECT 'rebeco.log_' || id FROM rebeco.capture WHERE table_name = %s", table, user="postgres")
    return server.run(f"SELECT k1, count(*) FROM {log} WHERE again GROUP BY 1 ORDER BY 1", user="postgres")


@pytest.mark.parametrize("closed", ["source", "target"])
def test_what_comes_after_a_parent_was_kept(source, target, pair, closed):
    """The open end has removed it; both ends write it again, or what it refers to, before the direction is opened."""
    rebeco = pair(FAMILY.format(n=9))
    x, y = (source, target) if closed == "source" else (target, source)
    rebeco.ok("direction", ONLY[closed])
    x.run("INSERT INTO c SELECT i, i FROM generate_series(1, 6) i")
    y.run("DELETE FROM p WHERE id <= 6; DELETE FROM g WHERE id = 6")
    check_rest(rebeco, source, target)
    assert logged_again(x) == [(i, 1) for i in range(1, 7)] and logged_again(x, "g") == [(6, 1)] and logged_again(y) == []
    y.run("INSERT INTO p VALUES (1, 'new', 1), (2, 'new', 2); DELETE FROM g WHERE id = 5")
    wait_both(rebeco)
    assert x.run("SELECT id, v FROM p WHERE id < 4 ORDER BY id") == [(1, "new"), (2, "new"), (3, "old")]
    y.run("DELETE FROM p WHERE id = 2")
    x.run("DELETE FROM c WHERE id IN (3, 4); DELETE FROM p WHERE id = 3")
    check_rest(rebeco, source, target)
    expected = [("g", 5, 1), ("g", 6, 1), ("p", 1, 1), ("p", 2, 2), *[("p", i, 1) for i in (3, 4, 5, 6)]]
    rebeco.wait("both ends know them", lambda: kept(source) == kept(target) == expected)
    rebeco.ok("direction", "both")
    wait_both(rebeco)
    check_equal(source, target)
    assert y.run("SELECT id, v FROM p ORDER BY id") == [(1, "new"), (2, "new"), *[(i, "old") for i in (4, 5, 6, 7, 8, 9)]]
    assert y.value("SELECT count(*) FROM g") == 9 and y.run("SELECT id FROM c ORDER BY id") == [(1,), (2,), (5,), (6,)]
    assert kept(source) == kept(target) == expected
    rebeco.terminate()


@pytest.mark.parametrize("closed", ["source", "target"])
def test_parents_are_kept_once_whatever_dies(source, target, pair, closed):
    """And nothing is logged where it would be found again, in each round."""
    n = 300 if rig.LONG else 40
    rebeco = pair(FAMILY.format(n=n))
    x, y = (source, target) if closed == "source" else (target, source)
    rebeco.ok("direction", ONLY[closed])
    x.run("INSERT INTO c SELECT i, i FROM generate_series(1, %s) i", n)
    seed = random.randrange(10**6)
    print("seed", seed)
    r = random.Random(seed)
    for i in range(1, n + 1):
        y.run("DELETE FROM p WHERE id = %s", i)
        time.sleep(r.uniform(0, 0.05))
        if r.random() < 0.15:
            rebeco.kill9()
            rebeco.start()
        elif r.random() < 0.15:
            r.choice([source, target]).terminate_backends()
    check_rest(rebeco, source, target)
    each = [(i, 1) for i in range(1, n + 1)]
    assert logged_again(x) == each and logged_again(y) == []
    assert x.value("SELECT count(*) FROM p") == n and y.value("SELECT count(*) FROM p") == 0
    rebeco.wait("both ends know them", lambda: kept(source) == kept(target) == [("p", *e) for e in each])
    rebeco.ok("direction", "both")
    wait_both(rebeco)
    check_equal(source, target)
    assert y.value("SELECT count(*) FROM p") == n and kept(source) == kept(target) == [("p", *e) for e in each]
    rebeco.terminate()


def test_many_parents_are_kept(source, target, pair):
    """In a time that grows with them, and not with their square: that would be longer than is waited for here."""
    n = 8000
    rebeco = pair(FAMILY.format(n=n))
    rebeco.ok("direction", ONLY["source"])
    source.run("INSERT INTO c SELECT i, i FROM generate_series(1, %s) i", n)
    target.run("DELETE FROM p")
    wait_both(rebeco)
    assert source.value("SELECT count(*) FROM p") == n and target.value("SELECT count(*) FROM p") == 0
    rebeco.ok("direction", "both")
    wait_both(rebeco)
    check_equal(source, target)
    assert kept(source) == kept(target) == [("p", i, 1) for i in range(1, n + 1)]
    rebeco.terminate()


# ------------------------------------------------------------------ requests


def test_what_is_refused(source, target, rebecos, pair):
    source.run("CREATE TABLE u (id int PRIMARY KEY)")
    rebeco = pair(TABLES)
    assert rebeco.command("direction", "sideways").code == 2
    assert rebeco.command("direction").code == 2
    rebeco.ok("pause", "public.u")
    r = rebeco.command("direction", "target-to-source")
    assert r.code == 1 and "public.u stands still" in r.err
    assert rebeco.status()["direction"]["open"] == "both"
    rebeco.ok("resume", "public.u")
    rebeco.ok("pause")
    r = rebeco.command("direction", "target-to-source")
    assert r.code == 1 and "paused" in r.err
    rebeco.ok("resume")
    wait_both(rebeco)
    rebeco.ok("direction", "target-to-source")
    assert "only already, since 20" in rebeco.ok("direction", "target-to-source")
    r = rebeco.command("resync", "public.u")
    assert r.code == 1 and "direction both" in r.err
    for server in source, target:
        server.psql("CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1)")
    source.run("INSERT INTO fresh VALUES (2)")
    target.run("INSERT INTO u VALUES (1)")
    rebeco.wait("the others go on", lambda: source.run("SELECT * FROM u") == [(1,)])
    target.run("DELETE FROM fresh")
    rebeco.ok("direction", "both")
    rebeco.wait("a new table is taken in", lambda: target.value("SELECT count(*) FROM fresh") == 2, 60)
    wait_both(rebeco)
    check_equal(source, target)
    rebeco.terminate()
    r = rebeco.command("direction", "source-to-target", "--timeout", "1s")  # nobody is there: it waits
    assert r.code == 1
    target.run("UPDATE t SET v = 'before' WHERE id = 1")
    rebeco.start()
    rebeco.wait("it is carried out", lambda: (rebeco.status() or {}).get("direction", {}).get("open") == "source-to-target", 60)
    assert source.value("SELECT v FROM t WHERE id = 1") == "before"
    rebeco.terminate()


def test_one_way_has_one_direction(source, target, rebeco):
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    r = rebeco.command("direction", "both")
    assert r.code == 1 and "goes one way" in r.err
    rig.check_equal(source, target)
    rebeco.terminate()


REFERRERS = {"child": "NO ACTION", "heir": "CASCADE", "pupil": "SET NULL"}
FAMILIES = "CREATE TABLE parent (id int PRIMARY KEY, v text); INSERT INTO parent SELECT i, 'old' FROM generate_series(1, 60) i;" + "".join(
    f"CREATE TABLE {t} (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE {action});" for t, action in REFERRERS.items())


class Breeze(Storm):
    """A storm in which a round gets through between two writes of the same row; half of it is about foreign keys."""

    @staticmethod
    def _change(c, r, own):
        time.sleep(r.random() * 0.2)
        if r.random() < 0.5:
            Storm._change(c, r, own)
        else:
            Breeze._change_family(c, r)

    @staticmethod
    def _change_family(c, r):
        table, kind = r.choice(list(REFERRERS)), r.random()
        i, parent, v = r.randint(1, 60), r.randint(1, 60), str(r.randint(0, 10**9))
        if kind < 0.4:
            c.execute("DELETE FROM parent WHERE id = %s", (i,))
        elif kind < 0.6:
            c.execute("INSERT INTO parent VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET v = excluded.v", (i, v))
        elif kind < 0.9:
            c.execute(f"INSERT INTO {table} VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET parent = excluded.parent", (i, parent))
        else:
            c.execute(f"DELETE FROM {table} WHERE id = %s", (i,))


@pytest.mark.limit(340)
def test_kills_and_changes_of_direction(source, target, rebecos):
    """Writers on both ends, the direction changed again and again, and kill -9 of the daemon and of connections at
    any moment of that: an answer that was given stays true, and both ends are equal in the end."""
    for table in "abc":
        source.psql(f"CREATE TABLE {table} (id int PRIMARY KEY, v text); INSERT INTO {table} SELECT i, 'old' FROM generate_series(1, 60) i")
    source.psql("CREATE TABLE mark (id int PRIMARY KEY, at_end text);" + FAMILIES)
    rebeco = rebecos(source, target, config=config())
    rebeco.start()
    wait_both(rebeco)
    seed = random.randrange(10**6)
    print("seed", seed)
    r = random.Random(seed)
    answered = 0
    with Breeze(seed, source, target) as storm, concurrent.futures.ThreadPoolExecutor() as pool:
        end = time.monotonic() + (120 if rig.LONG else 12)
        number = 0
        while time.monotonic() < end or (answered < 1 and time.monotonic() < end + 130):
            number += 1
            closed = r.choice(["source", "target", None])
            x, y = (source, target) if closed == "source" else (target, source)
            x.run("INSERT INTO mark VALUES (%s, 'before')", 2 * number)
            asking = pool.submit(rebeco.command, "direction", ONLY[closed] if closed else "both", "--timeout", "15s")
            time.sleep(r.uniform(0, 0.4))
            if r.random() < 0.5:
                rebeco.kill9()
                rebeco.start()
            elif r.random() < 0.5:
                r.choice([source, target]).terminate_backends()
            said = asking.result()
            done = said.code == 0 and "already" not in said.out
            if done and closed:
                answered += 1
                assert y.value("SELECT count(*) FROM mark WHERE id = %s", 2 * number) == 1
                x.run("INSERT INTO mark VALUES (%s, 'after')", 2 * number + 1)
                time.sleep(r.uniform(0.1, 0.6))
                assert y.value("SELECT count(*) FROM mark WHERE id = %s", 2 * number + 1) == 0
    print("answered", answered, "of", number)
    assert storm.done > 20 and answered >= 1
    # Whatever waits for an answer still, this one comes last.
    rebeco.wait("both directions are open", lambda: rebeco.command("direction", "both", "--timeout", "20s").code == 0, 90)
    wait_both(rebeco, 120)
    check_equal(source, target)
    wait_both(rebeco, 60)
    twice = "SELECT table_name, key::text FROM rebeco.conflict GROUP BY table_name, key::text, source_at, target_at HAVING count(*) > 1"
    assert source.run(twice) == target.run(twice) == []
    rebeco.terminate()
