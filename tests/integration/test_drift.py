"""Somebody alters a table while it is replicated. The table stands still and says why and what to
do; all others go on; after the same change at the other end it goes on by itself; and no value ever
lands in a column that it does not belong to."""

import json
import re

import pytest
import rig

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.item (
    id int PRIMARY KEY,
    first text,
    second text,
    number int NOT NULL DEFAULT 0,
    code int NOT NULL
);
CREATE TABLE shop.other (id int PRIMARY KEY, v text);
INSERT INTO shop.item SELECT i, 'F' || i, 'S' || i, i, 1000 + i FROM generate_series(1, 500) i;
INSERT INTO shop.other SELECT i, 'v' || i FROM generate_series(1, 100) i;
"""


@pytest.fixture
def running(source, rebeco):
    """A daemon in step with the tables above."""
    source.psql(TABLES)
    rebeco.start()
    rebeco.wait_in_sync()
    return rebeco


def entry(rebeco, table):
    """What `status --json` says of one table, as one text; '' when it says nothing."""
    def find(node):
        if isinstance(node, dict):
            if any(isinstance(v, str) and v in (table, table.split(".")[-1]) for v in node.values()):
                return node
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                found = find(child)
                if found is not None:
                    return found
        return None
    return json.dumps(find(json.loads(rebeco.ok("status", "--json"))) or "")


def paused(target, table):
    """(reason, what, hint) of a table that stands still, or None."""
    schema, name = table.split(".")
    rows = target.run("SELECT paused, paused_what, paused_hint FROM rebeco.sync_table "
                      "WHERE (source_schema, source_name) = (%s, %s) AND paused IS NOT NULL", schema, name)
    return rows[0] if rows else None


def check_others_move(source, target, number):
    """A row of another table arrives, in time."""
    source.run("INSERT INTO shop.other VALUES (%s, 'moves')", number)
    rig.eventually("the other table moves", lambda: target.value(
        "SELECT v FROM shop.other WHERE id = %s", number) == "moves", 10)


def check_said(rebeco, target, table, words, remedy):
    """Status and log name table, difference and remedy; and the state is not called consistent."""
    def is_spelled_out():
        _, what, hint = paused(target, table)
        assert all(word in what for word in words), f"{words} are not in {what!r}"
        assert remedy in hint, f"{remedy!r} is not in {hint!r}"
        return True
    rebeco.wait(f"{table} stands still", lambda: paused(target, table), 15)
    rebeco.wait("difference and remedy are spelled out", is_spelled_out, 15)
    _, what, hint = paused(target, table)
    rebeco.wait("status names the difference and the remedy", lambda: all(
        json.dumps(text)[1:-1] in entry(rebeco, table) for text in (what, hint)), 10)
    lines = [line for line in rebeco.log_lines(table.split(".")[1])
             if all(w in line.replace('\\"', '"') for w in words) and remedy.split(" ")[0] in line]
    assert lines, f"the log does not name it:\n{rebeco.log_tail()}"
    human = rebeco.ok("status")
    assert table.split(".")[1] in human and words[0] in human, human
    assert target.value("SELECT consistent_since FROM rebeco.sync") is None


# What is done at the source, and then at the target; a write that needs the new shape; words that the
# difference, and a word that the remedy, must have.
CHANGES = {
    "add": ("ALTER TABLE shop.item ADD extra int DEFAULT 5",
            "UPDATE shop.item SET extra = id * 2 WHERE id < 20", ["extra"], "ADD COLUMN"),
    "drop": ("ALTER TABLE shop.item DROP number",
             "UPDATE shop.item SET first = 'F-new' WHERE id = 3", ["number"], "DROP COLUMN"),
    "rename": ("ALTER TABLE shop.item RENAME first TO given",
               "UPDATE shop.item SET given = 'F-new' WHERE id = 3", ["first", "given"], 'RENAME COLUMN "first" TO "given"'),
    "retype": ("ALTER TABLE shop.item ALTER number TYPE bigint",
               "UPDATE shop.item SET number = 10000000000 WHERE id = 3", ["number", "bigint"], "TYPE bigint"),
    "retype with another meaning": (
        "ALTER TABLE shop.item ALTER number TYPE text USING 'n' || number",
        "UPDATE shop.item SET number = 'many' WHERE id = 3", ["number", "text"], "TYPE text"),
    "may be null": ("ALTER TABLE shop.item ALTER code DROP NOT NULL",
                    "UPDATE shop.item SET code = NULL WHERE id = 3", ["code"], "DROP NOT NULL"),
    "key of other columns": ("ALTER TABLE shop.item DROP CONSTRAINT item_pkey, ADD PRIMARY KEY (code)",
                             "UPDATE shop.item SET id = 7 WHERE code = 1003", ["key"], "key"),
    "key of more columns": ("ALTER TABLE shop.item DROP CONSTRAINT item_pkey, ADD PRIMARY KEY (id, code)",
                            "INSERT INTO shop.item SELECT 3, 'F', 'S', 3, 3", ["key"], "key"),
    "key renamed": ("ALTER TABLE shop.item RENAME id TO number_of",
                    "UPDATE shop.item SET number_of = 9999 WHERE number_of = 3", ["id", "number_of"], 'RENAME COLUMN "id" TO "number_of"'),
    "key retyped": ("ALTER TABLE shop.item ALTER id TYPE bigint",
                    "INSERT INTO shop.item VALUES (10000000000, 'F', 'S', 3, 3)", ["id", "bigint"], "TYPE bigint"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_of_a_table(running, source, target, case):
    change, write, words, remedy = CHANGES[case]
    source.run(change)
    source.run(write)
    check_said(running, target, "shop.item", words, remedy)
    check_others_move(source, target, 1000)
    source.run("DELETE FROM shop.item WHERE code = 1011")
    before = target.run("SELECT md5(string_agg(i::text, ',' ORDER BY code)) FROM shop.item i")
    source.run("DELETE FROM shop.item WHERE code = 1012")
    check_others_move(source, target, 1001)
    assert target.run("SELECT md5(string_agg(i::text, ',' ORDER BY code)) FROM shop.item i") == before, \
        "the table is written to although its ends differ"

    target.run(change)
    rig.wait_converged(source, target, 30)
    running.wait("it goes on by itself", lambda: paused(target, "shop.item") is None, 15)
    source.run("DELETE FROM shop.item WHERE code = 1013")
    running.wait_in_sync()
    assert rig.compare(source, target) == []
    running.wait("the state is consistent again", lambda: target.value(
        "SELECT consistent_since FROM rebeco.sync") is not None, 10)


# What is done at one end, and the statement that is said for the other one.
ADVICE = {
    "added with a default": ("source", "ALTER TABLE shop.item ADD extra text NOT NULL DEFAULT 'it''s'", """ADD COLUMN "extra" text DEFAULT 'it''s' NOT NULL"""),
    "added with a moment": ("source", "ALTER TABLE shop.item ADD at timestamptz NOT NULL DEFAULT now()", "NOT NULL"),
    "added with an expression": ("source", "ALTER TABLE shop.item ADD extra uuid NOT NULL DEFAULT gen_random_uuid()", None),
    "filled, and NOT NULL then": ("source", "ALTER TABLE shop.item ADD extra int; UPDATE shop.item SET extra = id; ALTER TABLE shop.item ALTER extra SET NOT NULL",
                                  'ADD COLUMN "extra" integer, which may be NOT NULL'),
    "generated": ("source", "ALTER TABLE shop.item ADD extra int GENERATED ALWAYS AS (number * 2) STORED", None),
    "another name": ("source", "ALTER TABLE shop.item RENAME first TO given", 'RENAME COLUMN "first" TO "given"'),
    "dropped at the target": ("target", "ALTER TABLE shop.item DROP second", 'DROP COLUMN "second"'),
    "another name at the target": ("target", "ALTER TABLE shop.item RENAME first TO given", 'RENAME COLUMN "first" TO "given"'),
}


@pytest.mark.parametrize("case", ADVICE)
def test_what_is_said_about_a_column_mends_it(running, source, target, case):
    """Word for word, and no row is copied again for it. Where an expression belongs there the statement is none yet."""
    end, change, expected = ADVICE[case]
    here, there, other = (source, target, "target") if end == "source" else (target, source, "source")
    here.run(change)
    source.run("UPDATE shop.item SET number = number + 1 WHERE id < 20")
    running.wait("it is said", lambda: f"at the {other}: ALTER TABLE" in (paused(target, "shop.item") or ("", "", ""))[2], 15)
    _, what, hint = paused(target, "shop.item")
    if expected is None:
        assert "(...)" in hint or "DEFAULT ... NOT NULL" in hint, hint
        return
    assert expected in hint and ("RENAME" not in expected or "is called" in what), (what, hint)
    said = re.search(r"ALTER TABLE [^(;]*? (?:ADD|RENAME|DROP) COLUMN .*?(?=, which|; or| \(or|\. The table)", hint)
    there.run(said.group(0))
    running.wait("it goes on", lambda: paused(target, "shop.item") is None, 20)
    rig.wait_converged(source, target, 30)
    running.wait_in_sync()
    assert len(running.log_lines("table copied")) == 2, running.log_tail()


def test_the_target_altered_first(running, source, target):
    """The order that is best when a column is added: nothing has to stand still for long."""
    target.run("ALTER TABLE shop.item ADD extra int DEFAULT 5")
    check_others_move(source, target, 1000)
    source.run("ALTER TABLE shop.item ADD extra int DEFAULT 5")
    source.run("UPDATE shop.item SET extra = id")
    rig.wait_converged(source, target, 30)
    running.wait("nothing stands still", lambda: paused(target, "shop.item") is None, 15)


def test_the_target_altered_alone(running, source, target):
    target.run("ALTER TABLE shop.item DROP number")
    source.run("UPDATE shop.item SET number = 77 WHERE id = 3")
    check_said(running, target, "shop.item", ["number"], "ADD COLUMN")
    check_others_move(source, target, 1000)
    target.run("ALTER TABLE shop.item ADD number int NOT NULL DEFAULT 0")
    # What the column held is gone at the target, and only a copy brings it back.
    running.ok("resync", "shop.item")
    rig.wait_converged(source, target, 30)


def test_a_resync_outlives_the_daemon_while_the_ends_differ(running, source, target):
    """What was asked for cannot be done yet, and must not be forgotten."""
    target.run("UPDATE shop.item SET first = 'damaged' WHERE id = 7", user="postgres")
    target.run("ALTER TABLE shop.item RENAME code TO code_of")
    source.run("INSERT INTO shop.item VALUES (600, 'F', 'S', 6, 1600)")
    running.wait("it stands still", lambda: paused(target, "shop.item"), 15)
    running.ok("resync", "shop.item")
    for number in 1000, 1001: # and the one after it
        running.wait("it stands still for its drift", lambda: paused(target, "shop.item")[0] == "drift", 15)
        running.kill9()
        running.start()
        check_others_move(source, target, number)
    assert "copied again" in paused(target, "shop.item")[2]
    assert target.value("SELECT count(*) FROM shop.item") == 500, "emptied, where it cannot be copied"
    target.run("ALTER TABLE shop.item RENAME code_of TO code")
    rig.wait_converged(source, target, 30)
    running.wait("nothing stands still", lambda: paused(target, "shop.item") is None, 15)


def test_resume_does_not_say_done_where_it_does_nothing(running, source, target):
    """Who resumes a table that waits for something else was told that it was done."""
    target.psql("ALTER TABLE shop.item RENAME code TO code_of")
    running.wait("it stands still for its drift", lambda: (paused(target, "shop.item") or [None])[0] == "drift", 15)
    r = running.command("resume", "shop.item")
    assert r.code == 1 and "`rebeco status` says what is" in r.err
    running.ok("resume", "shop.other")
    target.psql("ALTER TABLE shop.item RENAME code_of TO code")
    rig.wait_converged(source, target, 30)
    running.wait("nothing stands still", lambda: paused(target, "shop.item") is None, 15)
    running.ok("resume", "shop.item")


@pytest.mark.parametrize("what", [["shop.item"], []])
def test_a_resync_waits_for_who_has_paused_it(running, source, target, what):
    """The table, or all: the target stands still then, and its rows stay where they are."""
    target.psql("ALTER TABLE shop.item RENAME code TO code_of; ALTER TABLE shop.other RENAME v TO w")
    source.psql("INSERT INTO shop.item VALUES (600, 'F', 'S', 6, 1600); INSERT INTO shop.other VALUES (600, 'v')")
    for table in "shop.item", "shop.other":
        running.wait("it stands still for its drift", lambda: (paused(target, table) or [None])[0] == "drift", 15)
    running.ok("resync", "shop.item")
    running.ok("pause", *what)
    target.psql("BEGIN; ALTER TABLE shop.item RENAME code_of TO code; ALTER TABLE shop.other RENAME w TO v; COMMIT")
    running.wait("the other table goes on", lambda: paused(target, "shop.other") is None, 15)
    assert target.value("SELECT count(*) FROM shop.item") == 500 and paused(target, "shop.item")
    running.ok("resume", *what)
    rig.wait_converged(source, target, 30)


def test_two_columns_change_their_names(running, source, target):
    """The hardest: every name and every type is still there. The values of `first` begin with F."""
    swap = ("BEGIN; ALTER TABLE shop.item RENAME first TO third; "
            "ALTER TABLE shop.item RENAME second TO first; "
            "ALTER TABLE shop.item RENAME third TO second; COMMIT")
    mixed = ("SELECT count(*) FILTER (WHERE first LIKE 'S%' OR second LIKE 'F%'), count(*) FROM shop.item")

    def check_not_mixed():
        swapped, rows = target.run(mixed)[0]
        assert swapped in (0, rows), f"{swapped} of {rows} rows have their values in the other's column"

    source.run(swap)
    source.run("UPDATE shop.item SET number = number + 1 WHERE id < 100")
    source.run("INSERT INTO shop.item (id, second, first, code) VALUES (501, 'F501', 'S501', 1501)")
    for number in range(1000, 1020):
        check_others_move(source, target, number)
        check_not_mixed()
    target.run(swap)
    source.run("UPDATE shop.item SET number = number + 1 WHERE id < 50")
    rig.wait_converged(source, target, 30)
    assert target.run(mixed)[0] == (501, 501)
    running.wait("nothing stands still", lambda: paused(target, "shop.item") is None, 15)


def test_swapped_names_while_the_daemon_is_away(running, source, target):
    running.terminate()
    swap = ("ALTER TABLE shop.item RENAME first TO third; ALTER TABLE shop.item RENAME second TO first; "
            "ALTER TABLE shop.item RENAME third TO second")
    source.run(swap)
    source.run("UPDATE shop.item SET number = number + 1 WHERE id < 100")
    running.start()
    check_others_move(source, target, 1000)
    swapped, rows = target.run("SELECT count(*) FILTER (WHERE first LIKE 'S%'), count(*) FROM shop.item")[0]
    assert swapped in (0, rows), f"{swapped} of {rows} rows have their values in the other's column"
    target.run(swap)
    rig.wait_converged(source, target, 30)


@pytest.mark.parametrize("made_anew", ["source", "target"])
def test_a_name_that_is_new_for_different_reasons(running, source, target, made_anew):
    """At one end a column got it, at the other a new column has it: what rows from before hold under it differs."""
    ends = [source, target] if made_anew == "target" else [target, source]
    ends[0].run("ALTER TABLE shop.item RENAME first TO given")
    ends[1].run("ALTER TABLE shop.item ADD given text, DROP first")
    source.run("UPDATE shop.item SET number = 0 WHERE id = 3")
    check_others_move(source, target, 1000)
    rig.wait_converged(source, target, 40)
    running.wait("nothing stands still", lambda: paused(target, "shop.item") is None, 15)


@pytest.mark.parametrize("change", [
    "ALTER TABLE shop.item DROP number, ADD number int NOT NULL DEFAULT 7",
    "ALTER TABLE shop.item ALTER first TYPE text USING upper(first) || '!'",
])
def test_values_that_changed_without_a_row_being_written(running, source, target, change):
    """No trigger fires for these; both ends are brought to the same contents all the same."""
    source.run(change)
    source.run("UPDATE shop.item SET second = 'S-new' WHERE id = 3")
    check_others_move(source, target, 1000)
    rig.wait_converged(source, target, 40)
    running.wait("nothing stands still", lambda: paused(target, "shop.item") is None, 15)


@pytest.mark.parametrize("restarted", [False, True])
def test_an_old_rewrite_is_not_taken_for_one_of_a_later_change(running, source, target, restarted):
    """Months later a column is altered: the table is not copied again for that."""
    source.psql("VACUUM FULL shop.item")
    source.psql("TRUNCATE shop.other")
    files = source.run("SELECT relname, relfilenode::text FROM pg_class WHERE oid IN ('shop.item'::regclass, 'shop.other'::regclass) ORDER BY 1")
    running.wait("it is noted", lambda: target.run(
        "SELECT source_name, layout::json ->> 'file' FROM rebeco.sync_table ORDER BY 1") == files, 20)
    if restarted:
        running.kill9()
        running.start()
    running.wait_in_sync()
    for server in (source, target):
        server.run("ALTER TABLE shop.item ADD extra int; ALTER TABLE shop.item ALTER first SET NOT NULL")
        server.run("ALTER TABLE shop.other ALTER v SET NOT NULL")
    before = len(running.log_lines("table copied"))
    check_others_move(source, target, 1000)
    source.run("UPDATE shop.item SET extra = 1 WHERE id = 3")
    rig.wait_converged(source, target, 30)
    running.wait_in_sync()
    assert len(running.log_lines("table copied")) == before, running.log_tail()
    rig.check_equal(source, target)


def test_a_table_is_dropped(running, source, target):
    source.run("DROP TABLE shop.item")
    check_said(running, target, "shop.item", ["gone"], "drop")
    check_others_move(source, target, 1000)
    target.run("DROP TABLE shop.item")
    running.wait("it is forgotten", lambda: paused(target, "shop.item") is None, 20)
    running.wait_in_sync()
    assert rig.compare(source, target) == []
    assert target.value("SELECT consistent_since FROM rebeco.sync") is not None


def waiting_for(target, words):
    """How many sessions wait for a lock with a statement that has these words."""
    return target.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s", f"%{words}%",
                        user="postgres")


def test_a_table_leaves_while_a_batch_commits(running, source, target):
    """The batch tells the target that it is not consistent, and is over when nothing stands in the way any more."""
    with target.admin() as k, target.admin() as n:
        k.run("BEGIN; SELECT 1 FROM rebeco.sync_table WHERE source_name = 'item' FOR KEY SHARE")
        for server in (source, target):
            server.run("DROP TABLE shop.item")
        rig.eventually("the table is about to be forgotten", lambda: waiting_for(target, "DELETE FROM rebeco.sync_table"), 20)
        n.run("BEGIN; SELECT 1 FROM rebeco.sync FOR NO KEY UPDATE")
        source.run("INSERT INTO shop.other VALUES (1000, 'moves')")
        # Were the first wait over by now, everything would begin anew, and there would be nothing to see.
        rig.eventually("a batch is about to commit", lambda: waiting_for(target, "sync_advance")
                       or not waiting_for(target, "DELETE FROM rebeco.sync_table"), 20)
        k.run("COMMIT")
        rig.eventually("the table is forgotten", lambda: target.value("SELECT count(*) FROM rebeco.sync_table") == 1, 20)
        n.run("COMMIT")
    running.wait_in_sync()
    running.wait("the state is consistent", lambda: target.value("SELECT consistent_since FROM rebeco.sync") is not None, 10)
    assert rig.compare(source, target) == []


def test_a_table_is_renamed(running, source, target):
    source.run("ALTER TABLE shop.item RENAME TO thing")
    source.run("UPDATE shop.thing SET first = 'F-new' WHERE id = 3")
    running.wait("a table stands still", lambda: target.value(
        "SELECT paused_what FROM rebeco.sync_table WHERE paused IS NOT NULL"), 15)
    running.wait("status says what to do", lambda: all(
        word in running.ok("status", "--json") for word in ("shop.thing is missing", "rename it there")), 15)
    check_others_move(source, target, 1000)
    target.run("ALTER TABLE shop.item RENAME TO thing")
    rig.wait_converged(source, target, 30)
    source.run("UPDATE shop.thing SET first = 'F-newer' WHERE id = 4")
    running.wait_in_sync()
    assert rig.compare(source, target) == []
    running.wait("nothing stands still", lambda: target.value(
        "SELECT count(*) FROM rebeco.sync_table WHERE paused IS NOT NULL") == 0, 10)


def test_a_table_moves_to_another_schema(running, source, target):
    for server in (source, target):
        server.run("CREATE SCHEMA attic")
    source.run("ALTER TABLE shop.item SET SCHEMA attic")
    source.run("UPDATE attic.item SET first = 'F-new' WHERE id = 3")
    check_others_move(source, target, 1000)
    target.run("ALTER TABLE shop.item SET SCHEMA attic")
    rig.wait_converged(source, target, 30)


def test_a_table_dropped_and_made_again(running, source, target):
    """The new one has the old one's name and shape, and none of its capture. That its rows replace those
    at the target is for a person to say."""
    source.psql("BEGIN; ALTER TABLE shop.item RENAME TO old_item; "
                "CREATE TABLE shop.item (LIKE shop.old_item INCLUDING ALL); "
                "INSERT INTO shop.item SELECT * FROM shop.old_item WHERE id > 50; "
                "UPDATE shop.item SET first = 'F-again' WHERE id = 60; DROP TABLE shop.old_item; COMMIT")
    check_others_move(source, target, 1000)
    source.run("INSERT INTO shop.item VALUES (2000, 'F', 'S', 1, 2)")
    running.wait("status says what to do", lambda: "resync shop.item" in running.ok("status", "--json"), 20)
    running.ok("resync", "shop.item")
    rig.wait_converged(source, target, 40)
    source.run("UPDATE shop.item SET first = 'F-more' WHERE id = 61")
    running.wait_in_sync()
    assert rig.compare(source, target) == []


# Capture that was away for a while has missed something. Both ends must be equal in the end without
# anybody asking for it, and nothing is called consistent before.
LOST = {
    "disabled": "ALTER TABLE shop.item DISABLE TRIGGER USER",
    "disabled, one of them": "DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE shop.item DISABLE TRIGGER %I', tgname) "
                             "FROM pg_trigger WHERE tgrelid = 'shop.item'::regclass AND tgname LIKE 'rebeco%' "
                             "AND tgtype & 16 = 16 ORDER BY tgname LIMIT 1); END $$",
    "dropped": "DO $$ BEGIN EXECUTE (SELECT string_agg(format('DROP TRIGGER %I ON shop.item;', tgname), ' ') "
               "FROM pg_trigger WHERE tgrelid = 'shop.item'::regclass AND NOT tgisinternal); END $$",
    "function replaced": "DO $$ BEGIN EXECUTE (SELECT format('CREATE OR REPLACE FUNCTION %s RETURNS trigger LANGUAGE plpgsql "
                         "AS ''BEGIN RETURN NULL; END''', tgfoid::regprocedure) FROM pg_trigger "
                         "WHERE tgrelid = 'shop.item'::regclass AND tgname LIKE 'rebeco%' LIMIT 1); END $$",
    "function dropped": "DO $$ BEGIN EXECUTE (SELECT format('DROP FUNCTION %s CASCADE', tgfoid::regprocedure) FROM pg_trigger "
                        "WHERE tgrelid = 'shop.item'::regclass AND tgname LIKE 'rebeco%' LIMIT 1); END $$",
    "log dropped": "DO $$ BEGIN EXECUTE (SELECT format('DROP TABLE rebeco.log_%s_0, rebeco.log_%1$s_1 CASCADE', id) "
                   "FROM rebeco.capture WHERE table_name = 'item'); END $$",
}


@pytest.mark.parametrize("case", LOST)
def test_capture_is_lost(running, source, target, case):
    with source.connect() as c:  # in one transaction, so that nobody sees the trigger missing first
        c.run("BEGIN")
        c.run(LOST[case])
        c.run("UPDATE shop.item SET first = 'F-missed' WHERE id BETWEEN 10 AND 20")
        c.run("DELETE FROM shop.item WHERE id = 21")
        c.run("INSERT INTO shop.item VALUES (3000, 'F', 'S', 1, 3)")
        c.run("COMMIT")
    check_others_move(source, target, 1000)
    running.wait("the log says that capture was lost", lambda: any(
        "item" in line and "capture" in line for line in running.log_lines("level=warning")
        + running.log_lines("level=error")), 20)
    rig.wait_converged(source, target, 40)
    source.run("UPDATE shop.item SET first = 'F-after' WHERE id = 22")
    running.wait_in_sync()
    assert rig.compare(source, target) == []
    assert paused(target, "shop.item") is None


def test_capture_is_off_and_on_again(running, source, target):
    """By the time anybody looks the triggers are there again, and something is missing all the same."""
    with source.connect() as c:
        c.run("BEGIN")
        c.run("ALTER TABLE shop.item DISABLE TRIGGER USER")
        c.run("UPDATE shop.item SET first = 'F-missed' WHERE id BETWEEN 10 AND 20")
        c.run("ALTER TABLE shop.item ENABLE TRIGGER USER")
        c.run("COMMIT")
    check_others_move(source, target, 1000)
    rig.wait_converged(source, target, 40)


def test_until_in_sync_ends_with_4(source, target, rebeco):
    """A Job must not wait for a person for ever."""
    source.psql(TABLES)
    rebeco.start("--until", "in-sync")
    assert rebeco.wait_exit(60) == 0
    source.run("ALTER TABLE shop.item ADD extra int")
    source.run("UPDATE shop.item SET extra = 1")
    rebeco.start("--until", "in-sync")
    assert rebeco.wait_exit(60) == 4


def test_until_in_sync_ends_with_4_where_the_target_has_rows(source, target, rebeco):
    """It looks again every few seconds whether they are gone, and each look is no new beginning."""
    source.psql(TABLES)
    rebeco.start("--until", "in-sync")
    assert rebeco.wait_exit(60) == 0
    rebeco.ok("uninstall")
    rebeco.start("--until", "in-sync")
    assert rebeco.wait_exit(60) == 4
    target.psql("TRUNCATE shop.item, shop.other")
    rebeco.start("--until", "in-sync")
    assert rebeco.wait_exit(60) == 0
    rig.check_equal(source, target)


def test_until_in_sync_waits_for_a_table_that_was_left_out(source, target, rebecos):
    """The target has it now, but its capture waits for somebody's lock: until its copy has begun it is no part of what is there."""
    source.psql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    target.psql("CREATE TABLE a (id int PRIMARY KEY)")
    with source.connect() as c:
        c.run("BEGIN")
        c.run("INSERT INTO b VALUES (1)")
        rebeco = rebecos(source, target, rig.config(schema="expect")).start("--until", "in-sync")
        rebeco.wait("the other is followed", lambda: rebeco.phase() == "follow")
        target.run("CREATE TABLE b (id int PRIMARY KEY)")
        rebeco.wait("its capture waits", lambda: rebeco.log_lines("waiting for a lock to install capture"), 20)
        assert "public.b" in rebeco.ok("kick", "--wait")
        assert not rebeco.log_lines("is reached")
        c.run("COMMIT")
    assert rebeco.wait_exit(60) == 0
    rig.check_equal(source, target)


