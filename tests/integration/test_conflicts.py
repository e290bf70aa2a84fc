"""`conflicts`: what both ends have changed is listed, shown and replayed, pruned, counted and told."""

import json
import urllib.request

import pytest
import rig
import yaml
from two_way import check_equal, config, roles, source, target, wait_both  # noqa: F401

BOTH = ["insert_exists", "update_origin_differs", "update_missing", "delete_origin_differs"]


@pytest.fixture
def clash(source, target, rebecos):
    """A two-way sync; clash(at_source, at_target) lets both ends write before they hear of each other."""
    def make(tables, hooks=None, port=None, **sync):
        source.psql(tables)
        text = config(port, **sync)
        if hooks:
            text = yaml.safe_dump({**yaml.safe_load(text), "hooks": hooks})
        clash.rebeco = rebecos(source, target, config=text)
        clash.rebeco.start()
        wait_both(clash.rebeco)
        return clash.rebeco

    def clash(at_source, at_target):
        clash.rebeco.ok("pause")
        source.psql(at_source)
        target.psql(at_target)
        clash.rebeco.ok("resume")
        wait_both(clash.rebeco)

    clash.start = make
    return clash


TABLES = """
    CREATE TABLE t (id int PRIMARY KEY, v text, n numeric, at timestamptz DEFAULT now(), twice int GENERATED ALWAYS AS (id * 2) STORED);
    INSERT INTO t (id, v, n) SELECT i, 'old', 1.50 FROM generate_series(1, 9) i;
    CREATE TABLE "odd ""name" (a text, "B.b" int, v text, PRIMARY KEY ("B.b", a)); INSERT INTO "odd ""name" VALUES ('x''y', 1, 'old')"""


def listed(rebeco, *args):
    return json.loads(rebeco.ok("conflicts", "--json", *args))


def test_what_was_decided_can_be_read(source, target, clash):
    rebeco = clash.start(TABLES, conflict={"default": "target"})
    assert listed(rebeco) == []
    assert "no conflicts" in rebeco.ok("conflicts")
    clash("UPDATE t SET v = 'source' WHERE id = 1; DELETE FROM t WHERE id = 2; UPDATE t SET v = 'source' WHERE id = 3; INSERT INTO t VALUES (20, 'source', 123456789012345678901234.5)",
          "UPDATE t SET v = E'tar\\nget' WHERE id = 1; UPDATE t SET v = 'target' WHERE id = 2; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (20, 'target')")
    clash("UPDATE \"odd \"\"name\" SET v = 'source'", "UPDATE \"odd \"\"name\" SET v = 'target'")
    check_equal(source, target)
    all_of_them = listed(rebeco)
    assert len(all_of_them) == 5 and [c["id"] for c in all_of_them] == sorted((c["id"] for c in all_of_them), reverse=True)
    assert all_of_them[0]["table_name"] == 'odd "name' and all_of_them[0]["key"] == ["1", "x'y"]
    assert sorted(c["kind"] for c in all_of_them[1:]) == sorted(BOTH)
    for kind in BOTH[:1] + BOTH[2:]:
        assert [c["kind"] for c in listed(rebeco, "--kind", kind)] == [kind]
    assert len(listed(rebeco, "--table", "public.t")) == len(listed(rebeco, "--table", "t")) == 4
    assert listed(rebeco, "--table", "public.u") == [] == listed(rebeco, "--since", "1ms")
    assert len(listed(rebeco, "--since", "1h")) == 5
    text = rebeco.ok("conflicts")
    assert text.count("the target's version was kept") == 5 and "the source removed it, the target changed it" in text
    by_kind = {c["kind"]: c for c in all_of_them[1:]}
    one = rebeco.ok("conflicts", "show", str(by_kind["update_origin_differs"]["id"]))
    assert "tar get" in one and "* v" in one and "* n" not in one and "still as it was decided" in one
    one = rebeco.ok("conflicts", "show", str(by_kind["insert_exists"]["id"]))
    assert "123456789012345678901234.5" in one
    whole = rebeco.ok("conflicts", "show", "--json", str(by_kind["insert_exists"]["id"]))
    assert "123456789012345678901234.5" in whole and json.loads(whole)["state"] == "as decided"
    for words, code in [(["show"], 2), (["show", "x"], 2), (["replay", "1", "both"], 2), (["erase", "1"], 2), (["show", "999999"], 1),
                        (["replay", "999999"], 1)]:
        assert rebeco.command("conflicts", *words).code == code
    rebeco.terminate()


