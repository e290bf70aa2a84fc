"""Two-way syncs at chosen moments: a row is changed while the round is being decided, or one end commits its half of a round and
the other one does not."""

import time

import pytest
import rig
from two_way import HELD, ONLY, check_equal, config, conflicts, end_of, half_round, meet, position, roles, source, target, wait_both  # noqa: F401

# The resolver waits for a lock: so a round stands still between two tables, and the test may write.
GATE = """
    CREATE SCHEMA rules; CREATE TABLE gate (id int PRIMARY KEY, v text); INSERT INTO gate SELECT i, repeat('x', 500) FROM generate_series(1, 500) i;
    CREATE FUNCTION rules.wait(text, json, json, json, timestamptz, timestamptz) RETURNS text LANGUAGE plpgsql
        AS $$BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN 'source'; END$$;
    CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, 9) i;"""


def start(source, target, rebecos, made, **conflict):
    source.psql(made)
    rebeco = rebecos(source, target, config=config(conflict=conflict, lock_timeout="30s"))
    rebeco.start()
    wait_both(rebeco)
    return rebeco


def while_deciding(rebeco, source, target, at_source, at_target, then_at_target, equal=True):
    """Both ends write; when the snapshots are taken, and before t is decided, the target writes again."""
    rebeco.ok("pause")
    source.run("UPDATE gate SET v = 'source' WHERE id = 1;" + at_source)
    target.run("UPDATE gate SET v = 'target' WHERE id = 1;" + at_target)
    with target.connect() as app:
        app.run("SELECT pg_advisory_lock(1)")
        rebeco.ok("resume")
        rebeco.wait("the round waits", lambda: target.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"))
        target.run(then_at_target)
        app.run("SELECT pg_advisory_unlock(1)")
    wait_both(rebeco)
    if equal:
        check_equal(source, target)


def test_rows_that_become_equal_while_they_are_compared(source, target, rebecos):
    """Both applications have the same row in the end; what the target had in between is not sent as if it were the outcome."""
    rebeco = start(source, target, rebecos, GATE, default="source", tables={"public.gate": "rules.wait"})
    while_deciding(rebeco, source, target, "UPDATE t SET v = 'same' WHERE id = 1; DELETE FROM t WHERE id = 2",
                   "UPDATE t SET v = 'between' WHERE id < 3", "UPDATE t SET v = 'same' WHERE id = 1; DELETE FROM t WHERE id = 2")
    assert source.run("SELECT id, v FROM t WHERE id < 3") == [(1, "same")]
    rebeco.terminate()


def test_a_row_that_comes_after_a_truncation_while_it_is_decided(source, target, rebecos):
    """The source's change is not removed by the target's truncation because the row is there again."""
    rebeco = start(source, target, rebecos, GATE, default="source", tables={"public.gate": "rules.wait"})
    while_deciding(rebeco, source, target, "UPDATE t SET v = 'source' WHERE id = 1", "TRUNCATE t", "INSERT INTO t VALUES (1, 'late')")
    assert source.run("SELECT id, v FROM t") == [(1, "source")]
    rebeco.terminate()


@pytest.mark.parametrize("policy", ["source", "target", "latest", "skip"])
def test_rows_that_change_while_a_truncation_is_under_way(source, target, rebecos, policy):
    """The next round decides about them, as if they had been there in time. What is there again at the source stays."""
    rebeco = start(source, target, rebecos, GATE + "CREATE TABLE kept (id int PRIMARY KEY, v text UNIQUE); INSERT INTO kept VALUES (1, 'old'), (2, 'other')",
                   default=policy, tables={"public.gate": "rules.wait"})
    while_deciding(rebeco, source, target, "TRUNCATE t; INSERT INTO t VALUES (5, 'source'); TRUNCATE kept", "SELECT",
                   "UPDATE t SET v = 'late' WHERE id = 1; DELETE FROM t WHERE id = 2; UPDATE t SET id = 13 WHERE id = 3; INSERT INTO t VALUES (10, 'new');"
                   "UPDATE kept SET v = 'late' WHERE id = 1", equal=policy != "skip")
    late = [(1, "late"), (10, "new"), (13, "old")]
    assert target.run("SELECT id, v FROM t ORDER BY id") == sorted([(5, "source")] + (late if policy != "source" else []))
    assert source.run("SELECT id, v FROM t ORDER BY id") == sorted([(5, "source")] + (late if policy in ("target", "latest") else []))
    assert target.run("SELECT id, v FROM kept") == ([(1, "late")] if policy != "source" else [])
    for end in source, target:
        assert sorted((c[1], c[3]) for c in conflicts(end) if c[0] == "t") == [(key, policy if policy != "latest" else "target") for key in ("1", "10", "13")]
    rebeco.terminate()


# ------------------------------------------------------------------ half rounds


@pytest.mark.parametrize("first", ["target", "source"])
def test_skipped_rows_stay_different_after_half_a_round(source, target, rebecos, first):
    rebeco = start(source, target, rebecos, HELD + "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, 9) i", default="skip")
    there, late = (target, source) if first == "target" else (source, target)
    half_round(rebeco, there, late, "UPDATE t SET v = 'first' WHERE id < 4", "UPDATE t SET v = 'second' WHERE id < 3; DELETE FROM t WHERE id = 3")
    assert there.run("SELECT id, v FROM t WHERE id < 4 ORDER BY id") == [(1, "first"), (2, "first"), (3, "first")]
    assert late.run("SELECT id, v FROM t WHERE id < 4 ORDER BY id") == [(1, "second"), (2, "second")]
    assert len(conflicts(source)) == len(conflicts(target)) == 3
    rebeco.terminate()


@pytest.mark.parametrize("first", ["target", "source"])
def test_skipped_columns_stay_different_after_half_a_round(source, target, rebecos, first):
    """What does not clash in a merged row is sent all the same, also when one end changes it again: 2 another column, 3 the one that clashed."""
    rebeco = start(source, target, rebecos, HELD + "CREATE TABLE t (id int PRIMARY KEY, v text, w text, x text, y text, n int); INSERT INTO t SELECT i, 'old', 'old', 'old', 'old', 100 FROM generate_series(1, 9) i",
                   default="skip", merge=["public.t"], counters={"public.t": ["n"]})
    there, late = (target, source) if first == "target" else (source, target)
    half_round(rebeco, there, late, "UPDATE t SET v = 'first', w = 'first', n = n + 1 WHERE id < 4; INSERT INTO t VALUES (10, 'first')",
               "UPDATE t SET v = 'second', x = 'second', n = n + 10 WHERE id < 4; INSERT INTO t VALUES (10, 'second')",
               "UPDATE t SET v = 'again' WHERE id = 3; UPDATE t SET n = n + 1000 WHERE id = 1", "UPDATE t SET y = 'late', n = n + 2000 WHERE id = 2")
    rest = {1: ("first", "second", "old", 1111), 2: ("first", "second", "late", 2111), 3: ("first", "second", "old", 111), 10: (None, None, None, None)}
    for server, own in (there, "first"), (late, "second"):
        want = [(i, "again" if i == 3 else own, *columns) for i, columns in rest.items()]
        assert server.run("SELECT * FROM t WHERE id NOT BETWEEN 4 AND 9 ORDER BY id") == want, server.name
        assert sorted(c[1] for c in conflicts(server)) == ["1", "10", "2", "3"]
    rebeco.terminate()


@pytest.mark.parametrize("merge", [[], ["public.t"]])
@pytest.mark.parametrize("first", ["target", "source"])
def test_what_was_skipped_stays_different_when_the_table_has_stood_still(source, target, rebecos, first, merge):
    """One end refuses another row of the table, and so its half of the round. Until that is mended the other tables go on without it."""
    rebeco = start(source, target, rebecos, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, 9) i;"
                   "CREATE TABLE calm (id int PRIMARY KEY)", default="skip", merge=merge)
    there, late = (target, source) if first == "target" else (source, target)
    late.run("ALTER TABLE t ADD CONSTRAINT good CHECK (v <> 'bad')")
    meet(rebeco, source, target, *(f"UPDATE t SET v = '{end_of(s)}' WHERE id = 1" + ("; UPDATE t SET v = 'bad' WHERE id = 7" if s is there else "")
                                   for s in (source, target)), wait=False)
    for s in source, target:
        rebeco.wait("the table stands still", lambda: s.value("SELECT paused FROM rebeco.sync_table WHERE source_name = 't'"))
    for i, s in enumerate((source, target)):
        s.run("INSERT INTO calm VALUES (%s)", i)
    rebeco.wait("the other table goes on", lambda: {s.value("SELECT count(*) FROM calm") for s in (source, target)} == {2})
    late.run("ALTER TABLE t DROP CONSTRAINT good")
    rebeco.ok("retry", "public.t")
    wait_both(rebeco)
    for s in source, target:
        assert s.run("SELECT v FROM t WHERE id IN (1, 7) ORDER BY id") == [(end_of(s),), ("bad",)]
        assert len(conflicts(s)) == 1
    rebeco.terminate()


