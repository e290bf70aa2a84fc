"""More than two nodes: a chain that passes on what it receives, several targets of which some write too, and a
ring. In the end every node is equal, and nothing goes round for ever."""

import itertools
import json
import random
import time
import urllib.request

import pytest
import rig
import test_two_way_storm
import yaml
from two_way import Storm

TABLES = "".join(f"CREATE TABLE {t} (id int PRIMARY KEY, v text); INSERT INTO {t} SELECT i, 'old' FROM generate_series(1, 60) i;"
                 for t in "abc")


class Net:
    """Nodes by their letters, and one daemon for each sync between two of them."""

    def __init__(self, servers, rebecos, letters, owners):
        self.rebecos = rebecos
        self.nodes = {n: servers(n, owner) for n, owner in zip(letters, itertools.cycle(owners))}
        self.daemons = {}

    def sync(self, a, b, mode="two-way", **options):
        """Starts the sync from a to b, and returns its daemon when it is in sync."""
        port = rig.free_port()
        tree = {
            "databases": {"a": {"url": "{source}"}, "b": {"url": "{target}"}},
            "syncs": [{"name": f"{a}-{b}", "source": "a", "target": "b", "mode": mode, **options}],
            "http": {"listen": f"127.0.0.1:{port}"},
        }
        r = self.rebecos(self.nodes[a], self.nodes[b], config=yaml.safe_dump(tree), name=f"{a}-{b}")
        r.port = port
        self.daemons[a + b] = r
        r.start()
        self.wait(r)
        return r

    @staticmethod
    def wait(r, timeout=60):
        def in_sync():
            with urllib.request.urlopen(f"http://127.0.0.1:{r.port}/status", timeout=10) as answer:
                return json.load(answer)[0]["in_sync"]
        rig.eventually(f"{r.home} is in sync", lambda: r.check_alive() or _quietly(in_sync), timeout)

    def applied(self):
        """Rows written by each direction of each sync, by the daemons' own counts."""
        counts = {}
        for name, r in self.daemons.items():
            with urllib.request.urlopen(f"http://127.0.0.1:{r.port}/status", timeout=10) as answer:
                counts[name] = [sum(t["rows_applied"] for t in s["tables"]) for s in json.load(answer)]
        return counts

    def differences(self):
        nodes = list(self.nodes.values())
        return [d for n in nodes[1:] for d in rig.compare(nodes[0], n, sequences=False)]

    def wait_equal(self, timeout=60):
        """Every node has the same rows, and no daemon writes any more."""
        def is_still():
            before = self.applied()
            if self.differences():
                return False
            for r in self.daemons.values():
                if r.command("kick", "--wait").code != 0:  # a table is out of step
                    return False
            return self.applied() == before
        try:
            rig.eventually("all nodes are equal and nothing moves", is_still, timeout, 0.3)
        except AssertionError:
            raise AssertionError(f"{self.differences()}\n{self.applied()}") from None

    def end(self):
        for r in self.daemons.values():
            if r.is_running():
                r.terminate()


def _quietly(question):
    try:
        return question()
    except OSError:
        return False


# Who owns the nodes, in turns: "rds" and "rds_too" may set session_replication_role. Neighbours are of different owners, see two_way.py.
MIXES = {"mixed": ("app", "rds", "plain"), "neither": ("app", "plain"), "both": ("rds", "rds_too"), "most": ("rds", "plain", "rds_too")}


@pytest.fixture(params=MIXES if rig.LONG else ["mixed"])
def net(servers, rebecos, request):
    made = []

    def make(letters, is_ring=False, owners=None):
        if owners and request.param != "mixed":
            pytest.skip("this one has owners of its own")
        mix = owners or MIXES[request.param]
        if is_ring and len(letters) % len(mix) == 1:
            pytest.skip("the ends of the ring would be of one owner")
        made.append(Net(servers, rebecos, letters, mix))
        made[-1].nodes[letters[0]].psql(TABLES)
        return made[-1]
    yield make
    for n in made:
        n.end()


