"""A partition is dropped, at one end: its rows go at the other one, and the table is not copied again. No trigger fires for it, and
nobody is asked before. replicator/partition.c says why that is exact."""

import contextlib
import random
import time

import pytest
import rig
import two_way

# Rows of three "months", one of which has partitions itself; names that need quotes, and a key that is not in the order of the columns.
MADE = """
CREATE SCHEMA p; CREATE TABLE p.t (v text, id int, day date NOT NULL, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
CREATE TABLE p."one ""1"" %" PARTITION OF p.t FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE p.t2 PARTITION OF p.t FOR VALUES FROM ('2024-02-01') TO ('2024-03-01') PARTITION BY HASH (id);
CREATE TABLE p.t2a PARTITION OF p.t2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE p.t2b PARTITION OF p.t2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE p.t3 PARTITION OF p.t FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
CREATE TABLE p.rest PARTITION OF p.t DEFAULT; CREATE TABLE p.other (id int PRIMARY KEY);
"""
ROWS = "INSERT INTO p.t SELECT 'v', i, '2023-12-25'::date + i % 100 FROM generate_series(1, 1000) i;"
PLAIN = "CREATE SCHEMA p; CREATE TABLE p.t (id int, day date, v text, PRIMARY KEY (id, day)); CREATE TABLE p.other (id int PRIMARY KEY)"
OTHERS = """CREATE SCHEMA p; CREATE TABLE p.t (id int, day date, v text, PRIMARY KEY (id, day)) PARTITION BY HASH (id);
CREATE TABLE p.t3 PARTITION OF p.t FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE p.b PARTITION OF p.t FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE p.other (id int PRIMARY KEY)"""
ALL = "SELECT count(*), md5(string_agg(r, ' ' ORDER BY r COLLATE \"C\")) FROM (SELECT concat_ws(',', id, day, v) FROM p.t) y (r)"
COPIED = "SELECT sync, copied_at FROM rebeco.sync_table WHERE source_name = 't' ORDER BY 1"
FIRST, SECOND = 'p."one ""1"" %"', "p.t2"


def same(rebeco, source, target, timeout=40):
    rebeco.wait("the table is the same", lambda: source.run(ALL) == target.run(ALL), timeout)


def owed(server):
    return server.value("SELECT count(*) FROM rebeco.partition_gone")


def begin(rebecos, source, target, at_target=None, **how):
    source.psql(MADE + ROWS)
    if at_target:
        target.psql(at_target)
    rebeco = rebecos(source, target, config=how.pop("config", None) or rig.config(**({"schema": "expect"} if at_target else {}), **how))
    rebeco.start()
    rebeco.wait_in_sync()
    return rebeco


@pytest.mark.parametrize("at_target", [None, PLAIN, OTHERS])
def test_one_is_dropped(source, target, rebecos, at_target):
    """However the target keeps the rows. One goes with its own partitions, and two at once."""
    rebeco = begin(rebecos, source, target, at_target)
    copied = target.run(COPIED)
    rows = source.value(f"SELECT count(*) FROM {FIRST}")
    source.psql(f"DROP TABLE {FIRST}; INSERT INTO p.other VALUES (1)")
    same(rebeco, source, target)
    rebeco.wait_in_sync()
    line = rebeco.log_lines("its rows go at the other end")
    assert len(line) == 1 and f"rows={rows}" in line[0], rebeco.log_tail()
    source.psql("UPDATE p.t SET v = 'w' WHERE id < 50; DROP TABLE p.t2, p.t3; INSERT INTO p.t VALUES ('in the default', 1, '2024-02-05')")
    same(rebeco, source, target)
    rebeco.wait_in_sync()
    same(rebeco, source, target)
    assert target.run(COPIED) == copied and owed(source) == 0 and not rebeco.log_lines("copied again")
    source.run("UPDATE p.t SET v = 'end', day = day + 200")
    rebeco.wait_in_sync()
    same(rebeco, source, target)