@pytest.mark.parametrize("closed", ["source", "target"])
def test_skipped_rows_stay_different_after_a_direction_was_closed(source, target, rebecos, closed):
    """One half of each round is not made then; and a row that its end changes once more is sent when it is open again."""
    rebeco = start(source, target, rebecos, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, 9) i", default="skip")
    x, y = (source, target) if closed == "source" else (target, source)
    rebeco.ok("direction", ONLY[closed])
    x.run("UPDATE t SET v = 'x' WHERE id < 5")
    y.run("UPDATE t SET v = 'y' WHERE id < 4")
    rebeco.wait("it was decided", lambda: x.value("SELECT count(*) FROM rebeco.conflict") == 3)
    x.run("UPDATE t SET v = 'x again' WHERE id = 1")
    rebeco.ok("direction", "both")
    wait_both(rebeco)
    assert x.run("SELECT v FROM t WHERE id < 5 ORDER BY id") == [("x again",), ("x",), ("x",), ("x",)]
    assert y.run("SELECT v FROM t WHERE id < 5 ORDER BY id") == [("x again",), ("y",), ("y",), ("x",)]
    rebeco.terminate()


@pytest.mark.parametrize("first", ["target", "source"])
def test_many_conflicts_of_half_a_round_are_known_at_both_ends(source, target, rebecos, first):
    rebeco = start(source, target, rebecos, HELD + "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, 6000) i", default="source")
    there, late = (target, source) if first == "target" else (source, target)
    half_round(rebeco, there, late, "UPDATE t SET v = 'first' || repeat('x', 1000)", "UPDATE t SET v = 'second' || repeat('x', 1000)")
    check_equal(source, target)
    for server in (source, target):
        assert server.value("SELECT count(*) FROM rebeco.conflict") == server.value("SELECT count(DISTINCT key::text) FROM rebeco.conflict") == 6000
    rebeco.terminate()


