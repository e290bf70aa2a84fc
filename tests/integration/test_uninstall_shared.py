"""One source, two syncs: taking one away leaves the other whole, and what only it used is gone."""

import pytest
import rig

CONFIG = """
databases: {{a: {{url: "{{source}}"}}, b: {{url: "{{target}}"}}}}
syncs: [{{name: {name}, source: a, target: b, tables: {{include: {tables}}}}}]
"""

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.common (id int PRIMARY KEY);
CREATE TABLE shop.first (id int PRIMARY KEY);
CREATE TABLE shop.second (id int PRIMARY KEY);
INSERT INTO shop.common SELECT generate_series(1, 100);
"""


@pytest.fixture
def pair(source, servers, rebecos):
    """Two syncs from one source, both in sync and stopped; and the source's dump before."""
    source.psql(TABLES)
    before = source.dump_schema()
    made = []
    for name, tables in (("one", '["shop.common", "shop.first"]'), ("two", '["shop.common", "shop.second"]')):
        target = servers("target", "rds")
        r = rebecos(source, target, config=CONFIG.format(name=name, tables=tables))
        r.start()
        r.wait_in_sync(60)
        r.terminate()
        made.append((r, target))
    return source, *made[0], *made[1], before


def captured(source):
    return [r[0] for r in source.run("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger "
                                     "WHERE tgname LIKE 'rebeco%' ORDER BY 1")]


def test_only_what_is_its_own_goes(pair):
    source, one, target_one, two, target_two, before = pair
    assert captured(source) == ["shop.common", "shop.first", "shop.second"]
    r = one.command("uninstall")
    assert r.code == 1 and "other syncs use Rebeco's objects here: two" in r.err
    assert captured(source) == ["shop.common", "shop.first", "shop.second"]
    assert "1 tables that only it read" in one.ok("--sync", "one", "uninstall")
    assert captured(source) == ["shop.common", "shop.second"]
    assert source.run("SELECT sync FROM rebeco.consumer") == [("two",)]
    assert target_one.value("SELECT to_regnamespace('rebeco')") is None
    # The other one goes on, with what was written meanwhile.
    source.run("INSERT INTO shop.common VALUES (101)")
    source.run("INSERT INTO shop.second VALUES (1)")
    two.start()
    two.wait_in_sync()
    assert target_two.value("SELECT count(*) FROM shop.common") == 101
    assert target_two.value("SELECT count(*) FROM shop.second") == 1
    two.terminate()
    two.ok("uninstall")
    assert source.dump_schema() == before


def test_force_removes_everything(pair):
    source, one, _, _, target_two, before = pair
    one.ok("uninstall", "--force")
    assert source.dump_schema() == before
    assert target_two.value("SELECT to_regnamespace('rebeco')") is not None


def test_one_end_only(source, target, rebeco):
    source.psql(TABLES)
    before = source.dump_schema()
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.terminate()
    assert "still captures changes" in rebeco.ok("uninstall", "--only", "target")
    assert target.value("SELECT to_regnamespace('rebeco')") is None
    assert captured(source) != []
    rebeco.ok("uninstall", "--only", "source")
    assert source.dump_schema() == before


def test_objects_of_the_user_that_depend_on_ours(source, target, rebeco):
    source.psql(TABLES)
    before = source.dump_schema()
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.terminate()
    source.run("CREATE VIEW shop.lag AS SELECT * FROM rebeco.consumer")
    r = rebeco.command("uninstall")
    assert r.code == 1 and "shop.lag" in r.err
    assert source.value("SELECT count(*) FROM shop.lag") == 1
    assert captured(source) == ["shop.common", "shop.first", "shop.second"]
    source.run("DROP VIEW shop.lag")
    rebeco.ok("uninstall")
    assert source.dump_schema() == before


def test_a_schema_of_that_name_that_is_not_ours(source, target, rebeco):
    source.run("CREATE SCHEMA rebeco CREATE TABLE mine (x int)")
    assert "left alone" in rebeco.ok("uninstall")
    assert source.value("SELECT count(*) FROM rebeco.mine") == 0


def test_the_target_is_gone(source, target, rebeco):
    source.psql(TABLES)
    before = source.dump_schema()
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.terminate()
    target.stop()
    assert rebeco.command("uninstall", "--only", "source").code == 1
    assert captured(source) != []
    rebeco.ok("uninstall", "--only", "source", "--force")
    assert source.dump_schema() == before
