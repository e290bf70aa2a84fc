"""`rebeco ddl FILE` runs a migration at both ends: no change is lost, and neither end is left behind."""

import subprocess

import rig

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.item (id int PRIMARY KEY, v text, n int NOT NULL DEFAULT 0);
INSERT INTO shop.item SELECT i, 'v' || i, i FROM generate_series(1, 300) i;
"""


def file(rebeco, sql):
    path = rebeco.home + "/migration.sql"
    with open(path, "w") as f:
        f.write(sql)
    return path


def columns(server):
    return [r[0] for r in server.run("SELECT column_name FROM information_schema.columns "
                                     "WHERE table_schema = 'shop' AND table_name = 'item' ORDER BY 1")]


def test_columns_and_tables_under_load(source, target, running):
    def write(c, rng, _):
        c.run("UPDATE shop.item SET v = v || 'x' WHERE id = %s", rng.randint(1, 300))
        c.run("INSERT INTO shop.item (id, v) VALUES (%s, 'new') ON CONFLICT (id) DO UPDATE SET v = 'again'", rng.randint(1, 600))
        c.run("DELETE FROM shop.item WHERE id = %s", rng.randint(1, 600))
    with rig.Crew(source, write, 2):
        for sql in ("ALTER TABLE shop.item ADD COLUMN c text NOT NULL DEFAULT 'c'; UPDATE shop.item SET c = 'd' WHERE id % 2 = 0;",
                    "ALTER TABLE shop.item RENAME COLUMN c TO d; CREATE TABLE shop.more (id int PRIMARY KEY, t text);",
                    "ALTER TABLE shop.item DROP COLUMN d, DROP COLUMN n; CREATE INDEX ON shop.item (v);"):
            assert "both ends have it" in running.ok("ddl", file(running, sql), timeout=120)
    source.run("INSERT INTO shop.more VALUES (1, 'one'), (2, 'two')")
    running.wait_in_sync(90)
    rig.wait_converged(source, target)
    assert columns(source) == columns(target) == ["id", "v"]
    assert target.value("SELECT count(*) FROM shop.more") == 2
    assert target.value("SELECT count(*) FROM rebeco.ddl WHERE finished_at IS NOT NULL") == 3


def test_an_end_refuses(source, target, running):
    """Nothing is left behind at the other one, whichever it is; and a mended file is another one."""
    for server, view in ((target, "CREATE VIEW shop.here AS SELECT n FROM shop.item"), (source, "CREATE VIEW shop.here AS SELECT n FROM shop.item")):
        server.psql(view)
        r = running.command("ddl", file(running, "ALTER TABLE shop.item ADD COLUMN c int; ALTER TABLE shop.item DROP COLUMN n"))
        assert r.code == 1 and "depend" in r.err and "no end has it" in r.err
        assert columns(source) == columns(target) == ["id", "n", "v"]
        server.psql("DROP VIEW shop.here")
    assert target.value("SELECT error FROM rebeco.ddl").startswith("no end has it")
    running.ok("ddl", file(running, "ALTER TABLE shop.item DROP COLUMN n"))
    running.wait_in_sync(60)
    rig.check_equal(source, target)
    r = running.command("ddl", file(running, "ALTER TABLE shop.item ADD e int; COMMIT; SELECT 1"))
    assert r.code == 1 and "ends its transaction itself" in r.err


SLOW = """
CREATE TABLE public.gate (x int);
CREATE FUNCTION public.at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what}; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON public.gate DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.at_commit();
"""
GATED = "ALTER TABLE shop.item ADD COLUMN c int DEFAULT 5; DO $$ BEGIN IF to_regclass('public.gate') IS NOT NULL THEN INSERT INTO public.gate VALUES (1); END IF; END $$"


def test_the_second_commit_fails(source, target, running):
    target.psql(SLOW.format(what="RAISE EXCEPTION 'not today'"))
    r = running.command("ddl", file(running, GATED))
    assert r.code == 1 and "not today" in r.err and "the source has it and the target has not" in r.err
    assert "the source has it" in target.value("SELECT error FROM rebeco.ddl")
    source.run("UPDATE shop.item SET c = 6 WHERE id < 10")
    other = running.command("ddl", "-", stdin="SELECT 1")
    assert other.code == 1 and "another migration has not been finished" in other.err
    target.psql("DROP TRIGGER gate ON public.gate")
    running.ok("ddl", file(running, GATED))
    running.wait_in_sync(60)
    target.psql("DROP TABLE public.gate")
    rig.check_equal(source, target)
    assert columns(target) == ["c", "id", "n", "v"]


def test_killed_between_the_ends(source, target, running):
    target.psql(SLOW.format(what="PERFORM pg_sleep(100)"))
    path = file(running, GATED)
    p = subprocess.Popen([running.binary, *running.args, "ddl", path], env=running.env,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rig.eventually("the source has it", lambda: "c" in columns(source), 60)
    source.run("UPDATE shop.item SET c = 6 WHERE id < 10")
    p.kill()
    p.wait()
    with target.admin() as c:
        c.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    rig.eventually("the cut off transaction is gone", lambda: target.value(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'", user="postgres") == 0)
    assert "c" not in columns(target)
    target.psql("DROP TRIGGER gate ON public.gate; DROP TABLE public.gate")
    running.ok("ddl", path)
    running.wait_in_sync(60)
    rig.check_equal(source, target)
    assert target.value("SELECT count(*) FROM shop.item WHERE c = 6") == 9


def test_outside_of_a_transaction(source, target, running):
    r = running.command("ddl", file(running, "CREATE INDEX CONCURRENTLY by_v ON shop.item (v)"))
    assert r.code == 0 and "runs outside of one" in r.err
    for server in (source, target):
        assert server.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'shop.by_v'::regclass") is True
    r = running.command("ddl", file(running, "CREATE INDEX CONCURRENTLY by_w ON shop.item (v); SELECT 1"))
    assert r.code == 1 and "no end has it" in r.err
    running.wait_in_sync(60)
    rig.check_equal(source, target)


def test_a_locked_source(source, target, running):
    """No writer waits behind it for long; it comes through when the lock is gone."""
    with source.connect() as c:
        c.run("BEGIN")
        c.run("LOCK TABLE shop.item IN ROW EXCLUSIVE MODE")
        p = subprocess.Popen([running.binary, *running.args, "ddl", file(running, "ALTER TABLE shop.item ADD COLUMN c int")],
                             env=running.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "trying again" in p.stderr.readline()
        source.run("UPDATE shop.item SET v = 'moves' WHERE id = 7")
        c.run("COMMIT")
    out, err = p.communicate(timeout=60)
    assert p.returncode == 0, err
    running.wait_in_sync(60)
    rig.check_equal(source, target)
    assert columns(target) == ["c", "id", "n", "v"]


def test_what_was_before_it_comes_first(source, target, running):
    """With a backlog nothing is begun; the command waits for it, or is told to go ahead."""
    running.ok("pause")
    source.run("UPDATE shop.item SET v = 'before'")
    path = file(running, "ALTER TABLE shop.item ADD COLUMN c int")
    r = running.command("ddl", path, "--timeout", "1s")
    assert r.code == 1 and "does not have yet" in r.err and "no end has it" in r.err
    assert columns(source) == columns(target) == ["id", "n", "v"]
    p = subprocess.Popen([running.binary, *running.args, "ddl", path, "--timeout", "1m"], env=running.env,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    rig.eventually("it asks", lambda: target.value("SELECT count(*) FROM rebeco.command WHERE verb = 'kick' AND done_at IS NULL") > 1)
    assert columns(target) == ["id", "n", "v"]
    running.ok("resume")
    out, err = p.communicate(timeout=60)
    assert p.returncode == 0, err
    assert target.value("SELECT count(*) FROM shop.item WHERE v = 'before'") == 300
    running.wait_in_sync(60)
    rig.check_equal(source, target)
    running.ok("pause")
    source.run("UPDATE shop.item SET v = 'again'")
    running.ok("ddl", file(running, "ALTER TABLE shop.item DROP COLUMN c"), "--timeout", "0")
    running.ok("resume")
    running.wait_in_sync(60)
    rig.check_equal(source, target)
    running.terminate()
    r = running.command("ddl", file(running, "ALTER TABLE shop.item ADD COLUMN e int"))
    assert r.code == 0 and "no daemon runs" in r.err
    assert columns(source) == columns(target) == ["e", "id", "n", "v"]


def test_a_second_target(source, servers, running, rebecos):
    """The source has it from the first sync's migration: the second one gets it with `--only target`."""
    second = servers("second", "rds")
    other = rebecos(source, second, config=rig.config().replace("name: default", "name: second"))
    other.start()
    other.wait_in_sync(60)
    sql = "ALTER TABLE shop.item ADD COLUMN c int DEFAULT 5"
    running.ok("ddl", file(running, sql))
    source.run("UPDATE shop.item SET c = 6 WHERE id < 10")
    other.wait("it waits for it", lambda: [t for t in (other.status() or {}).get("tables", []) if t["paused"] == "drift"])
    assert columns(second) == ["id", "n", "v"]
    other.ok("ddl", file(other, sql), "--only", "target")
    other.wait_in_sync(60)
    running.wait_in_sync(60)
    for server in (running.target, second):
        rig.check_equal(source, server)
    assert other.command("ddl", file(other, sql), "--only", "source").code == 2