def test_what_ends_the_log_of_it(source, target, rebecos):
    """Where the condition means nothing to another server, the table is copied again: a hash, what is left over, an order of texts. The whole
    table goes as ever."""
    source.psql("""CREATE SCHEMA p; CREATE TABLE p.t (id int, day text COLLATE "en-x-icu", v text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
        CREATE TABLE p.t1 PARTITION OF p.t FOR VALUES FROM ('a') TO ('f'); CREATE TABLE p.t2 PARTITION OF p.t FOR VALUES FROM ('f') TO ('z') PARTITION BY HASH (id);
        CREATE TABLE p.t2a PARTITION OF p.t2 FOR VALUES WITH (MODULUS 1, REMAINDER 0); CREATE TABLE p.rest PARTITION OF p.t DEFAULT;
        INSERT INTO p.t SELECT i, chr(60 + i), 'v' FROM generate_series(1, 60) i""")
    rebeco = rebecos(source, target)
    rebeco.start()
    rebeco.wait_in_sync()
    for n, partition in enumerate(["p.t1", "p.t2a", "p.rest"]):
        source.run(f"DROP TABLE {partition}")
        same(rebeco, source, target)
        rebeco.wait_in_sync()
        assert len(rebeco.log_lines("table copied")) == n + 2 and not rebeco.log_lines("its rows go at the other end"), rebeco.log_tail()
    source.run("DROP TABLE p.t")
    rebeco.wait("it is said", lambda: target.value("SELECT paused FROM rebeco.sync_table") == "drift")
    assert owed(source) == 0 and target.value("SELECT count(*) FROM p.t") == 0


def test_a_condition_that_means_nothing_there(source, target, rebecos):
    """The table is copied again, and nothing is owed."""
    rebeco = begin(rebecos, source, target)
    source.run("UPDATE rebeco.capture_partition SET bounds = replace(bounds, 'day', 'night')")
    source.run(f"DROP TABLE {FIRST}")
    same(rebeco, source, target)
    rebeco.wait_in_sync()
    assert rebeco.log_lines("cannot be read") and len(rebeco.log_lines("table copied")) == 3 and owed(source) == 0, rebeco.log_tail()


def test_while_nobody_looks(source, target, rebecos):
    """As pg_partman does it: detached and dropped, before anybody has seen that it was detached; and one was renamed before. Rows that the log
    knows are among them."""
    rebeco = begin(rebecos, source, target)
    copied = target.run(COPIED)
    rebeco.terminate()
    source.psql(f"UPDATE p.t SET v = 'w' WHERE day < '2024-01-10'; DELETE FROM p.t WHERE id % 7 = 0; INSERT INTO p.t SELECT 'n', 5000 + i, '2024-01-01'::date + i FROM generate_series(1, 70) i;"
                f"ALTER TABLE p.t DETACH PARTITION {FIRST}; DELETE FROM {FIRST} WHERE id < 100; INSERT INTO {FIRST} VALUES ('x', 9000, '2024-01-05'); DROP TABLE {FIRST};"
                "ALTER TABLE p.t3 RENAME TO \"gone's\"; DROP TABLE p.\"gone's\"; ALTER TABLE p.t DETACH PARTITION p.t2; DROP TABLE p.t2a; DROP TABLE p.t2")
    rebeco.start()
    same(rebeco, source, target)
    rebeco.wait_in_sync()
    same(rebeco, source, target)
    assert target.run(COPIED) == copied and len(rebeco.log_lines("its rows go at the other end")) == 3, rebeco.log_tail()


def test_another_takes_its_place(source, target, rebecos):
    """With rows of the same keys and others, put in, attached, or moved there; under the same name, before anybody looks."""
    rebeco = begin(rebecos, source, target)
    copied = target.run(COPIED)
    source.psql(f"BEGIN; DROP TABLE {FIRST}; CREATE TABLE {FIRST} PARTITION OF p.t FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');"
                "INSERT INTO p.t SELECT 'again', i, '2023-12-25'::date + i % 100 FROM generate_series(10, 30) i; COMMIT")
    same(rebeco, source, target)
    source.psql("CREATE TABLE p.new (LIKE p.t INCLUDING ALL); INSERT INTO p.new SELECT v || '!', id, day FROM p.t2 WHERE id % 3 = 0; INSERT INTO p.new VALUES ('n', 7000, '2024-02-10');"
                "DROP TABLE p.t2; ALTER TABLE p.t ATTACH PARTITION p.new FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')")
    same(rebeco, source, target)
    source.psql("CREATE TABLE p.kept AS SELECT * FROM p.t3 WHERE id % 2 = 0; DROP TABLE p.t3; INSERT INTO p.t SELECT * FROM p.kept; DROP TABLE p.kept")
    same(rebeco, source, target)
    rebeco.wait_in_sync()
    same(rebeco, source, target)
    assert target.run(COPIED) == copied and source.value("SELECT count(*) FROM p.rest WHERE day >= '2024-03-01'") > 0