@pytest.mark.parametrize("what", [[], ["shop.item"]])
def test_until_in_sync_ends_with_4_where_it_is_paused(running, source, target, what):
    """By a person who forgot it, or never knew of the Job; it goes on where it was."""
    running.ok("pause", *what)
    running.terminate()
    source.run("UPDATE shop.item SET number = 7 WHERE id < 9")
    running.start("--until", "in-sync")
    assert running.wait_exit(60) == 4
    assert "rebeco resume" in running.log_lines("cannot go on without a person")[-1]
    running.start()
    running.ok("resume", *what)
    running.terminate()
    running.start("--until", "in-sync")
    assert running.wait_exit(60) == 0
    rig.check_equal(source, target)


# ------------------------------------------------------------------ another table under the same name


def remake(target, rows):
    """The table at the target is dropped and made again, with no rows or some."""
    target.psql("DROP TABLE shop.item; CREATE TABLE shop.item (id int PRIMARY KEY, first text, second text, "
                "number int NOT NULL DEFAULT 0, code int NOT NULL);" + rows)


@pytest.mark.parametrize("away", [False, True])
def test_the_target_made_again(running, source, target, away):
    """Empty, it is filled again; rows that may be somebody's are left alone until a person says so."""
    if away:
        running.terminate()
    remake(target, "")
    if away:
        running.start()
    source.run("UPDATE shop.item SET first = 'F-new' WHERE id = 3")
    rig.wait_converged(source, target, 40)
    running.wait("nothing stands still", lambda: paused(target, "shop.item") is None, 15)
    remake(target, "INSERT INTO shop.item VALUES (9999, 'somebody', 'else', 0, 0)")
    source.run("UPDATE shop.item SET first = 'F-newer' WHERE id = 3")
    check_said(running, target, "shop.item", ["holds rows"], "resync")
    check_others_move(source, target, 1000)
    assert target.run("SELECT id FROM shop.item") == [(9999,)]
    running.ok("resync", "shop.item")
    rig.wait_converged(source, target, 40)