# ------------------------------------------------------------------ one way


def test_a_chain_in_one_direction(net):
    """What arrives at B goes on to C: rows, keys that change, truncation, and through kills at either link."""
    n = net("ABC")
    a = n.nodes["A"]
    n.sync("A", "B", "one-way")
    n.sync("B", "C", "one-way")
    n.wait_equal()
    for victim in ("AB", "BC"):
        a.psql("UPDATE a SET v = 'new' WHERE id < 20; UPDATE a SET id = 1000 + id WHERE id > 50; DELETE FROM b WHERE id % 3 = 0")
        n.daemons[victim].kill9()
        a.psql("TRUNCATE c; INSERT INTO c SELECT i, 'again' FROM generate_series(1, 30) i; UPDATE a SET id = id - 1000 WHERE id > 1000")
        n.daemons[victim].start()
        n.wait(n.daemons[victim])
        n.wait_equal()
    assert a.value("SELECT count(*) FROM c") == 30
    counts = n.applied()
    a.run("UPDATE b SET v = 'last'")
    n.wait_equal()
    assert [n.applied()[x][0] - counts[x][0] for x in ("AB", "BC")] == [40, 40]
    # A table copied anew at B comes to C, too, and the second link leaves without the first one.
    n.daemons["AB"].ok("resync", "public.a")
    n.wait_equal()
    n.daemons.pop("BC").terminate()
    n.nodes.pop("C")
    a.run("DELETE FROM a")
    n.wait_equal()


# ------------------------------------------------------------------ both ways


def test_a_chain_passes_on_in_both_directions(net):
    """From every node to every other; counted, so that an echo would show. The middle one logs what is applied
    there only as long as somebody else reads it."""
    n = net("ABC")
    n.sync("A", "B")
    b = n.nodes["B"]
    assert b.run("SELECT DISTINCT passes_on FROM rebeco.capture") == [(False,)]
    n.sync("B", "C")
    assert b.run("SELECT DISTINCT passes_on FROM rebeco.capture") == [(True,)]
    assert n.nodes["A"].run("SELECT DISTINCT passes_on FROM rebeco.capture") == [(False,)]
    n.wait_equal()
    start = n.applied()
    expected = {"AB": list(start["AB"]), "BC": list(start["BC"])}

    def change(node, sql, rows, ways):
        n.nodes[node].psql(sql)
        n.wait_equal()
        for pair, direction in ways:
            expected[pair][direction] += rows
        assert n.applied() == expected, sql

    change("A", "UPDATE a SET v = 'from A' WHERE id <= 10", 10, [("AB", 0), ("BC", 0)])
    change("B", "UPDATE a SET v = 'from B' WHERE id <= 7", 7, [("AB", 1), ("BC", 0)])
    change("C", "UPDATE a SET v = 'from C' WHERE id <= 5; INSERT INTO b VALUES (100, 'C'); DELETE FROM b WHERE id = 1",
           7, [("BC", 1), ("AB", 1)])
    change("C", "UPDATE a SET id = 500 WHERE id = 50", 2, [("BC", 1), ("AB", 1)])
    n.nodes["C"].run("TRUNCATE c")
    n.wait_equal()
    assert n.nodes["A"].value("SELECT count(*) FROM c") == 0
    for node in n.nodes.values():
        assert node.value("SELECT count(*) FROM rebeco.conflict") == 0

    n.daemons["AB"].ok("resync", "public.b")
    n.wait(n.daemons["AB"])
    n.wait_equal()
    copied = n.daemons["AB"].log_lines("copied again")
    n.daemons.pop("BC").terminate()
    link = n.rebecos(n.nodes["B"], n.nodes["C"], config=n_config(n, "B", "C"))
    link.ok("--sync", "B-C", "uninstall")
    assert n.nodes["C"].value("SELECT to_regnamespace('rebeco')") is None
    assert b.run("SELECT DISTINCT passes_on FROM rebeco.capture") == [(False,)]
    n.nodes.pop("C")
    n.nodes["A"].run("UPDATE a SET v = 'without C'")
    b.run("UPDATE b SET v = 'without C'")
    n.wait_equal()
    assert n.daemons["AB"].log_lines("copied again") == copied


