"""Large objects: copied at the beginning and on request, in pieces, under their numbers; not followed, and
said to be so."""

import json

import pytest
import rig

MB = 1024 * 1024
TABLE = "CREATE TABLE doc (id int PRIMARY KEY, body oid); "
# What of one server is to be equal at the other.
ALL = """SELECT m.oid, coalesce(length(lo_get(m.oid)), 0), md5(lo_get(m.oid)), obj_description(m.oid, 'pg_largeobject')
           FROM pg_largeobject_metadata m ORDER BY 1"""


def make(server, number, size, user=None):
    """An object of that size, in pieces of a megabyte, none like another."""
    with server.connect(user) as c:
        c.run("SELECT lo_create(%s)", number)
        for place in range(0, size, MB):
            n = min(MB, size - place)
            c.run("SELECT lo_put(%s, %s, substr(string_agg(sha256(concat(%s, '/', i)::bytea), ''), 1, %s)) "
                  "FROM generate_series(1, %s) i", number, place, f"{number}/{place}", n, n // 32 + 1)


def objects(server):
    with server.admin() as c:
        return c.run(ALL)


def check_same(source, target):
    a, b = objects(source), objects(target)
    assert a == b, f"{len(a)} objects at the source, {len(b)} at the target; {[x for x in a if x not in b][:3]} {[x for x in b if x not in a][:3]}"


def large(rebeco):
    return json.loads(rebeco.ok("status", "--json"))["large_objects"]


def problems(target):
    return target.run("SELECT message, hint FROM rebeco.problem WHERE kind = 'large-object'")


def test_of_every_size(source, target, rebeco):
    """Empty ones, single bytes, whole pages and one more, many, and some of more than a piece."""
    with source.admin() as c:
        c.run("CREATE ROLE reader")
    with target.admin() as c:
        c.run("CREATE ROLE reader")
    source.psql(TABLE + "CREATE TABLE filler AS SELECT i AS id FROM generate_series(1, 1000) i; ALTER TABLE filler ADD PRIMARY KEY (id)")
    sizes = [0, 1, 2047, 2048, 2049, MB, 4 * MB - 1, 4 * MB, 4 * MB + 1, 9 * MB + 77]
    for i, size in enumerate(sizes):
        make(source, 70000 + i, size)
        source.run("INSERT INTO doc VALUES (%s, %s)", i, 70000 + i)
    source.run("SELECT lo_from_bytea(80000 + i, concat('small ', i)::bytea) FROM generate_series(1, 2300) i")
    source.run("COMMENT ON LARGE OBJECT 70001 IS 'it''s \"one\" byte'")
    source.run("GRANT SELECT ON LARGE OBJECT 70001 TO reader; GRANT SELECT, UPDATE ON LARGE OBJECT 70002 TO PUBLIC")
    source.run("SELECT lo_put(70003, 6000, 'behind a hole')")
    rebeco.start()
    rebeco.wait("everything is there", lambda: (rebeco.status() or {}).get("in_sync"), 60)
    check_same(source, target)
    rig.check_equal(source, target)
    assert target.value("SELECT count(*) FROM doc WHERE length(lo_get(body)) >= 0") == len(sizes)
    with target.admin() as c:
        assert c.value("SELECT has_largeobject_privilege('reader', 70001, 'SELECT')" if c.raw.server_version >= 180000 else
                       "SELECT lomacl::text LIKE '%reader=r/%' FROM pg_largeobject_metadata WHERE oid = 70001")
        assert c.value("SELECT lomacl::text LIKE '%=rw/%' FROM pg_largeobject_metadata WHERE oid = 70002")
    status = large(rebeco)
    n = len(sizes) + 2300
    assert [status[k] for k in ("state", "seen", "here", "refused", "followed")] == ["copied", n, n, 0, False]
    assert "not followed" in rebeco.ok("status")
    assert rebeco.log_lines("large objects copied")


def test_on_request(source, target, rebeco):
    """`new` brings what has come and removes what has gone; `all` compares every one. In between nothing
    happens to them."""
    source.psql(TABLE)
    for i in range(5):
        make(source, 70000 + i, 3000 * (i + 1))
    rebeco.start()
    rebeco.wait_in_sync(60)
    rebeco.wait("they are there", lambda: len(objects(target)) == 5)
    before = objects(target)
    make(source, 70009, 5 * MB)
    source.run("SELECT lo_put(70001, 100, 'changed'), lo_unlink(70002)")
    source.run("SELECT lo_truncate(lo_open(70003, 131072), 5)")
    target.run("SELECT lo_create(99999)")  # somebody else's
    source.run("INSERT INTO doc VALUES (1, 70009)")
    rebeco.wait_in_sync(60)
    assert objects(target) == before + [(99999, 0, "d41d8cd98f00b204e9800998ecf8427e", None)]
    assert "copied: 1" in rebeco.ok("resync", "--large-objects", "new", "--timeout", "0")
    there = {o[0]: o for o in objects(target)}
    here = {o[0]: o for o in objects(source)}
    assert sorted(there) == sorted([*here, 99999])
    assert there[70009] == here[70009] and there[70001] != here[70001] and there[70003] != here[70003]
    rebeco.ok("resync", "--large-objects", "all", "--timeout", "0")
    assert {o[0]: o for o in objects(target)} == {**here, 99999: there[99999]}
    rig.check_equal(source, target)
    for wrong in (["resync"], ["resync", "doc", "--large-objects", "new"], ["resync", "--large-objects", "some"]):
        assert rebeco.command(*wrong).code == 2


def test_killed_while_one_is_copied(source, target, rebecos):
    """An object of many pieces goes on where it was, and no piece that is there is read again."""
    source.psql(TABLE)
    make(source, 70000, 40 * MB)
    make(source, 70001, 5 * MB)
    rebeco = rebecos(source, target, config=rig.config(copy={"max_rate": "12MB/s"}))

    def place():
        rows = target.run("SELECT next_oid, next_place, bytes FROM rebeco.large_object_copy")
        return rows[0] if rows else (0, 0, 0)

    seen = (0, 0, 0)
    for _ in range(4):
        rebeco.start()
        rebeco.wait("it goes on", lambda seen=seen: target.value("SELECT to_regclass('rebeco.large_object_copy')") and place() > seen)
        rebeco.kill9()
        assert place() > seen
        seen = place()
    assert 0 < seen[1] < 40 * MB
    rebeco.configure(rig.config())
    rebeco.start("--until", "in-sync")
    assert rebeco.wait_exit(60) == 0
    check_same(source, target)
    assert target.value("SELECT sum(bytes) FROM rebeco.large_object_copy") <= 45 * MB
    rig.check_equal(source, target)


def test_those_that_cannot_be_copied(source, target, rebeco):
    """One that our role may not read, one whose number is taken: named, with what to do, and the others come."""
    source.psql(TABLE)
    make(source, 70000, 5000)
    make(source, 70001, 5000, user="postgres")
    make(source, 70002, 5 * MB)
    make(source, 70003, 700)
    make(target, 70000, 5000)  # the same
    make(target, 70002, 5 * MB)
    target.run("SELECT lo_put(70002, 4500000, 'other')")
    make(target, 70003, 701)
    theirs = objects(target)
    rebeco.start()
    rebeco.wait_in_sync(60)
    rebeco.wait("the problem is said", lambda: problems(target))
    [(message, hint)] = problems(target)
    assert message.startswith("3 large objects") and "70001 (permission denied" in message and "70002 (the target has another" in message
    assert "lo_unlink" in hint and "GRANT SELECT" in hint
    assert objects(target) == theirs
    assert "large-object" in rebeco.ok("status")
    r = rebeco.command("resync", "--large-objects", "new", "--timeout", "0")
    assert r.code == 1 and "not at the target" in r.err
    with source.admin() as c:
        c.run("GRANT SELECT ON LARGE OBJECT 70001 TO app")
    target.run("SELECT lo_unlink(70002), lo_unlink(70003)")
    rebeco.ok("resync", "--large-objects", "new", "--timeout", "0")
    check_same(source, target)
    assert problems(target) == []


@pytest.mark.parametrize("option, patterns", [("ignore", ["*.*"]), ("auto", ["public.*"])])
def test_ignored(source, target, rebecos, option, patterns):
    """Not asked for: none is copied, which is said; still they are when somebody asks."""
    source.psql(TABLE)
    make(source, 70000, 3000)
    rebeco = rebecos(source, target, config=rig.config(large_objects=option, tables={"include": patterns}))
    rebeco.start()
    rebeco.wait_in_sync(60)
    rebeco.wait("it says so", lambda: large(rebeco)["state"] == "ignored")
    assert objects(target) == []
    assert "1 at the source, not copied" in rebeco.ok("status")
    assert rebeco.log_lines("large objects are not copied")
    rebeco.ok("resync", "--large-objects", "new", "--timeout", "0")
    check_same(source, target)


def test_the_source_is_another_one(source, target, rebecos, servers):
    """After `accept` those of the former source are compared with, and replaced by, the new one's."""
    source.psql(TABLE)
    for i in range(3):
        make(source, 70000 + i, 4000)
    other = servers("other", "app")
    for sql in ("ALTER DATABASE app RENAME TO old", "CREATE DATABASE app OWNER app"):  # one with another number
        other.run(sql, user="postgres", database="postgres")
    other.psql(TABLE)
    make(other, 70001, 9000)
    make(other, 70002, 100)
    first = rebecos(source, target)
    first.start("--until", "in-sync")
    assert first.wait_exit(60) == 0
    second = rebecos(other, target)
    second.start()
    rig.eventually("it stands still", lambda: second.log_lines("accept"))
    second.command("accept", "--timeout", "1s")
    second.wait_in_sync(60)
    second.wait("they are replaced", lambda: objects(target) == objects(other))


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.limit(900)
def test_more_than_two_gigabytes(source, target, rebecos):
    """One object of 2.3 GB, a part of it a hole: 64 MB of memory are enough."""
    source.psql(TABLE)
    make(source, 70000, 150 * MB)
    source.run("SELECT lo_put(70000, 2400000000, 'the end'), lo_put(70000, 2147483640, 'over the edge')")
    rebeco = rebecos(source, target, binary=rig.RELEASE)
    rebeco.start()
    rebeco.wait("it is there", lambda: (rebeco.sample(), (rebeco.status() or {}).get("in_sync"))[1], timeout=600)
    print(f"{rebeco.peak_rss() / MB:.0f} MB")
    assert rebeco.peak_rss() < 64 * MB
    for place, length in ((0, 150 * MB), (2147480000, 10000), (2399999990, 100)):
        piece = f"SELECT md5(lo_get(70000, {place}, {length}))"
        assert source.value(piece) == target.value(piece)
    assert target.value("SELECT lo_lseek64(lo_open(70000, 262144), 0, 2)") == 2400000007