def test_two_tables_trade_their_names(running, source, target):
    """Both are of the sync, and alike: what was written at the target as one must not be taken for the other."""
    for server in (source, target):
        server.psql("CREATE TABLE shop.thing (LIKE shop.item INCLUDING ALL)")
    source.run("INSERT INTO shop.thing SELECT i, 'T' || i, 'T' || i, i, i FROM generate_series(400, 700) i")
    running.wait("the new one is copied", lambda: target.value("SELECT count(*) FROM shop.thing") == 301)
    running.wait_in_sync()
    trade = ("ALTER TABLE shop.item RENAME TO on_the_way; ALTER TABLE shop.thing RENAME TO item; "
             "ALTER TABLE shop.on_the_way RENAME TO thing")
    source.psql(f"BEGIN; {trade}; UPDATE shop.item SET first = 'T-new' WHERE id = 450; UPDATE shop.thing SET first = 'F-new' WHERE id = 450; COMMIT")
    check_others_move(source, target, 1000)
    for table in ("shop.item", "shop.thing"):
        running.wait("it is said", lambda: f"resync {table}" in running.ok("status", "--json"), 30)
    assert target.run("SELECT first FROM shop.item WHERE id = 450 UNION ALL SELECT first FROM shop.thing WHERE id = 450") == [("F450",), ("T450",)]
    target.psql(f"BEGIN; {trade}; COMMIT")
    rig.wait_converged(source, target, 40)
    running.wait("nothing stands still", lambda: target.value("SELECT count(*) FROM rebeco.sync_table WHERE paused IS NOT NULL") == 0, 20)
    assert sorted(target.run("SELECT source_name, target_name FROM rebeco.sync_table WHERE source_name <> 'other'")) == [("item", "item"), ("thing", "thing")]