def n_config(n, a, b):
    return yaml.safe_dump({"databases": {"a": {"url": "{source}"}, "b": {"url": "{target}"}},
                           "syncs": [{"name": f"{a}-{b}", "source": "a", "target": "b", "mode": "two-way"}]})


def test_the_later_one_wins_over_two_links(net):
    """A's change is older than C's but comes to B later; its own time counts. And a sequence is apart from one
    other end only, which is said."""
    n = net("ABC")
    n.nodes["A"].run("CREATE TABLE s (id serial PRIMARY KEY)")
    n.sync("A", "B")
    n.sync("B", "C")
    assert n.nodes["B"].value("SELECT count(*) FROM rebeco.problem") == 0
    assert "public.s_id_seq" in n.nodes["C"].value("SELECT object FROM rebeco.problem WHERE kind = 'sequence'")
    n.daemons["BC"].ok("pause")
    n.nodes["A"].run("UPDATE a SET v = 'A, first' WHERE id = 1")
    n.nodes["C"].run("UPDATE a SET v = 'C, second' WHERE id = 1")
    n.nodes["C"].run("UPDATE a SET v = 'C, first' WHERE id = 2")
    n.daemons["AB"].ok("pause")
    time.sleep(0.01)
    n.nodes["A"].run("UPDATE a SET v = 'A, second' WHERE id = 2")
    time.sleep(0.01)
    n.daemons["AB"].ok("resume")
    n.daemons["AB"].ok("kick", "--wait")
    assert n.nodes["B"].value("SELECT v FROM a WHERE id = 1") == "A, first"
    n.daemons["BC"].ok("resume")
    n.wait_equal()
    assert n.nodes["B"].run("SELECT v FROM a WHERE id < 3 ORDER BY id") == [("C, second",), ("A, second",)]


def test_several_targets_of_which_one_writes(net):
    """A to C and D in one direction, A and B in both: what B writes reaches C, and D, which came first."""
    n = net("ABCD", owners=("app", "rds", "plain", "rds"))
    n.sync("A", "D", "one-way")
    a = n.nodes["A"]
    log = a.value("SELECT min(rebeco.log_oid(id)::bigint) FROM rebeco.capture")
    n.sync("A", "B")
    n.sync("A", "C", "one-way")
    assert a.value("SELECT min(rebeco.log_oid(id)::bigint) FROM rebeco.capture") == log
    a.run("UPDATE a SET v = 'A' WHERE id < 10")
    n.nodes["B"].psql("UPDATE a SET v = 'B' WHERE id > 50; DELETE FROM b WHERE id < 5; UPDATE c SET id = 200 WHERE id = 2")
    n.wait_equal()
    assert n.nodes["C"].value("SELECT count(*) FROM a WHERE v = 'B'") == 10
    assert n.daemons["AD"].log_lines("copied again") == []
    a.run("TRUNCATE b")
    n.nodes["B"].run("TRUNCATE c")
    n.wait_equal()


def test_what_arrives_in_one_direction_goes_on_in_both(net):
    """X feeds A, which is one end of a pair: B gets it, and nothing goes back to X."""
    n = net("XAB", owners=("rds", "plain", "app"))
    n.sync("X", "A", "one-way")
    n.sync("A", "B")
    n.nodes["X"].psql("UPDATE a SET v = 'X' WHERE id < 10; DELETE FROM b WHERE id = 1; TRUNCATE c")
    n.wait_equal()
    n.nodes["B"].run("UPDATE a SET v = 'B' WHERE id > 50")
    rig.wait_converged(n.nodes["A"], n.nodes["B"], sequences=False)
    assert n.nodes["A"].value("SELECT count(*) FROM a WHERE v = 'B'") == 10
    assert n.nodes["X"].value("SELECT count(*) FROM a WHERE v = 'B'") == 0


