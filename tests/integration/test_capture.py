"""Capture on a busy server, without the daemon: the logs lose no key while they are rotated as often as
can be, and a sleeping reader is woken."""

import os
import random
import select
import threading
import time

import psycopg2
import pytest
import rig

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def statement(name, *parameters):
    with open(f"{TOP}/sql/{name}.sql") as f:
        text = f.read()
    for n, parameter in enumerate(parameters or ["NULL"], 1):
        text = text.replace(f"${n}", parameter)
    return text


def install(server):
    files = sorted(os.listdir(TOP + "/schema"))
    server.psql("BEGIN; CREATE SCHEMA rebeco; SET search_path = pg_catalog;\n"
                + "\n".join(f"\\i {TOP}/schema/{name}" for name in files) + "\nCOMMIT;")


def capture(server, table, form="auto"):
    return server.value("SELECT rebeco.capture_install(i.indrelid, i.indexrelid, %s) FROM pg_index i "
                        "WHERE i.indrelid = %s::regclass AND i.indisprimary", form, table)


class Reader(threading.Thread):
    """What the daemon does, at its fastest: read what is visible in B and not in A, confirm, rotate."""

    def __init__(self, server, ids):
        super().__init__()
        self.server, self.ids, self.seen, self.answers = server, ids, {i: set() for i in ids}, {}
        self.stop = threading.Event()
        self.error = None

    def run(self):
        try:
            with self.server.connect() as c:
                c.run("SET search_path = pg_catalog")
                while not self.stop.is_set():
                    self.batch(c)
                self.batch(c)
        except Exception as e:
            self.error = e

    def batch(self, c):
        c.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
        b = c.value("SELECT txid_current_snapshot()::text")
        a = c.value("SELECT snapshot::text FROM rebeco.consumer")
        for i in self.ids:
            self.seen[i] |= set(c.run(f"SELECT k1, op FROM rebeco.log_{i} WHERE %s::text IS NULL "
                                      "OR NOT txid_visible_in_snapshot(xid, %s::txid_snapshot)", a, a))
        c.run("COMMIT")
        c.run("UPDATE rebeco.consumer SET snapshot = %s::txid_snapshot", b)
        for _, answer in c.run(statement("log_rotate", "0")):
            self.answers[answer] = self.answers.get(answer, 0) + 1
        c.run(statement("log_summarize"))


class Writer(threading.Thread):
    """Inserts, key updates, deletes in transactions of every length; remembers the keys of those that committed."""

    def __init__(self, server, number, tables):
        super().__init__()
        self.server, self.number, self.tables = server, number, tables
        self.done = {t: set() for t in tables}
        self.random = random.Random(number)
        self.stop = threading.Event()
        self.error = None

    def run(self):
        try:
            with self.server.connect("clerk") as c:
                key = self.number * 10**6
                while not self.stop.is_set():
                    key += 10
                    self.transaction(c, key)
        except Exception as e:
            self.error = e

    def transaction(self, c, key):
        table = self.random.choice(self.tables)
        c.run("BEGIN")
        c.run(f"INSERT INTO {table} VALUES (%s)", key)
        keys = {key}
        if self.random.random() < 0.2:
            c.run("SAVEPOINT a")
            c.run(f"UPDATE {table} SET id = id + 1 WHERE id = %s", key)
            if self.random.random() < 0.5:
                c.run("ROLLBACK TO a")
            else:
                keys.add(key + 1)
        if self.random.random() < 0.1:
            c.run("SELECT pg_sleep(%s)", self.random.random() * 0.2)
        # After the pause: whatever the reader did meanwhile, this goes where it will be found.
        c.run(f"INSERT INTO {table} VALUES (%s)", key + 2)
        keys.add(key + 2)
        if self.random.random() < 0.1:
            c.run("ROLLBACK")
        elif self.random.random() < 0.1:
            c.run(f"PREPARE TRANSACTION 'w{key}'")
            c.run("SELECT pg_sleep(0.01)")
            c.run(f"COMMIT PREPARED 'w{key}'")
            self.done[table] |= keys
        else:
            c.run("COMMIT")
            self.done[table] |= keys