def test_many_conflicts_that_both_ends_know_are_not_told_again(source, target, rebecos):
    """After a start, and after a round that was given up, each end is asked what it knows: 200 MB here."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old')")
    rebeco = rebecos(source, target, config=config(conflict={"default": "source"}), binary=rig.RELEASE)
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target, "UPDATE t SET v = 'source'", "UPDATE t SET v = 'target'")
    rebeco.terminate()
    for server in (source, target):
        server.run("INSERT INTO rebeco.conflict (sync, table_schema, table_name, key, kind, source_row, target_row, source_at, target_at, policy, decision, batch) "
                   "SELECT sync, table_schema, table_name, json_build_array(i::text), kind, row, row, source_at, target_at, policy, decision, batch "
                   "FROM rebeco.conflict, generate_series(2, 5000) i, (SELECT json_build_object('v', repeat('x', 20000)) AS row) r")
    rebeco.start()
    wait_both(rebeco)
    for server in (source, target):
        assert server.value("SELECT count(*) FROM rebeco.conflict") == 5000
    print(f"{rebeco.peak_rss() / 2**20:.0f} MB")
    if rebeco.binary == rig.RELEASE and rig.RELEASE != rig.REBECO:
        assert rebeco.peak_rss() < 64 * 2**20
    rebeco.terminate()


@pytest.mark.parametrize("first", ["target", "source"])
def test_json_that_nothing_can_read(source, target, rebecos, first):
    """A column of type json holds escapes that no function can make characters of: such rows are compared, recorded and shown like any."""
    hard = [r'{"a": "\u0000"}', r'"\ud800"', r'{"b":  1, "a": "\\u0000 \u0001u \u00e9"}', r'["C:\\users"]']
    values = ", ".join(f"'{h}'" for h in hard)
    tables = "".join(f"CREATE TABLE {t} (id int PRIMARY KEY, v text, w text, x text, j json, k json);"
                     f"INSERT INTO {t} SELECT n, 'old', 'old', 'old', j::json FROM unnest(ARRAY[{values}]) WITH ORDINALITY h (j, n);" for t in "tm")
    rebeco = start(source, target, rebecos, HELD + tables, default="source", merge=["public.m"])
    there, late = (target, source) if first == "target" else (source, target)
    half_round(rebeco, there, late, *("".join(f"UPDATE {t} SET v = '{end}', {own} = '{end}', {json} = j;" for t in "tm")
                                      for end, own, json in (("first", "w", "j"), ("second", "x", "k"))))
    check_equal(source, target)
    won, lost = ("first", "second") if there is source else ("second", "first")
    for server in (source, target):
        assert server.run("SELECT id, j::text, k::text FROM m ORDER BY id") == [(i + 1, h, h) for i, h in enumerate(hard)]
        assert server.run("SELECT DISTINCT v, w, x FROM m") == [(won, "first", "second")]
        assert server.run("SELECT table_name, count(*) FROM rebeco.conflict GROUP BY 1 ORDER BY 1") == [("m", 4), ("t", 4)]
    assert rebeco.ok("conflicts").count("the source's version was kept") == 8
    for i, table in target.run("SELECT id, table_name FROM rebeco.conflict"):
        shown = rebeco.ok("conflicts", "show", str(i))
        assert "still as it was decided" in shown and won in shown and lost in shown, table
    for i, in target.run("SELECT id FROM rebeco.conflict WHERE key->>0 IN ('3', '4')"):
        rebeco.ok("conflicts", "replay", str(i))
    assert rebeco.command("conflicts", "replay", str(target.value("SELECT min(id) FROM rebeco.conflict WHERE key->>0 = '1'"))).code == 1
    wait_both(rebeco)
    check_equal(source, target)
    assert source.run("SELECT id, v, w, x, j::text, k::text FROM m WHERE id > 2 ORDER BY 1") == [(i, lost, "first", "second", hard[i - 1], hard[i - 1]) for i in (3, 4)]
    rebeco.terminate()


def test_columns_in_another_order_are_no_conflict(source, target, rebecos):
    """The same row is the same: a policy that stops the table would never let it go on."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, v text, n numeric, doc json); INSERT INTO t SELECT i, 'old', 1.5, '{}' FROM generate_series(1, 3) i")
    target.psql("CREATE TABLE t (n numeric, doc json, id int PRIMARY KEY, v text)")
    rebeco = rebecos(source, target, config=config(schema="expect", conflict={"default": "source"}))
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target, "UPDATE t SET v = 'same', n = 2.50, doc = '{\"a\": 1}'", "UPDATE t SET v = 'same', n = 2.50, doc = CASE id WHEN 3 THEN '{\"a\":1}' ELSE '{\"a\": 1}' END::json")
    assert [(c[1], c[3]) for c in conflicts(source)] == [("3", "source")]
    for server in (source, target):
        assert server.run("SELECT id, v, n::text, doc::text FROM t ORDER BY id") == [(i, "same", "2.50", '{"a": 1}') for i in (1, 2, 3)]
    rebeco.terminate()