def test_while_rows_are_written(source, target, rebecos):
    """Month after month goes while rows come, change, move and go, in the same transactions and others."""
    rebeco = begin(rebecos, source, target)
    copied = target.run(COPIED)

    def work(c, rng, n):
        i, day = rng.randint(1, 2000), f"'2023-12-25'::date + {rng.randint(0, 130)}"
        c.run(rng.choice([f"INSERT INTO p.t VALUES ('n', {i}, {day}) ON CONFLICT (day, id) DO UPDATE SET v = p.t.v || '+'", f"DELETE FROM p.t WHERE id = {i}",
                          f"UPDATE p.t SET v = 'w' WHERE id BETWEEN {i} AND {i} + 9", f"UPDATE p.t SET day = {day} WHERE id = {i} AND NOT EXISTS (SELECT 1 FROM p.t o WHERE o.id = {i} AND o.day = {day})"]))

    with rig.Crew(source, work, 3, pause_s=0.01, allowed=("40001", "40P01", "23505", "55P03", "42P01", "XX000")) as crew:
        rng = random.Random(1)
        for month in FIRST, SECOND, "p.t3":
            before = crew.done
            source.psql(f"SET lock_timeout = '20s'; {rng.choice(['DROP TABLE', f'ALTER TABLE p.t DETACH PARTITION {month}; DROP TABLE'])} {month}")
            rebeco.wait("the note is made", lambda n=month: rebeco.log_lines("its rows go at the other end"))
            rig.eventually("rows are written", lambda n=before: crew.done > n + 50)
    same(rebeco, source, target)
    rebeco.wait_in_sync()
    same(rebeco, source, target)
    assert target.run(COPIED) == copied, rebeco.log_tail()


@contextlib.contextmanager
def gate(server, condition="true"):
    """Whoever logs a row at that end waits at it."""
    log = server.value("SELECT 'rebeco.log_' || id FROM rebeco.capture WHERE table_name = 't'")
    server.psql("CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF " + condition + " THEN PERFORM pg_advisory_xact_lock_shared(1); END IF; RETURN NULL; END$$;"
                + "".join(f"CREATE TRIGGER slow BEFORE INSERT ON {log}_{i} FOR EACH STATEMENT EXECUTE FUNCTION public.slow();" for i in (0, 1)), user="postgres")
    with server.connect() as c:
        c.run("SELECT pg_advisory_lock(1)")
        yield lambda: server.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted")


@pytest.mark.parametrize("at", ["first", "later"])
def test_a_kill_between_two_pages(source, target, rebecos, at):
    """The page that was not committed is read again, and no other. The application waits for none of it."""
    rebeco = begin(rebecos, source, target)
    copied = target.run(COPIED)
    source.run("INSERT INTO p.t SELECT 'n', i, '2024-01-01'::date + i % 31 FROM generate_series(5001, 50000) i")
    rebeco.wait_in_sync()
    rows = source.value(f"SELECT count(*) FROM {FIRST}")
    with gate(source, "true" if at == "first" else "EXISTS (SELECT 1 FROM rebeco.partition_gone WHERE logged > 0)") as waits:
        source.run(f"DROP TABLE {FIRST}")
        rebeco.wait("a page is being logged", waits)
        with source.connect() as app:
            app.run("SET statement_timeout = '5s'")
            assert app.value("SELECT count(*) FROM p.t WHERE day >= '2024-02-01'") > 0
        rebeco.kill9()
        source.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'", user="postgres")
        assert source.value("SELECT logged FROM rebeco.partition_gone") == (0 if at == "first" else 20000)
        source.psql("DROP TABLE p.t3")
        rebeco.start()
        rebeco.wait("it stands still", waits)
    same(rebeco, source, target)
    rebeco.wait_in_sync()
    same(rebeco, source, target)
    assert any(f"rows={rows}" in line for line in rebeco.log_lines("its rows go at the other end")), rebeco.log_tail()
    assert target.run(COPIED) == copied and owed(source) == 0