@pytest.mark.limit(90)
def test_rotation_loses_nothing(source):
    """Every key of a committed transaction is read once it is visible, though the log's segments are
    switched and truncated all the time."""
    install(source)
    tables = {"s": "statement", "r": "row", "m": "auto"}
    ids = []
    for table, form in tables.items():
        source.run(f"CREATE TABLE {table} (id int PRIMARY KEY)")
        source.run(f"GRANT ALL ON {table} TO clerk")
        ids.append(capture(source, table, form))
    source.run("INSERT INTO rebeco.consumer (consumer, sync) VALUES ('a', 'a')")
    source.run("INSERT INTO rebeco.consumer_table (consumer, capture_id) SELECT 'a', id FROM rebeco.capture")
    reader = Reader(source, ids)
    writers = [Writer(source, n + 1, list(tables)) for n in range(8)]
    for thread in [reader, *writers]:
        thread.start()
    time.sleep(10)
    for writer in writers:
        writer.stop.set()
    for writer in writers:
        writer.join()
    reader.stop.set()
    reader.join()
    assert [t.error for t in [reader, *writers] if t.error] == []
    for table, number in zip(tables, ids):
        committed = set().union(*(w.done[table] for w in writers))
        read = {key for key, op in reader.seen[number]}
        assert {op for key, op in reader.seen[number]} == {None}
        assert committed - read == set()
        in_table = {row[0] for row in source.run(f"SELECT id FROM {table}")}
        assert in_table <= read
        # A key whose savepoint was rolled back, or whose transaction was, is not there at all.
        assert read == committed
        assert len(committed) > 500
    # The test is worth something only if rotation met every situation.
    for answer in ("switched", "held", "needed"):
        assert reader.answers.get(answer, 0) > 5, reader.answers
    for number in ids:
        assert source.value("SELECT rebeco.capture_is_intact(%s)", number) is None


def test_a_sleeping_reader_is_woken(servers):
    """Where prepared transactions are impossible, writers send NOTIFY: to a sleeper only, once per transaction."""
    source = servers("source", "app", os.environ.get("REBECO_PG_SOURCE"), max_prepared_transactions="0")
    install(source)
    source.run("CREATE TABLE t (id int PRIMARY KEY)")
    capture(source, "t")
    listener = source.connect()
    listener.run("LISTEN rebeco_wake")

    def heard():
        select.select([listener.raw], [], [], 0.5)
        listener.raw.poll()
        n = len(listener.raw.notifies)
        listener.raw.notifies.clear()
        return n

    listener.run("SELECT setval('rebeco.nap', 1000)")
    source.run("INSERT INTO t VALUES (1)")
    assert heard() == 0
    assert listener.value(statement("capture_nap")) is True
    source.run("DELETE FROM t WHERE id = 77")
    assert heard() == 0
    source.run("INSERT INTO t VALUES (2)")
    assert heard() == 1
    assert listener.value(statement("capture_await", "400", "10")) is True
    # A transaction that is still open has not used up the wake-ups of the others.
    with source.connect() as c:
        c.run("BEGIN")
        for i in range(10, 250):
            c.run("INSERT INTO t VALUES (%s)", i)
        assert heard() == 0
        source.run("INSERT INTO t VALUES (3)")
        assert heard() == 1
        c.run("COMMIT")
        assert heard() == 1
    listener.close()


def test_a_writer_can_prepare_its_transaction_while_the_reader_sleeps(source):
    install(source)
    source.run("CREATE TABLE t (id int PRIMARY KEY)")
    capture(source, "t")
    assert source.value(statement("capture_nap")) is False
    with source.connect() as c:
        c.run("BEGIN")
        c.run("INSERT INTO t VALUES (1)")
        c.run("PREPARE TRANSACTION 'x'")
        c.run("COMMIT PREPARED 'x'")
    assert source.value(statement("capture_await", "400", "10")) is True


def test_removal_leaves_the_catalogs_as_they_were(source):
    source.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);"
               "CREATE TABLE p1 PARTITION OF p DEFAULT")
    before = source.dump_schema()
    install(source)
    for table in ("t", "p"):
        capture(source, table)
    assert source.dump_schema() != before
    for (number,) in source.run("SELECT id FROM rebeco.capture"):
        source.run("SELECT rebeco.capture_remove(%s)", number)
    source.run("DROP SCHEMA rebeco CASCADE")
    assert source.dump_schema() == before
    # And without any state or function of ours: the statements that are made for it suffice.
    install(source)
    for table in ("t", "p"):
        capture(source, table)
    source.run("TRUNCATE rebeco.capture CASCADE")
    for _, drop in source.run(statement("uninstall_triggers")):
        source.run(drop)
    source.run("DROP SCHEMA rebeco CASCADE")
    assert source.dump_schema() == before