@pytest.mark.parametrize("policy", ["source", "target", "abort"])
def test_rows_that_look_the_same_in_json(source, target, rebecos, policy):
    """A conflict, and not the same row at both ends: each would get the other's."""
    source.psql("CREATE TABLE t (id int PRIMARY KEY, j jsonb, a int[], k json); INSERT INTO t SELECT i, '1', '{1}', '1' FROM generate_series(1, 4) i")
    rebeco = rebecos(source, target, config=config(conflict={"default": policy}))
    rebeco.start()
    wait_both(rebeco)
    meet(rebeco, source, target, "UPDATE t SET j = NULL WHERE id = 1; UPDATE t SET a = '{1,2}' WHERE id = 2; UPDATE t SET k = '{}' WHERE id = 3; UPDATE t SET j = 'null' WHERE id = 4",
         "UPDATE t SET j = 'null' WHERE id = 1; UPDATE t SET a = '[0:1]={1,2}' WHERE id = 2; UPDATE t SET k = ' {}' WHERE id = 3; UPDATE t SET j = 'null' WHERE id = 4", wait=policy != "abort")
    if policy == "abort":
        rebeco.wait("the table is paused", lambda: any("3 rows of public.t were changed at both ends" in line for line in rebeco.log_lines("table paused")))
    else:
        check_equal(source, target)
        want = [(1, None, "{1}", "1"), (2, "1", "{1,2}", "1"), (3, "1", "{1}", "{}")] if policy == "source" else [(1, "null", "{1}", "1"), (2, "1", "[0:1]={1,2}", "1"), (3, "1", "{1}", " {}")]
        assert source.run("SELECT id, j::text, a::text, k::text FROM t WHERE id < 4 ORDER BY id") == want
        for server in source, target:
            assert [(c[1], c[3]) for c in conflicts(server)] == [(str(i), policy) for i in (1, 2, 3)]
    rebeco.terminate()


