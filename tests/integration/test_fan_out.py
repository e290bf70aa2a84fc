"""Several targets from one source: each has a position of its own, and none misses a change, also when
one is away for long, when the capture is made anew for another, and when one leaves."""

import pytest
import rig

CONFIG = """
databases: {{a: {{url: "{{source}}"}}, b: {{url: "{{target}}"}}}}
syncs: [{{name: {name}, source: a, target: b{more}}}]
"""

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.item (id int PRIMARY KEY, v text);
CREATE TABLE shop.other (id int PRIMARY KEY, v text);
INSERT INTO shop.item SELECT i, 'v' || i FROM generate_series(1, 300) i;
INSERT INTO shop.other SELECT i, 'v' || i FROM generate_series(1, 20) i;
"""


@pytest.fixture
def made(source, servers, rebecos):
    """made(name, more="") is a daemon of that name to a target of its own; more is put into its sync."""
    source.psql(TABLES)

    def make(name, more=""):
        target = servers("target", "rds")
        r = rebecos(source, target, config=CONFIG.format(name=name, more=more), name=name)
        r.target = target
        return r
    return make


def copies(r, table="item"):
    """What changes when a daemon has made a copy of the table: its number among all, in time."""
    return r.target.value("SELECT copied_at FROM rebeco.sync_table WHERE source_name = %s", table)


def all_in_sync(*daemons):
    for r in daemons:
        r.wait_in_sync(60)
        rig.wait_converged(r.source, r.target)


def test_two_begin_at_the_same_moment(source, made):
    one, two = made("one"), made("two")
    one.start()
    two.start()
    all_in_sync(one, two)
    source.run("UPDATE shop.item SET v = 'moved' WHERE id < 50")
    all_in_sync(one, two)
    assert source.value("SELECT count(*) FROM rebeco.capture") == 2
    assert source.value("SELECT count(*) FROM rebeco.consumer_table") == 4


def test_one_configuration_with_two_targets(source, servers, rebecos):
    source.psql(TABLES)
    near, far = servers("target", "rds"), servers("target", "rds")
    r = rebecos(source, near, config=f"""
databases: {{a: {{url: "{{source}}"}}, b: {{url: "{{target}}"}}, c: {{url: "{far.url()}"}}}}
syncs:
  - {{name: near, source: a, target: b}}
  - {{name: far, source: a, target: c, tables: {{include: ["shop.item"]}}}}