# ------------------------------------------------------------------ foreign keys


@pytest.mark.parametrize("end, way", [("A", "BC"), ("C", "AB")])
def test_a_parent_goes_two_links_away(net, end, way):
    """The middle node has the removal from one end when the other one sends a row that refers to it: kept, removed or set NULL, it is the same at
    all. And a row that the middle has passed on already, before its parent's removal came there."""
    n = net("ABC")
    actions = {"k": "NO ACTION", "r": "CASCADE", "s": "SET NULL"}
    n.nodes["A"].psql("".join(f"CREATE TABLE p{t} (id int PRIMARY KEY); INSERT INTO p{t} VALUES (1), (2);"
                              f"CREATE TABLE c{t} (id int PRIMARY KEY, p int REFERENCES p{t} ON DELETE {action});" for t, action in actions.items()))
    n.sync("A", "B")
    n.sync("B", "C")
    near = "AB" if way == "BC" else "BC"
    far = n.nodes["C" if end == "A" else "A"]
    n.wait_equal()
    n.daemons[way].ok("pause")
    n.nodes[end].psql("".join(f"DELETE FROM p{t} WHERE id = 1;" for t in actions))
    n.daemons[near].ok("kick", "--wait")
    far.psql("".join(f"INSERT INTO c{t} VALUES (10, 1);" for t in actions))
    n.daemons[way].ok("resume")
    n.wait_equal()
    found = {t: (far.run(f"SELECT id FROM p{t} ORDER BY id"), far.run(f"SELECT id, p FROM c{t}")) for t in actions}
    assert found == {"k": ([(1,), (2,)], [(10, 1)]), "r": ([(2,)], []), "s": ([(2,)], [(10, None)])}

    n.daemons[near].ok("pause")
    n.nodes["B"].psql("".join(f"INSERT INTO c{t} VALUES (20, 2);" for t in actions))
    n.daemons[way].ok("kick", "--wait")
    assert far.run("SELECT id, p FROM cs ORDER BY id") == [(10, None), (20, 2)]
    n.nodes[end].psql("".join(f"DELETE FROM p{t} WHERE id = 2;" for t in actions))
    n.daemons[near].ok("resume")
    n.wait_equal()
    found = {t: (far.run(f"SELECT id FROM p{t} ORDER BY id"), far.run(f"SELECT id, p FROM c{t} ORDER BY id")) for t in actions}
    assert found == {"k": ([(1,), (2,)], [(10, 1), (20, 2)]), "r": ([], []), "s": ([], [(10, None), (20, None)])}


# ------------------------------------------------------------------ storms


def weather(n, seed, seconds, kills=True, writers=Storm):
    """Writers at all nodes, and meanwhile kills of daemons and connections."""
    r = random.Random(seed)
    print("seed", seed)
    with writers(seed, *n.nodes.values()) as storm:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(r.uniform(0.3, 1.2))
            victim = r.choice(list(n.daemons.values()))
            if kills and r.random() < 0.4:
                victim.kill9()
                victim.start()
            elif kills and r.random() < 0.5:
                r.choice(list(n.nodes.values())).terminate_backends()
    assert (storm.done if isinstance(storm.done, int) else min(storm.done.values())) > 50
    for d in n.daemons.values():
        n.wait(d, 90)


@pytest.mark.limit(240)
@pytest.mark.parametrize("policies", [("latest", "latest"), ("source", "target")])
def test_writers_at_all_ends_of_a_chain(net, policies):
    """In a chain any policy lets all become equal."""
    n = net("ABC")
    n.sync("A", "B", conflict={"default": policies[0]})
    n.sync("B", "C", conflict={"default": policies[1]})
    weather(n, random.randrange(10**6), 120 if rig.LONG else 8)
    n.wait_equal(90)
    assert n.nodes["B"].value("SELECT count(*) FROM rebeco.conflict") > 0


