"""The promise: the initial copy is parallel, in pieces, at the pace you allow, and may be stopped and continued."""

import json
import time

import pytest
import rig
import workload

ROWS = 60000  # of 8 kB pages: about 2,000


def big(server, rows=ROWS, name="big"):
    server.run(f"CREATE TABLE {name} (id int PRIMARY KEY, body text)")
    server.run(f"INSERT INTO {name} SELECT i, repeat(md5(i::text), 7) FROM generate_series(1, {rows}) i")
    server.run("ANALYZE")
    return server.value(f"SELECT pg_relation_size('{name}')")


def done(target):
    """(chunks done, chunks in all)"""
    if target.value("SELECT to_regclass('rebeco.chunk')") is None:
        return 0, 0
    return target.run("SELECT count(done_at), count(*) FROM rebeco.chunk")[0]


def test_split_size(source, target, rebecos):
    rig.need_parts(source)
    size = big(source)
    rebeco = rebecos(source, target, rig.config(copy={"split_size": "1MB"})).start("--until", "copied")
    assert rebeco.wait_exit(60) == 0
    finished, planned = done(target)
    assert finished == planned
    assert size // 2**20 * 0.7 <= planned <= size // 2**20 * 1.5 + 1, f"{planned} chunks of 1 MB for {size} bytes"
    rebeco.start()
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