""")
    r.start()
    rig.wait_converged(source, near, timeout=60)
    source.run("DELETE FROM shop.item WHERE id % 3 = 0")
    rig.wait_converged(source, near)
    rig.eventually("the other target has it too",
                   lambda: far.value("SELECT count(*) FROM shop.item") == 200, 60)
    assert far.value("SELECT to_regclass('shop.other')") is None or far.value("SELECT count(*) FROM shop.other") == 0


def test_one_is_away_for_long(source, made):
    """The change logs are kept for it, over many rotations by the other; and it is named."""
    one, two = made("one", ", log_limit: 1MB"), made("two")
    one.start()
    two.start()
    all_in_sync(one, two)
    two.kill9()
    for i in range(6):
        source.run("INSERT INTO shop.item SELECT i, 'x' FROM generate_series(%s, %s) i", 1000 + i * 20000, 1000 + i * 20000 + 19999)
        source.run("DELETE FROM shop.item WHERE id BETWEEN %s AND %s", 1000 + i * 20000, 1000 + i * 20000 + 19000)
    source.run("DELETE FROM shop.other WHERE id = 7")
    one.wait("the slow one is named", lambda: any("slowest_sync=two" in line for line in one.log_lines("beyond their limit")), 40)
    assert one.wait("status names it", lambda: one.status()["log"]["slowest_sync"] == "two", 40)
    one.wait_in_sync(60)
    rig.wait_converged(source, one.target)
    two.start()
    all_in_sync(one, two)
    assert two.log_lines("copied again") == []
    two.wait("the logs are emptied when both have everything",
             lambda: log_bytes(source) < 2 << 20, 60)


def log_bytes(source):
    return source.value("SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relname ~ '^log_[0-9]+_[01]$'")


def test_a_target_that_was_made_anew_leaves_a_reader_behind(source, made):
    """As in a rehearsal. The change logs are kept for what is gone; that is said at once, and how to give it up."""
    r = made("one", ", log_limit: 1MB")
    r.start()
    r.wait_in_sync(60)
    r.terminate()
    for sql in ("DROP DATABASE app", f"CREATE DATABASE app OWNER {r.target.owner}"):
        r.target.run(sql, user="postgres", database="postgres")
    r.start()
    r.wait_in_sync(60)
    gone = source.value("SELECT consumer FROM rebeco.consumer ORDER BY created_at")
    said, = r.log_lines("another sync of this name")
    assert gone in said and "DELETE FROM rebeco.consumer" in said
    for i in range(3):
        source.run("INSERT INTO shop.item SELECT i, 'x' FROM generate_series(%s, %s) i", 1000 + i * 20000, 1000 + i * 20000 + 19999)
    r.wait("it is named", lambda: any(gone in line and "DELETE FROM rebeco.consumer" in line for line in r.log_lines("beyond their limit")), 60)
    source.run("DELETE FROM rebeco.consumer WHERE consumer = %s", gone)
    r.wait("the logs are emptied", lambda: log_bytes(source) < 1 << 20, 60)
    r.wait_in_sync(60)
    rig.wait_converged(source, r.target)
    assert r.log_lines("copied again") == []
    r.terminate()
    r.start()
    r.wait_in_sync(60)
    assert len(r.log_lines("another sync of this name")) == 1


def change_at(*servers, sql):
    for s in servers:
        s.psql(sql)


def test_the_capture_is_made_anew_while_another_is_away(source, made):
    """What the sleeping one had not read went with the old log: it must notice, though the new log is
    whole and there is not one row in it."""
    one, two = made("one"), made("two")
    one.start()
    two.start()
    all_in_sync(one, two)
    two.kill9()
    source.run("UPDATE shop.item SET v = 'missed' WHERE id < 100")
    one.wait_in_sync()
    rig.wait_converged(source, one.target)
    before = copies(one)
    source.psql("ALTER TABLE shop.item DISABLE TRIGGER rebeco_update")
    source.psql("ALTER TABLE shop.item ENABLE ALWAYS TRIGGER rebeco_update")
    one.wait("the first makes the capture anew", lambda: copies(one) not in (None, before), 30)
    all_in_sync(one)
    two.start()
    all_in_sync(two)
    assert two.log_lines("its change log was made anew")


def test_the_capture_is_made_anew_while_both_work(source, made):
    """Over and over, with writers; neither copies for ever, and both end right."""
    one, two = made("one"), made("two")
    one.start()
    two.start()
    all_in_sync(one, two)

    def write(c, rng, _):
        c.run("UPDATE shop.item SET v = v || 'x' WHERE id = %s", rng.randint(1, 300))
        c.run("INSERT INTO shop.other VALUES (%s, 'n') ON CONFLICT (id) DO UPDATE SET v = other.v || 'y'", rng.randint(1, 40))
    with rig.Crew(source, write, 2):
        for r in (one, two):
            before = {x: copies(x) for x in (one, two)}
            r.ok("resync", "shop.other")
            source.psql("ALTER TABLE shop.item DISABLE TRIGGER rebeco_update")
            source.psql("ALTER TABLE shop.item ENABLE ALWAYS TRIGGER rebeco_update")
            for x in (one, two):
                x.wait("it copies the table again", lambda: copies(x) not in (None, before[x]), 60)
    all_in_sync(one, two)
    before = [copies(x) for x in (one, two)]
    source.run("UPDATE shop.item SET v = 'last'")
    all_in_sync(one, two)
    assert [copies(x) for x in (one, two)] == before


def test_the_key_changes_while_one_is_away(source, made):
    one, two = made("one"), made("two")
    one.start()
    two.start()
    all_in_sync(one, two)
    two.kill9()
    source.run("UPDATE shop.item SET v = 'missed' WHERE id < 100")
    one.wait_in_sync()
    change_at(source, one.target, two.target, sql="""
        ALTER TABLE shop.item ADD COLUMN code text NOT NULL DEFAULT 'c';
        ALTER TABLE shop.item DROP CONSTRAINT item_pkey;
        ALTER TABLE shop.item ADD PRIMARY KEY (code, id)""")
    all_in_sync(one)
    source.run("DELETE FROM shop.item WHERE id < 10")
    two.start()
    all_in_sync(one, two)


def test_other_wishes_for_the_capture(source, made):
    """One wants row triggers, the other statement triggers: what is there is kept, nobody copies in turns."""
    one, two = made("one", ", capture: row"), made("two", ", capture: statement")
    one.start()
    all_in_sync(one)
    two.start()
    all_in_sync(one, two)
    assert source.run("SELECT DISTINCT form FROM rebeco.capture") == [("row",)]
    source.run("UPDATE shop.item SET v = 'moved' WHERE id < 50")
    all_in_sync(one, two)
    assert len(one.log_lines("table paused")) == 0


def test_taken_off_the_readers_by_a_person(source, made):
    """The log is not kept for the second any more. It notices, running or not, and copies again."""
    one, two = made("one"), made("two")
    one.start()
    two.start()
    all_in_sync(one, two)
    source.run("DELETE FROM rebeco.consumer WHERE sync = 'two'")
    source.run("UPDATE shop.item SET v = 'moved' WHERE id < 50")
    two.wait("it is a reader again", lambda: source.value(
        "SELECT count(*) FROM rebeco.consumer_table t JOIN rebeco.consumer c USING (consumer) WHERE c.sync = 'two'") == 2, 60)
    all_in_sync(one, two)
    assert two.log_lines("not kept for this sync")


def test_the_first_leaves_while_the_second_works(source, made):
    one, two = made("one", ', tables: {include: ["shop.item"]}'), made("two")
    one.start()
    two.start()
    two.wait_in_sync(60)
    one.wait_in_sync(60)
    one.terminate()

    def write(c, rng, _):
        c.run("UPDATE shop.item SET v = v || 'x' WHERE id = %s", rng.randint(1, 300))
    with rig.Crew(source, write, 1):
        one.ok("--sync", "one", "uninstall")
        rig.eventually("only the second reads", lambda: source.run("SELECT sync FROM rebeco.consumer") == [("two",)])
    all_in_sync(two)
    assert two.log_lines("copied again") == []
    assert source.value("SELECT count(*) FROM rebeco.capture") == 2


def test_a_crash_between_the_new_capture_and_the_note_of_it(source, target, rebeco):
    """The target believes in a position of the old log, paused for another reason; the capture is whole."""
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync(60)
    rebeco.kill9()
    source.run("UPDATE shop.item SET v = 'missed' WHERE id < 100")
    source.run("ALTER TABLE shop.item DISABLE TRIGGER rebeco_update")
    source.run("ALTER TABLE shop.item ENABLE ALWAYS TRIGGER rebeco_update")
    source.run("SELECT rebeco.capture_install('shop.item'::regclass, 'shop.item_pkey'::regclass, 'auto')")
    assert source.value("SELECT problem FROM rebeco.capture c, rebeco.capture_state(c.id) "
                        "WHERE c.relid = 'shop.item'::regclass") is None
    rebeco.start()
    rebeco.wait("it copies the table again", lambda: rebeco.log_lines("its change log was made anew"), 30)
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