# ------------------------------------------------------------------ refused because of what came in between

# What the source writes, and what the target's application does to it when the round's snapshots are taken.
REFUSED = {
    "parent gone": ("INSERT INTO child VALUES (1, 1)", "DELETE FROM parent WHERE id = 1", "NO ACTION", "parent_kept"),
    "parent gone, found when settled": ("INSERT INTO child VALUES (1, 1)", "DELETE FROM parent WHERE id = 1",
                                        "NO ACTION DEFERRABLE INITIALLY DEFERRED", "parent_kept"),
    "parent gone, with its children": ("INSERT INTO child VALUES (1, 1)", "DELETE FROM parent WHERE id = 1", "CASCADE", "parent_removed"),
    "child came": ("DELETE FROM parent WHERE id = 1", "INSERT INTO child VALUES (1, 1)", "NO ACTION", "parent_kept"),
    "child came, to what may not go": ("DELETE FROM parent WHERE id = 1", "INSERT INTO child VALUES (1, 1)", "RESTRICT", "parent_kept"),
}


@pytest.mark.parametrize("roles", ["neither"], indirect=True)
@pytest.mark.parametrize("how", REFUSED)
def test_a_refusal_for_what_came_in_between_costs_one_round(source, target, rebecos, how):
    """The round is made again, and the job goes on. Tables that are written for the first time behind the refused row arrive with it."""
    at_source, late, action, kind = REFUSED[how]
    rebeco = start(source, target, rebecos, GATE + f"""CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
        CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE {action});
        CREATE TABLE toy (id int PRIMARY KEY, child int REFERENCES child)""", default="source", tables={"public.gate": "rules.wait"})
    failed = len(rebeco.log_lines("job failed"))
    redone = rebeco.status()["back"]["redone"]
    while_deciding(rebeco, source, target, at_source + "; INSERT INTO child VALUES (2, 2); INSERT INTO toy VALUES (1, 2); UPDATE t SET v = 'new' WHERE id = 1",
                   "UPDATE t SET v = 'other' WHERE id = 2", late)
    assert rebeco.log_lines("job failed")[failed:] == []
    rebeco.wait("a round was given up", lambda: rebeco.status()["back"]["redone"] > redone)
    assert [(c[0], c[2]) for c in conflicts(source) if c[0] != "gate"] == [("parent" if kind == "parent_kept" else "child", kind)]
    assert conflicts(source) == conflicts(target)
    rebeco.terminate()