def test_dropped_at_both_ends(source, target, rebecos):
    """At the target first, after it, and while nobody looks."""
    rebeco = begin(rebecos, source, target)
    copied = target.run(COPIED)
    for end in target, source:
        end.run(f"DROP TABLE {FIRST}")
    same(rebeco, source, target)
    rebeco.wait_in_sync()
    for end in source, target:
        end.run("DROP TABLE p.t2")
    same(rebeco, source, target)
    rebeco.wait_in_sync()
    rebeco.terminate()
    for end in target, source:
        end.psql("DROP TABLE p.t3; INSERT INTO p.other VALUES (1)") if end is source else end.run("DROP TABLE p.t3")
    rebeco.start()
    rebeco.wait_in_sync()
    same(rebeco, source, target)
    assert target.run(COPIED) == copied and owed(source) == 0


def test_while_it_is_copied(source, target, rebecos):
    """What of it has come by then goes, or the copy begins anew: either way nothing is left."""
    source.psql(MADE + "INSERT INTO p.t SELECT repeat('v', 500), i, '2023-12-25'::date + i % 100 FROM generate_series(1, 20000) i")
    rebeco = rebecos(source, target, config=rig.config(copy={"max_rate": "2MB/s", "streams": 1, "split_size": "1MB"}))
    rebeco.start()
    rebeco.wait("some rows have come", lambda: rebeco.phase() == "copy" and target.value("SELECT count(*) FROM rebeco.chunk WHERE done_at IS NOT NULL") > 2, 60)
    relation = target.value("SELECT relation FROM rebeco.chunk WHERE done_at IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
    source.run("DROP TABLE " + source.value("SELECT %s::oid::regclass::text", relation))
    same(rebeco, source, target, 90)
    rebeco.wait_in_sync()
    same(rebeco, source, target)
    assert owed(source) == 0


def test_each_of_two_targets(source, servers, rebecos):
    """One daemon notices, and is through; the other one's was away, and its target is behind."""
    source.psql(MADE + ROWS)
    daemons = []
    for name in "one", "two":
        target = servers("target", "rds")
        r = rebecos(source, target, config=f"""
databases: {{a: {{url: "{{source}}"}}, b: {{url: "{{target}}"}}}}
syncs: [{{name: {name}, source: a, target: b}}]
""", name=name)
        r.at = target
        r.start()
        r.wait_in_sync(60)
        daemons.append(r)
    copied = [r.at.run(COPIED) for r in daemons]
    one, two = daemons
    two.kill9()
    source.psql("INSERT INTO p.t SELECT 'n', 3000 + i, '2024-01-01'::date + i FROM generate_series(1, 30) i; UPDATE p.t SET day = '2024-01-07' WHERE id < 9")
    one.wait_in_sync()
    source.run(f"DROP TABLE {FIRST}")
    same(one, source, one.at)
    one.wait_in_sync()
    assert owed(source) == 1
    two.start()
    two.wait_in_sync()
    same(two, source, two.at)
    source.run("DROP TABLE p.t2")
    for r in daemons:
        same(r, source, r.at)
        r.wait_in_sync()
        assert not r.log_lines("copied again"), r.log_tail()
    assert [r.at.run(COPIED) for r in daemons] == copied and owed(source) == 0
    two.terminate()
    source.run("DROP TABLE p.t3")
    same(one, source, one.at)
    assert owed(source) == 1
    two.ok("uninstall", "--sync", "two")
    assert owed(source) == 0


@pytest.mark.parametrize("dropped_at, wins", [("source", "latest"), ("target", "source"), ("target", "target"), ("source", "source"), ("source", "target"),
                                              ("target", "latest")][:6 if rig.LONG else 3])
def test_both_directions(source, target, rebecos, dropped_at, wins):
    """Either end drops one. What the other end changes of it then is a conflict, for the policy, whether its key was read before or after;
    what that end puts in stays."""
    rebeco = begin(rebecos, source, target, config=two_way.config(conflict={"default": wins}))
    two_way.wait_both(rebeco)
    here, there = (source, target) if dropped_at == "source" else (target, source)
    copied = target.run(COPIED) + source.run(COPIED)
    with gate(here) as waits:
        here.run(f"DROP TABLE {FIRST}")
        rebeco.wait("a page is being logged", waits)
        there.psql("UPDATE p.t SET v = 'changed' WHERE day = '2024-01-10'; DELETE FROM p.t WHERE day = '2024-01-11'; INSERT INTO p.t VALUES ('put in', 8000, '2024-01-15');"
                   "DELETE FROM p.t WHERE day = '2024-01-12' AND id < 500; INSERT INTO p.t SELECT 'changed', id, day FROM (VALUES (18, '2024-01-12'::date)) x (id, day)")
        if wins != "latest":
            rebeco.kill9()
            here.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'", user="postgres")
            rebeco.start()
            rebeco.wait("it is read again", waits)
        there.psql("UPDATE p.t SET v = 'changed' WHERE day = '2024-01-16'; INSERT INTO p.t VALUES ('put in', 8001, '2024-01-17')")
    changed = there.value("SELECT count(*) FROM p.t WHERE v = 'changed'")
    two_way.wait_both(rebeco)
    same(rebeco, source, target)
    stays = wins in (two_way.end_of(there), "latest")
    left = dict(there.run("SELECT v, count(*) FROM p.t WHERE day BETWEEN '2024-01-01' AND '2024-01-31' GROUP BY 1"))
    assert left == ({"put in": 2, "changed": changed} if stays else {"put in": 2}), left
    assert {decision for table, key, kind, decision, *rows in two_way.conflicts(source)} == {two_way.end_of(there if stays else here)}
    assert len(two_way.conflicts(source)) == len(two_way.conflicts(target)) == changed
    assert target.run(COPIED) + source.run(COPIED) == copied and owed(source) + owed(target) == 0 and not rebeco.log_lines("copied again")


@pytest.mark.parametrize("wins", ["source", "target", "latest"] if rig.LONG else ["latest"])
@pytest.mark.parametrize("closed", ["source", "target"])
@pytest.mark.parametrize("dropped_at", ["source", "target"] if rig.LONG else ["source"])
def test_while_a_direction_is_closed(source, target, rebecos, dropped_at, closed, wins):
    """One is dropped, its keys are logged, and the daemon is killed, before the direction is open again."""
    rebeco = begin(rebecos, source, target, config=two_way.config(conflict={"default": wins}))
    two_way.wait_both(rebeco)
    here, there = (source, target) if dropped_at == "source" else (target, source)
    copied = target.run(COPIED) + source.run(COPIED)
    rebeco.ok("direction", two_way.ONLY[closed])
    here.psql(f"DROP TABLE {FIRST}; UPDATE p.t SET v = 'here' WHERE id % 11 = 0")
    there.psql("UPDATE p.t SET v = 'changed' WHERE day = '2024-01-10'; DELETE FROM p.t WHERE day = '2024-01-11'; INSERT INTO p.t VALUES ('put in', 8000, '2024-01-15');"
               "UPDATE p.t SET v = 'there' WHERE day >= '2024-02-01' AND id % 13 = 0")
    rebeco.wait("the keys are logged", lambda: rebeco.log_lines("its rows go at the other end"))
    rebeco.kill9()
    rebeco.start()
    there.psql("UPDATE p.t SET v = 'later' WHERE day = '2024-01-16'; INSERT INTO p.t VALUES ('put in', 8001, '2024-01-17')")
    rebeco.ok("direction", "both")
    two_way.wait_both(rebeco)
    same(rebeco, source, target)
    left = dict(there.run("SELECT v, count(*) FROM p.t WHERE day BETWEEN '2024-01-01' AND '2024-01-31' GROUP BY 1"))
    assert left["put in"] == 2 and "v" not in left and not left.keys() - {"put in", "changed", "later"}, left
    assert len(two_way.conflicts(source)) == len(two_way.conflicts(target)) > 0
    assert target.run(COPIED) + source.run(COPIED) == copied and owed(source) + owed(target) == 0 and not rebeco.log_lines("copied again")


def test_both_directions_drop(source, target, rebecos):
    """Each end another one, or the same; with a kill, and writers at both ends who know nothing of it."""
    rebeco = begin(rebecos, source, target, config=two_way.config())
    two_way.wait_both(rebeco)
    copied = target.run(COPIED) + source.run(COPIED)

    def work(c, rng, n):
        c.run(f"UPDATE p.t SET v = '{n}' WHERE id BETWEEN {rng.randint(1, 900)} AND 905 AND id % 31 = 0")

    with rig.Crew(source, work, 1, pause_s=0.05), rig.Crew(target, work, 1, pause_s=0.05):
        source.run(f"DROP TABLE {FIRST}")
        target.run("DROP TABLE p.t2")
        rebeco.wait("it is seen", lambda: rebeco.log_lines("was dropped"))
        rebeco.kill9()
        rebeco.start()
        two_way.wait_both(rebeco)
        for end in source, target:
            end.run("DROP TABLE p.t3")
        rebeco.wait("that is seen, too", lambda: [end.value("SELECT count(*) FROM rebeco.capture_partition") for end in (source, target)] == [4, 2])
    two_way.wait_both(rebeco)
    same(rebeco, source, target)
    assert target.run(COPIED) + source.run(COPIED) == copied and owed(source) + owed(target) == 0


def drop_or_make(c, rng, month):
    """The partition of a month goes; where there is none, one comes, and takes its rows from the default one."""
    c.run("SET lock_timeout = '20s'")
    name = c.value("SELECT min(c.oid::regclass::text) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'p.t'::regclass "
                   "AND pg_get_expr(c.relpartbound, c.oid) LIKE %s", f"%FROM ('2024-0{month}-01')%")
    if name:
        c.run(f"DROP TABLE {name}")
        return
    rows = f"p.rest WHERE day >= '2024-0{month}-01' AND day < '2024-0{month + 1}-01'"
    c.run(f"BEGIN; LOCK TABLE p.t IN ACCESS EXCLUSIVE MODE; CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM {rows}; DELETE FROM {rows};"
          f"CREATE TABLE p.x{rng.randint(1, 10**9)} PARTITION OF p.t FOR VALUES FROM ('2024-0{month}-01') TO ('2024-0{month + 1}-01'); INSERT INTO p.t SELECT v, id, day FROM kept; COMMIT")


@pytest.mark.parametrize("seed", range(1, 11) if rig.LONG else [1])
@pytest.mark.parametrize("mode", ["one-way", "two-way"])
def test_at_random(source, target, rebecos, mode, seed):
    """Partitions go and come while rows are written and the daemon is killed; in both directions at both ends."""
    rng = random.Random(seed)
    both = mode == "two-way"
    rebeco = begin(rebecos, source, target, config=two_way.config(conflict={"default": rng.choice(["latest", "source", "target"])}) if both else None)
    wait = two_way.wait_both if both else type(rebeco).wait_in_sync
    wait(rebeco)
    ends = [source, target] if both else [source]
    copied = [target.run(COPIED)] + [end.run(COPIED) for end in ends[1:] and [source]]

    def work(c, rng, n):
        i, day = rng.randint(1, 600), f"'2023-12-25'::date + {rng.randint(0, 110)}"
        c.run(rng.choice([f"INSERT INTO p.t VALUES ('n{n}', {i}, {day}) ON CONFLICT (day, id) DO UPDATE SET v = p.t.v || '+'", f"DELETE FROM p.t WHERE id = {i}",
                          f"UPDATE p.t SET v = 'w{n}' WHERE id BETWEEN {i} AND {i} + 9", f"UPDATE p.t SET day = {day} WHERE id = {i} AND (SELECT count(*) FROM p.t o WHERE o.id = {i}) = 1"]))

    with contextlib.ExitStack() as crews:
        for end in ends:
            crews.enter_context(rig.Crew(end, work, 2, pause_s=0.03, allowed=("40001", "40P01", "23505", "55P03", "42P01", "XX000", "23514")))
        for _ in range(7):
            with rng.choice(ends).connect() as c:
                drop_or_make(c, rng, rng.randint(1, 3))
            time.sleep(rng.uniform(0.2, 4))
            if rng.random() < 0.4:
                rebeco.kill9()
                rebeco.start()
    wait(rebeco, 90)
    same(rebeco, source, target)
    assert rebeco.log_lines("its rows go at the other end") and owed(source) == 0
    assert [target.run(COPIED)] + [end.run(COPIED) for end in ends[1:] and [source]] == copied, rebeco.log_tail()
