"""The promise: tables in which nothing happens cost next to nothing, and a change in one that was quiet is not missed."""

import os
import time

import rig

SCANS = """SELECT coalesce(sum(s.idx_scan), 0)::bigint FROM pg_stat_all_indexes s JOIN rebeco.capture c ON s.relname ~ format('^log_%s_[01]($|_)', c.id)
WHERE c.table_name {} 'busy'"""


def scans(source, which):
    """How often an index of the change logs of these tables was read, as far as it was reported."""
    return source.value(SCANS.format(which), user="postgres")


def test_only_logs_that_hold_something_are_looked_into(source, target, rebeco):
    source.psql("CREATE TABLE busy (id int PRIMARY KEY, v int);"
                + "".join(f"CREATE TABLE quiet_{i} (id int PRIMARY KEY, v int);" for i in range(60)))
    rebeco.start()
    rebeco.wait_in_sync()
    before = scans(source, "="), scans(source, "<>")
    for i in range(40):
        source.run("INSERT INTO busy VALUES (%s, 0)", i)
        rig.eventually("the row arrives", lambda n=i: target.value("SELECT count(*) FROM busy") == n + 1)
    rig.eventually("the scans of the busy log are reported", lambda: scans(source, "=") >= before[0] + 40)
    assert scans(source, "<>") == before[1]
    # One that was quiet until now, in a log of the second group that is asked about as well as of the first.
    for i in (3, 57, 3):
        source.run(f"INSERT INTO quiet_{i} SELECT coalesce(max(id), 0) + 1, 1 FROM quiet_{i}")
        rig.eventually("its row arrives", lambda t=f"TABLE quiet_{i} ORDER BY 1": source.run(t) == target.run(t))
    rebeco.wait_in_sync()
    rig.check_equal(source, target)
    rebeco.terminate()


def test_it_is_looked_only_where_something_can_have_come(servers, target, rebecos):
    """A look costs as much as there are tables. After a write that arrives alone none of the rounds before the nap, nor the one
    after it, can find anything: a transaction of the daemon's own is all that came."""
    source = servers("source", "app", os.environ.get("REBECO_PG_SOURCE"), log_statement="all", max_prepared_transactions="0")
    source.psql("CREATE TABLE busy (id int PRIMARY KEY, v int)")
    rebeco = rebecos(source, target).start()
    rebeco.wait_in_sync()

    def looks():
        with open(source.log_path, errors="replace") as log:
            return log.read().count("execute rebeco_look")

    def asleep():
        return source.value("SELECT last_value FROM rebeco.nap") == 1

    counts = []
    for i in range(7):
        rig.eventually("the daemon sleeps", asleep)
        before = looks()
        source.run("INSERT INTO busy VALUES (%s, 0)", i)
        rig.eventually("the row arrives", lambda n=i: target.value("SELECT count(*) FROM busy") == n + 1)
        rig.eventually("the daemon sleeps again", asleep)
        time.sleep(0.3)
        counts.append(looks() - before)
    assert 1 <= sorted(counts)[3] <= 3, counts  # 10, where each round looks; autovacuum and our own upkeep come by now and then