@pytest.mark.parametrize("roles", ["neither"], indirect=True)
@pytest.mark.parametrize("action, after", [("CASCADE", [(2, 2)]), ("SET NULL", [(1, None), (2, 2)])])
def test_a_foreign_key_that_comes_in_between(source, target, rebecos, action, after):
    """What it does at our writing is a change of that end, though the table's capture was made when no foreign key acted on it."""
    rebeco = start(source, target, rebecos, GATE + """CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
        CREATE TABLE child (id int PRIMARY KEY, parent int); INSERT INTO child VALUES (1, 1), (2, 2)""",
                   default="source", tables={"public.gate": "rules.wait"})
    assert target.value("SELECT count(*) FROM rebeco.capture WHERE asks_depth") == 0
    while_deciding(rebeco, source, target, "DELETE FROM parent WHERE id = 1", "SELECT", f"ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES parent ON DELETE {action}")
    for server in source, target:
        assert server.run("SELECT id, parent FROM child ORDER BY id") == after
    assert target.run("SELECT table_name FROM rebeco.capture WHERE asks_depth ORDER BY 1") == [("child",)]
    rebeco.wait("all is as before", lambda: not [t for t in rebeco.status()["tables"] if t["paused"]])
    rebeco.terminate()


FAMILY = HELD + """
    CREATE TABLE parent (id int PRIMARY KEY, code text UNIQUE NOT NULL); INSERT INTO parent VALUES (1, 'a'), (2, 'b');
    CREATE TABLE child (id int PRIMARY KEY, code text REFERENCES parent (code) ON UPDATE CASCADE ON DELETE SET NULL, v text);
    INSERT INTO child VALUES (1, 'a', 'old'), (2, 'a', 'old'), (3, 'b', 'old');"""