@pytest.mark.parametrize("streams", [1, 3])
def test_streams(source, target, rebecos, streams):
    if streams > 1:
        rig.need_parts(source)
    big(source)
    rebeco = rebecos(source, target, rig.config(copy={"split_size": "1MB", "streams": streams, "max_rate": "5MB/s"})).start()
    rebeco.wait_phase("copy")
    most = 0
    with target.admin() as t:
        while rebeco.phase() == "copy":
            rebeco.check_alive()
            most = max(most, t.value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'COPY %'"))
            time.sleep(0.05)
    assert most == streams
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


@pytest.mark.parametrize("killed", [False, True])
def test_a_large_table_is_copied_while_others_are_captured(source, target, rebecos, killed):
    """What is written to it meanwhile arrives, and what was copied stays copied when the daemon dies before all are captured."""
    rig.need_parts(source)
    big(source)
    source.run("CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small VALUES (1)")
    rebeco = rebecos(source, target, rig.config(lock_timeout="60s", new_tables=False, copy={"split_size": "4MB"}))
    with source.connect() as holder:
        holder.run("BEGIN")
        holder.run("INSERT INTO small VALUES (2)")
        rebeco.start()
        rebeco.wait("the first chunk is there", lambda: done(target)[0] > 0)
        rebeco.wait("the status tells", lambda: rebeco.status()["phase"] == "capture")
        assert {t["name"]: t["state"] for t in rebeco.status()["tables"]} == {"big": "copy", "small": "new"}
        source.run("UPDATE big SET body = 'new' WHERE id % 1000 = 0; DELETE FROM big WHERE id % 1000 = 1;"
                   "UPDATE big SET id = -id WHERE id % 1000 = 2")
        rebeco.wait("all of it is there", lambda: target.value("SELECT state FROM rebeco.sync_table") == "follow")
        assert source.value("SELECT count(*) FROM rebeco.capture") == 1, "the small table was captured"
        assert not rebeco.log_lines("event=leading")
        chunks = target.run("SELECT number, xmin::text FROM rebeco.chunk ORDER BY 1")
        if killed:
            rebeco.kill9()
        holder.run("COMMIT")
    if killed:
        rebeco.start()
    rebeco.wait_in_sync()
    assert target.run("SELECT number, xmin::text FROM rebeco.chunk WHERE table_id = (SELECT id FROM rebeco.sync_table WHERE source_name = 'big') "
                      "ORDER BY 1") == chunks, "what was copied was copied again"
    rig.check_equal(source, target)
    rebeco.terminate()


def test_a_phase_that_passes_while_another_is_recorded(source, target, rebecos):
    """What the target's server takes long to write down is not what is written down in the end."""
    big(source, 10000)
    source.run("CREATE TABLE small (id int PRIMARY KEY, b int REFERENCES big)")
    rebeco = rebecos(source, target, rig.config(copy={"max_rate": "1MB/s"})).start()
    rebeco.wait_phase("copy")
    with target.admin() as t:
        t.run("""CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF (SELECT phase FROM rebeco.sync) IN ('copy', 'catch-up') THEN PERFORM pg_sleep(4); END IF; RETURN NULL; END $$""")
        t.run("CREATE TRIGGER slow BEFORE UPDATE OF phase ON rebeco.sync FOR EACH STATEMENT EXECUTE FUNCTION slow()")
    rebeco.wait_phase("follow")
    rig.check_equal(source, target)


def test_max_rate(source, target, rebecos):
    size = big(source)
    rate = size / 8  # bytes a second
    rebeco = rebecos(source, target, rig.config(copy={"max_rate": f"{int(rate // 1000)}kB/s", "split_size": "2MB"})).start()
    rebeco.wait_phase("copy")
    begin = time.monotonic()
    rebeco.wait_phase("catch-up", 60)
    took = time.monotonic() - begin
    # The text or binary form is a little smaller than the pages.
    assert 5 < took < 14, f"{size} bytes at {rate:.0f} a second took {took:.1f} s"
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_the_source_is_not_held_back_by_a_slow_target(source, target, proxy, rebecos):
    """What the target does not take must not pile up here."""
    big(source, ROWS * 3)
    relay = proxy(target)
    rebeco = rebecos(source, relay, rig.config(network_timeout="60s"), binary=rig.RELEASE).start()
    rebeco.wait_phase("copy")
    time.sleep(0.2)
    relay.silence()
    time.sleep(4)
    assert rebeco.peak_rss() < 64 * 2**20
    relay.speak()
    rebeco.wait_in_sync(60)
    assert rebeco.peak_rss() < 64 * 2**20
    rig.check_equal(source, target)


def test_pause_and_resume_while_copying(source, target, rebecos):
    rig.need_parts(source)
    big(source)
    rebeco = rebecos(source, target, rig.config(copy={"split_size": "512kB", "streams": 2, "max_rate": "3MB/s"})).start()
    rebeco.wait("some chunks are done", lambda: done(target)[0] >= 2)
    rebeco.ok("pause")
    before = done(target)
    assert before[0] < before[1], "the copy was over before the pause: this proves nothing"
    source.run("UPDATE big SET body = 'changed during the pause' WHERE id % 1000 = 0")
    time.sleep(3)
    assert done(target) == before
    # A pause outlives the daemon.
    rebeco.kill9()
    rebeco.start()
    time.sleep(3)
    assert done(target) == before
    rebeco.ok("resume")
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)


def test_reading_from_a_follower(source, target, rebecos):
    big(source)
    follower = source.standby()
    rebeco = rebecos(source, target, rig.config(copy={"follower": follower.url(), "split_size": "1MB"}))
    with rig.Crew(source, lambda c, rng, n: c.run("UPDATE big SET body = 'x' WHERE id = %s", rng.randint(1, ROWS)), 2,
                  pause_s=0.01):
        rebeco.start()
        rebeco.wait_phase("follow")
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)
    scanned = source.value("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'big'", user="postgres")
    tid_scans = source.value("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'big'", user="postgres")
    # compare() and ANALYZE read the table too, the copy must not.
    assert scanned <= 2 * ROWS, f"{scanned} rows were read at the source, in {tid_scans} scans"


