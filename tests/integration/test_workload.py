"""The workload itself: it must really do what the other tests rely on."""

import time

import rig
import workload


def test_every_kind_of_step_changes_something(source):
    workload.install(source, rows=100)
    with workload.Application(source, seed=5) as app:
        time.sleep(4)
    assert all(crew.done > 2 for crew in app.crews), [crew.done for crew in app.crews]
    for table in ("customer", "purchase", "item", "seat", "tag", "event_0", "event_1", "event_rest", "queue"):
        def changed():
            with source.admin() as c:
                rows = c.run("SELECT n_tup_ins, n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = %s", table)
            return rows and sum(rows[0]) > 0 and rows[0][1] > 0
        rig.eventually(f"{table} was changed", changed, 20)
    assert source.value("SELECT count(*) FROM pg_prepared_xacts") == 0