@pytest.mark.parametrize("policy", ["source", "target"])
def test_replaying_gives_both_ends_the_other_version(source, target, clash, policy):
    rebeco = clash.start(TABLES, conflict={"default": policy})
    clash("UPDATE t SET v = 'source' WHERE id = 1; DELETE FROM t WHERE id = 2; UPDATE t SET v = 'source' WHERE id = 3; INSERT INTO t VALUES (20, 'source'); "
          "UPDATE t SET v = 'source' WHERE id = 4; UPDATE \"odd \"\"name\" SET v = 'source'",
          "UPDATE t SET v = 'target' WHERE id = 1; UPDATE t SET v = 'target' WHERE id = 2; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (20, 'target', 2.5); "
          "UPDATE t SET v = 'target' WHERE id = 4; UPDATE \"odd \"\"name\" SET v = 'target'")
    check_equal(source, target)
    by_key = {(c["table_name"], c["key"][0]): str(c["id"]) for c in listed(rebeco)}
    source.run("UPDATE t SET v = 'later' WHERE id = 4")
    wait_both(rebeco)
    r = rebeco.command("conflicts", "replay", by_key["t", "4"])
    assert r.code == 1 and "has changed since" in r.err and "later" in r.err
    assert "has changed since" in rebeco.ok("conflicts", "show", by_key["t", "4"])
    r = rebeco.command("conflicts", "replay", by_key["t", "1"], policy)
    assert r.code == 1 and "is the one that was kept" in r.err
    for key, id in by_key.items():
        if key != ("t", "4"):
            rebeco.ok("conflicts", "replay", id)
    r = rebeco.command("conflicts", "replay", by_key["t", "1"])
    assert r.code == 1 and "already" in r.err
    wait_both(rebeco)
    check_equal(source, target)
    other = {"source": "target", "target": "source"}[policy]
    assert target.run("SELECT id, v, n::text FROM t WHERE id IN (1, 2, 3, 4, 20) ORDER BY id") == {
        "target": [(1, "target", "1.50"), (2, "target", "1.50"), (4, "later", "1.50"), (20, "target", "2.5")],
        "source": [(1, "source", "1.50"), (3, "source", "1.50"), (4, "later", "1.50"), (20, "source", None)]}[other]
    assert source.value('SELECT v FROM "odd ""name"') == other
    assert len(listed(rebeco)) == 6  # a replay is no conflict
    assert f"given the version of the {other} by rds" in rebeco.ok("conflicts", "show", by_key["t", "1"])
    rebeco.terminate()
    rebeco.start()  # what is on record at one end comes to the other
    query = "SELECT count(*) FROM rebeco.conflict WHERE replayed = '%s' AND replayed_by = 'rds'" % other
    rebeco.wait("the record is at the source", lambda: source.value(query) == 5)
    rebeco.terminate()


def test_replaying_while_no_daemon_runs(source, target, clash):
    """With `skip` it must be said whose version is meant; it travels when the daemon is back. Triggers of the
    application see an ordinary write."""
    rebeco = clash.start(TABLES + """;
        CREATE TABLE told (id int, v text, PRIMARY KEY (id, v));
        CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO told VALUES (new.id, new.v) ON CONFLICT DO NOTHING; RETURN NULL; END$$;
        CREATE TRIGGER tell AFTER UPDATE ON t FOR EACH ROW WHEN (current_setting('rebeco.applying', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION tell()""",
                         conflict={"default": "skip"})
    clash("UPDATE t SET v = 'source' WHERE id = 1", "UPDATE t SET v = 'target' WHERE id = 1")
    assert [s.value("SELECT v FROM t WHERE id = 1") for s in (source, target)] == ["source", "target"]
    rebeco.terminate()
    target.run("DELETE FROM told")
    id = str(listed(rebeco, "--table", "t")[0]["id"])
    r = rebeco.command("conflicts", "replay", id)
    assert r.code == 1 and "Add source or target" in r.err
    with target.connect() as app:
        app.run("BEGIN")
        app.run("UPDATE t SET n = 7 WHERE id = 1")
        r = rebeco.command("conflicts", "replay", id, "source")
        assert r.code == 1 and "lock" in r.err
        app.run("ROLLBACK")
    rebeco.ok("conflicts", "replay", id, "source")
    assert target.run("SELECT * FROM told") == [(1, "source")]
    rebeco.start()
    wait_both(rebeco)
    check_equal(source, target)
    assert source.value("SELECT v FROM t WHERE id = 1") == "source"
    rebeco.terminate()


def test_conflicts_are_counted_told_and_forgotten(source, target, clash, tmp_path):
    told = tmp_path / "told"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ncat >>{told}; echo >>{told}\n")
    hook.chmod(0o700)
    port = rig.free_port()
    rebeco = clash.start(TABLES, hooks={"conflict": str(hook)}, port=port, conflict={"default": "latest", "keep": "40s"})
    clash("UPDATE t SET v = 'source'", "UPDATE t SET v = 'target'")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as r:
        metrics = r.read().decode()
    assert 'rebeco_table_conflicts_total{sync="default",schema="public",table="t"} 9\n' in metrics
    assert 'rebeco_sync_conflicts_total{sync="default"} 9\n' in metrics
    rig.eventually("the hook is told", told.exists)
    rig.eventually("all of it", lambda: told.read_text().endswith("\n"))
    notes = [json.loads(line) for line in told.read_text().splitlines()]
    assert sum(n["conflicts"] for n in notes) == 9 and notes[0]["event"] == "conflict"
    for i in range(5):
        clash(f"UPDATE t SET v = 'source {i}'", f"UPDATE t SET v = 'target {i}'")
    assert len(rebeco.log_lines("rows were changed at both ends")) == 1  # the next one is due after a while
    for server in source, target:
        server.run("UPDATE rebeco.conflict SET decided_at = decided_at - interval '1 hour'")
    rebeco.wait("the old ones are gone", lambda: source.value("SELECT count(*) FROM rebeco.conflict") == 0 ==
                target.value("SELECT count(*) FROM rebeco.conflict"), 60)
    check_equal(source, target)
    rebeco.terminate()