def test_a_follower_that_is_gone_does_not_stop_the_copy_for_good(source, target, rebecos):
    rig.need_parts(source)
    big(source)
    follower = source.standby()
    rebeco = rebecos(source, target, rig.config(copy={"follower": follower.url(), "split_size": "512kB", "max_rate": "4MB/s"}))
    rebeco.start()
    rebeco.wait("some chunks are done", lambda: done(target)[0] >= 2)
    follower.stop("immediate")
    time.sleep(2)
    rebeco.check_alive()
    follower.start()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target)


def test_include_and_exclude(source, target, rebecos):
    source.psql("CREATE SCHEMA shop; CREATE SCHEMA junk;"
                "CREATE TABLE shop.a (id int PRIMARY KEY); CREATE TABLE shop.sessions (id int PRIMARY KEY);"
                'CREATE TABLE junk.b (id int PRIMARY KEY); CREATE TABLE public."c.d" (id int PRIMARY KEY);')
    source.psql('INSERT INTO shop.a VALUES (1); INSERT INTO shop.sessions VALUES (1); INSERT INTO junk.b VALUES (1);'
                'INSERT INTO public."c.d" VALUES (1)')
    tables = {"include": ["shop.*", 'public."c.d"'], "exclude": ["shop.sess*"]}
    rebeco = rebecos(source, target, rig.config(tables=tables)).start()
    rebeco.wait_in_sync()
    source.psql('INSERT INTO shop.a VALUES (2); INSERT INTO shop.sessions VALUES (2); INSERT INTO junk.b VALUES (2);'
                'INSERT INTO public."c.d" VALUES (2)')
    rebeco.wait_in_sync()
    with target.admin() as t:
        assert t.value("SELECT count(*) FROM shop.a") == 2
        assert t.value('SELECT count(*) FROM public."c.d"') == 2
        for left_out in ("shop.sessions", "junk.b"):
            if t.value("SELECT to_regclass(%s)", left_out) is not None:
                assert t.value(f"SELECT count(*) FROM {left_out}") == 0
    triggers = source.value("SELECT count(DISTINCT tgrelid) FROM pg_trigger WHERE tgname LIKE 'rebeco%%'", user="postgres")
    assert triggers == 2


@pytest.mark.parametrize("mode", ["one-way", "two-way"])
def test_a_table_is_excluded_later(source, target, rebecos, mode):
    """It leaves the sync, also where it stands still; and may come back."""
    source.psql("CREATE TABLE stays (id int PRIMARY KEY); CREATE TABLE goes (id int PRIMARY KEY); CREATE TABLE unfit (id int PRIMARY KEY);"
                "INSERT INTO goes VALUES (1); INSERT INTO unfit VALUES (1)")
    rebeco = rebecos(source, target, rig.config(mode=mode)).start()
    rebeco.wait_in_sync()
    source.run("ALTER TABLE unfit ADD v text")
    rebeco.wait("it stands still", lambda: target.value("SELECT count(*) FROM rebeco.sync_table WHERE paused IS NOT NULL") == 1, 20)
    rebeco.configure(rig.config(mode=mode, tables={"exclude": ["public.goes", "*.unfit"]}))
    rebeco.hup()
    captured = "SELECT string_agg(DISTINCT tgrelid::regclass::text, ' ') FROM pg_trigger WHERE tgname LIKE 'rebeco%%'"
    for server in (source, target) if mode == "two-way" else (source,):
        rebeco.wait("their captures are gone", lambda: server.value(captured, user="postgres") == "stays", 30)
    rebeco.wait_in_sync()
    source.psql("INSERT INTO goes VALUES (2); INSERT INTO stays VALUES (2)")
    rebeco.ok("kick", "--wait")
    assert target.value("SELECT count(*) FROM stays") == 1
    assert target.value("SELECT count(*) FROM goes") == 1
    rebeco.terminate()
    rebeco.configure(rig.config(mode=mode))
    rebeco.start()
    target.run("ALTER TABLE unfit ADD v text")
    rebeco.wait("its rows are not touched unasked", lambda: "holds rows" in (rebeco.log_tail(40)), 30)
    rebeco.ok("resync", "goes", "unfit")
    rig.wait_converged(source, target, 40)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_a_pattern_that_matches_nothing_is_an_error(source, target, rebecos):
    source.run("CREATE TABLE a (id int PRIMARY KEY)")
    rebeco = rebecos(source, target, rig.config(tables={"include": ["public.a", "public.nowhere"]})).start()
    assert rebeco.wait_exit(30) == 2
    assert "public.nowhere" in rebeco.log() and "rebeco.yaml:" in rebeco.log()
    assert source.value("SELECT to_regnamespace('rebeco')") is None, "something was touched"