@pytest.mark.limit(240)
def test_a_ring_comes_to_rest(net):
    """Three nodes, each tied to both others; a change comes to each on two ways and is written once."""
    n = net("ABC", is_ring=True)
    n.sync("A", "B")
    n.sync("B", "C")
    n.sync("C", "A", copy={"adopt": True})
    assert n.daemons["CA"].log_lines("copied again") == []
    n.wait_equal()
    before = sum(map(sum, n.applied().values()))
    n.nodes["A"].run("UPDATE a SET v = 'round' WHERE id <= 20")
    n.nodes["B"].run("DELETE FROM b WHERE id <= 20")
    n.nodes["C"].run("INSERT INTO c SELECT i, 'new' FROM generate_series(101, 120) i")
    n.wait_equal()
    # By whichever way it came first; what a round has written and rolled back does not count.
    assert sum(map(sum, n.applied().values())) == before + 3 * 2 * 20
    weather(n, random.randrange(10**6), 120 if rig.LONG else 8)
    n.wait_equal(90)


@pytest.mark.limit(480)
@pytest.mark.parametrize("shape", ["chain", "ring"][:2 if rig.LONG else 1])
def test_a_storm_with_foreign_keys(net, shape):
    """Ten tables with every ON DELETE, written at three nodes. What foreign keys do at one of them goes on to the others, and comes to rest."""
    n = net("ABC", is_ring=shape == "ring")
    n.nodes["A"].psql(test_two_way_storm.schema())
    n.sync("A", "B")
    n.sync("B", "C")
    if shape == "ring":
        n.sync("C", "A", copy={"adopt": True})
    weather(n, random.randrange(10**6), 120 if rig.LONG else 8,
            writers=lambda seed, *servers: test_two_way_storm.Writers(seed, servers, 5, 0.1))
    n.wait_equal(240)  # a change goes round three pairs, and what foreign keys make of it too: on a busy machine each round takes seconds
    assert n.nodes["B"].value("SELECT count(*) FROM rebeco.conflict") > 0


def test_rings_that_cannot_end_well(servers, rebecos):
    """They are refused before anything is touched."""
    nodes = "abc"
    databases = ", ".join(f'{x}: {{url: "postgresql://127.0.0.1:1/{x}"}}' for x in nodes)

    def said(*syncs):
        text = f"databases: {{{databases}}}\nsyncs:\n" + "".join(f"  - {{name: s{i}, {s}}}\n" for i, s in enumerate(syncs))
        r = rebecos("postgresql://127.0.0.1:1/a", "postgresql://127.0.0.1:1/b", config=text).command("config")
        return r.code, r.err
    both = "mode: two-way"
    ab, bc, ca = "source: a, target: b", "source: b, target: c", "source: c, target: a"
    assert said(f"{ab}, {both}", f"{bc}, {both}", f"{ca}, {both}, copy: {{adopt: true}}")[0] == 0
    assert said(ab, bc)[0] == said(f"{ab}, {both}", bc, "source: a, target: c, tables: {include: [public.x]}")[0] == 0
    for bad in ([ab, bc, ca], [f"{ab}, {both}", f"{bc}, {both}", ca], [ab, bc, "source: a, target: c"], [ab, "source: b, target: a"]):
        code, err = said(*bad)
        assert code == 2 and "closes a ring" in err and "twice" in err, err
    code, err = said(f"{ab}, {both}", f"{bc}, {both}, conflict: {{default: source}}", f"{ca}, {both}")
    assert code == 2 and "latest" in err and "s1" in err
    code, err = said(f"{ab}, copy: {{adopt: true}}")
    assert code == 2 and "copy.adopt" in err