@pytest.mark.parametrize("merge", [[], ["public.child"]])
@pytest.mark.parametrize("first", ["source", "target"])
@pytest.mark.parametrize("policy", ["loser", "latest"])
def test_what_a_foreign_key_does_at_our_writing_gives_way(source, target, rebecos, policy, first, merge):
    """The parent's change arrives, and the foreign key acts on the children, which have been changed once more where it came
    from: nobody has changed them at the other end, whatever the policy would say, and nothing that was written is undone."""
    here, there = (source, target) if first == "source" else (target, source)
    rebeco = start(source, target, rebecos, FAMILY, default=end_of(there) if policy == "loser" else policy, merge=merge)
    rebeco.ok("pause")
    here.run("UPDATE parent SET code = 'aa' WHERE id = 1; DELETE FROM parent WHERE id = 2; UPDATE held SET v = 'new'")
    with there.connect() as app:
        app.run("BEGIN")
        app.run("SELECT 1 FROM held FOR UPDATE")
        rebeco.ok("resume")
        rebeco.wait("the rows are written", lambda: there.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'rebeco%' AND wait_event_type = 'Lock'"))
        here.run("UPDATE child SET v = 'later' WHERE id <> 2")
        app.run("COMMIT")
    wait_both(rebeco)
    check_equal(source, target)
    assert here.run("SELECT id, code, v FROM child ORDER BY id") == [(1, "aa", "later"), (2, "aa", "old"), (3, None, "later")]
    assert conflicts(source) == conflicts(target) == []
    meet(rebeco, here, there, "UPDATE parent SET code = 'z' WHERE id = 1; UPDATE child SET v = 'here' WHERE id = 2", "UPDATE child SET v = 'there' WHERE id = 2")
    check_equal(source, target)
    assert here.value("SELECT code || v FROM child WHERE id = 2") == "z" + ("there" if merge or policy == "loser" else here.value("SELECT v FROM child WHERE id = 2"))
    rebeco.terminate()


@pytest.mark.limit(120)
@pytest.mark.parametrize("roles", ["neither"], indirect=True)
def test_a_refusal_with_much_behind_it(source, target, rebecos):
    """More is on its way to the target than may be: the source is held back just then."""
    rebeco = start(source, target, rebecos, GATE + """CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
        CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, v text)""", default="source", tables={"public.gate": "rules.wait"})
    failed = len(rebeco.log_lines("job failed"))
    while_deciding(rebeco, source, target, "INSERT INTO child SELECT i, CASE i WHEN 3000 THEN 1 ELSE 2 END, repeat(md5(i::text), 60) FROM generate_series(1, 40000) i",
                   "", "DELETE FROM parent WHERE id = 1")
    assert rebeco.log_lines("job failed")[failed:] == []
    rebeco.terminate()


@pytest.mark.limit(120)
@pytest.mark.parametrize("roles", ["neither"], indirect=True)
@pytest.mark.parametrize("busy", [False, True])
def test_a_refusal_for_good_stops_the_table(source, target, rebecos, busy):
    """The parent never comes: the table stands still with the reason soon, also where the target's application writes to it all the time."""
    source.psql("CREATE TABLE child (id int PRIMARY KEY, parent int); CREATE TABLE calm (id int PRIMARY KEY)")
    rebeco = rebecos(source, target, config=config(conflict={"default": "source"}, tables={"exclude": ["own.*"]}))
    rebeco.start()
    wait_both(rebeco)
    target.psql("CREATE SCHEMA own; CREATE TABLE own.parent (id int PRIMARY KEY); INSERT INTO own.parent VALUES (1);"
                "ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES own.parent")

    def work(c, rng, number):
        c.run("INSERT INTO child VALUES (%s, 1) ON CONFLICT DO NOTHING", 1000 + rng.randrange(10**9))

    with rig.Crew(target, work, 2 if busy else 0):
        time.sleep(0.5)
        source.run("INSERT INTO child VALUES (1, 2)")
        rebeco.wait("the table stands still", lambda: [t["name"] for t in rebeco.status()["tables"] if t["paused"]] == ["child"], 30)
        source.run("INSERT INTO calm VALUES (1)")
        rebeco.wait("the other one does not", lambda: target.value("SELECT count(*) FROM calm") == 1, 30)
    assert "violates foreign key constraint" in rebeco.log_lines("table paused")[0]
    target.run("INSERT INTO own.parent VALUES (2)")
    rebeco.ok("retry", "public.child")
    wait_both(rebeco)
    assert rig.compare(source, target, ignore=("own.parent",), sequences=False) == []
    rebeco.terminate()


@pytest.mark.limit(200)
def test_a_page_of_conflicts_before_a_slice_without_any(source, target, rebecos):
    """The keys of a table that was truncated are all in the first slice, and in the second there is nothing to ask: what is decided last
    does not take the place of the page that is about to be written."""
    rows, times = 1000, 101
    rebeco = start(source, target, rebecos, f"CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 0 FROM generate_series(1, {rows}) i",
                   default="target")
    changes = f"DO $$BEGIN FOR i IN 1..{times} LOOP UPDATE t SET v = v + 1; END LOOP; END$$;"  # for two slices
    meet(rebeco, source, target, changes + "TRUNCATE t", changes)
    check_equal(source, target)
    assert [end.value("SELECT count(DISTINCT key::text) FROM rebeco.conflict") for end in (source, target)] == [rows, rows]
    rebeco.terminate()