def test_resync_of_one_table(source, target, rebeco):
    workload.install(source, rows=200)
    rebeco.start()
    rebeco.wait_in_sync()
    target.run("DELETE FROM item; UPDATE tag SET uses = -5")
    assert len(rig.compare(source, target)) == 2
    rebeco.ok("resync", "public.item", "public.tag")
    with workload.Application(source, writers=2, clerks=0, two_phase=0, long_transaction=False):
        time.sleep(2)
    rig.wait_converged(source, target, 30)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_pause_of_one_table(source, target, rebeco):
    workload.install(source, rows=50)
    rebeco.start()
    rebeco.wait_in_sync()
    rebeco.ok("pause", "public.tag")
    source.run("UPDATE tag SET uses = 77")
    source.run("UPDATE item SET price = 77")
    rebeco.wait("item goes on", lambda: target.value("SELECT count(*) FROM item WHERE price = 77") == 50, 10)
    time.sleep(1)
    assert target.value("SELECT count(*) FROM tag WHERE uses = 77") == 0
    status = json.loads(rebeco.ok("status", "--json"))
    assert "tag" in json.dumps(status) and "pause" in json.dumps(status)
    rebeco.terminate()
    rebeco.start()
    time.sleep(1)
    assert target.value("SELECT count(*) FROM tag WHERE uses = 77") == 0
    rebeco.ok("resume", "public.tag")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_an_existing_schema_at_the_target(source, target, rebecos):
    """Loading into tables that are there, with their indexes and foreign keys; a column more at the target stays."""
    workload.install(source, rows=200)
    target.psql(workload.SCHEMA)
    rebeco = rebecos(source, target, rig.config(schema="expect")).start()
    rebeco.wait_in_sync()
    with workload.Application(source, writers=3, clerks=1, two_phase=0, long_transaction=False):
        time.sleep(2)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_tables_that_wait_are_no_new_ones(source, target, rebecos):
    """With new_tables: false, what could not be taken in at first is taken in later, whatever dies; what came later is not."""
    source.psql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE busy (id int PRIMARY KEY); CREATE TABLE missing (id int PRIMARY KEY);"
                "INSERT INTO a VALUES (1); INSERT INTO busy VALUES (1); INSERT INTO missing VALUES (1)")
    target.psql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE busy (id int PRIMARY KEY); CREATE TABLE late (id int PRIMARY KEY)")
    rebeco = rebecos(source, target, rig.config(schema="expect", new_tables=False, lock_timeout="100ms"))
    with source.connect() as holder:
        holder.run("BEGIN")
        holder.run("INSERT INTO busy VALUES (2)")
        rebeco.start()
        rig.eventually("the others are copied", lambda: target.value("SELECT count(*) FROM a") == 1)
        rebeco.wait("the phase is recorded", lambda: target.value("SELECT phase FROM rebeco.sync") != "new")
        rebeco.kill9()
        holder.run("COMMIT")
    source.psql("CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1)")
    rebeco.start()
    rig.eventually("the one that was busy comes", lambda: target.value("SELECT count(*) FROM busy") == 2)
    target.run("CREATE TABLE missing (id int PRIMARY KEY)")
    rig.eventually("the one that was missing, too", lambda: target.value("SELECT count(*) FROM missing") == 1)
    rebeco.wait_in_sync()
    assert target.value("SELECT count(*) FROM late") == 0
    assert {t["name"] for t in rebeco.status()["tables"]} == {"a", "busy", "missing"}
    rebeco.terminate()