def test_a_dropped_table_is_not_forgotten_by_a_restart(source, target, rebecos):
    """What the target still has is said until a person has dropped it there, or excluded it."""
    source.psql(TABLES)
    rebeco = rebecos(source, target, config=rig.config())
    rebeco.start()
    rebeco.wait_in_sync()
    source.run("DROP TABLE shop.item")
    check_said(rebeco, target, "shop.item", ["gone"], "drop")
    rebeco.terminate()
    rebeco.start()
    check_others_move(source, target, 1000)
    assert "gone" in paused(target, "shop.item")[1] and "gone" in entry(rebeco, "shop.item")
    rebeco.terminate()
    rebeco.configure(rig.config(tables={"exclude": ["shop.item"]}))
    rebeco.start()
    rebeco.wait("it is forgotten", lambda: target.value("SELECT count(*) FROM rebeco.sync_table") == 1, 20)
    rebeco.wait_in_sync()
    assert target.value("SELECT count(*) FROM shop.item") == 500


def test_a_table_made_again_where_new_ones_are_not_taken_in(source, target, rebecos):
    """It is not left as it is without a word, before a restart or after one."""
    source.psql(TABLES)
    rebeco = rebecos(source, target, config=rig.config(new_tables=False))
    rebeco.start()
    rebeco.wait_in_sync()
    source.psql("BEGIN; DROP TABLE shop.item; CREATE TABLE shop.item (id int PRIMARY KEY, first text, second text, "
                "number int NOT NULL DEFAULT 0, code int NOT NULL); INSERT INTO shop.item VALUES (1, 'new', 'new', 1, 1); COMMIT")
    check_said(rebeco, target, "shop.item", ["dropped"], "new_tables")
    rebeco.terminate()
    rebeco.start()
    check_others_move(source, target, 1000)
    assert "another table has its name" in paused(target, "shop.item")[1]
    rebeco.terminate()
    rebeco.configure(rig.config())
    rebeco.start()
    rebeco.wait("status says what to do", lambda: "resync shop.item" in rebeco.ok("status", "--json"), 20)
    rebeco.ok("resync", "shop.item")
    rig.wait_converged(source, target, 40)


def test_the_key_gets_another_collation(source, target, rebeco):
    """Keys of two collations cannot be compared: the log is made anew, and the table is copied again."""
    source.psql("""CREATE TABLE t (id text COLLATE "und-x-icu" PRIMARY KEY, v int); INSERT INTO t VALUES ('a', 1), ('b', 1)""")
    rebeco.start()
    rebeco.wait_in_sync()
    for end in source, target:
        end.psql('ALTER TABLE t ALTER COLUMN id TYPE text COLLATE "C"')
    source.psql("UPDATE t SET v = 2; INSERT INTO t VALUES ('c', 1); DELETE FROM t WHERE id = 'b'")
    rebeco.wait_in_sync()
    source.psql("UPDATE t SET v = 3 WHERE id = 'c'")
    rebeco.wait_in_sync()
    assert target.run("SELECT id, v FROM t ORDER BY id") == [("a", 2), ("c", 3)]