def test_a_table_whose_name_goes_to_another_while_it_is_copied(source, target, rebecos):
    """The loading waits for the lock of the migration, and then finds the other table under the name."""
    big(source, 20000)
    for name, value in (("item", "old"), ("item_new", "new")):
        source.psql(f"CREATE TABLE {name} (id int PRIMARY KEY, v text); INSERT INTO {name} SELECT i, '{value}' FROM generate_series(1, 100) i")
    source.run("UPDATE item_new SET id = id + 1000")
    rebeco = rebecos(source, target, rig.config(tables={"include": ["public.big", "public.item"]}, new_tables=False,
                                                copy={"streams": 1, "max_rate": "1MB/s"})).start()
    with source.connect() as holder:
        rebeco.wait("all are captured", lambda: source.value("SELECT count(*) FROM rebeco.consumer_table") == 2)
        rebeco.wait_phase("copy")
        holder.run("BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        rebeco.wait("the copy waits for it", lambda: source.value(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'item'::regclass") == 1, 60)
        holder.run("ALTER TABLE item RENAME TO item_old; ALTER TABLE item_new RENAME TO item; COMMIT")
    rebeco.wait("the old one is asked for", lambda: "item_old is missing" in rebeco.ok("status", "--json"), 30)
    assert target.value("SELECT count(*) FROM item WHERE v = 'new'") == 0
    target.run("ALTER TABLE item RENAME TO item_old")
    rebeco.wait("it is copied", lambda: target.value("SELECT count(*) FROM item_old") == 100, 40)
    assert target.value("SELECT count(*) FROM item_old WHERE v = 'new'") == 0
    rebeco.terminate()


@pytest.mark.parametrize("what", ["copied", "copied again"])
def test_a_name_at_the_target_goes_to_another_table(source, target, rebecos, what):
    """Rows that came with the name are somebody's: none is added, and none is removed."""
    big(source, 20000)
    source.psql("CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item SELECT i, 'v' FROM generate_series(1, 100) i")
    target.psql("CREATE TABLE big (id int PRIMARY KEY, body text); CREATE TABLE item (id int PRIMARY KEY, v text); "
                "CREATE TABLE mine (id int PRIMARY KEY, v text); INSERT INTO mine VALUES (1000, 'mine')")
    rebeco = rebecos(source, target, rig.config(tables={"include": ["public.big", "public.item"]}, schema="expect",
                                                copy={"streams": 1, "max_rate": "1MB/s"})).start()
    if what == "copied again":
        rebeco.wait_in_sync(60)
    else:
        rebeco.wait("all are captured", lambda: source.value("SELECT count(*) FROM rebeco.consumer_table") == 2)
        rebeco.wait_phase("copy")
    with target.connect() as holder:
        holder.run("BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        if what == "copied again":
            rebeco.ok("resync", "item")
        rebeco.wait("it is waited for", lambda: target.value(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'item'::regclass"), 60)
        holder.run("ALTER TABLE item RENAME TO item_old; ALTER TABLE mine RENAME TO item; COMMIT")
    rebeco.wait("it is noticed", lambda: "holds rows at the target already" in rebeco.ok("status", "--json"), 30)
    assert target.run("SELECT * FROM item") == [(1000, "mine")]
    target.psql("BEGIN; ALTER TABLE item RENAME TO mine; ALTER TABLE item_old RENAME TO item; COMMIT")
    rebeco.wait("it goes on", lambda: target.value("SELECT count(*) FROM rebeco.sync_table WHERE paused IS NOT NULL") == 0, 40)
    rebeco.wait_in_sync(60)
    assert target.value("SELECT count(*) FROM item WHERE v = 'v'") == 100
    rebeco.terminate()
