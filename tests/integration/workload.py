"""An application that does to its tables whatever SQL allows, at random but by a seed.

SCHEMA is run by the source's owner; step() is one transaction of one writer, for rig.Crew. Nothing in
here knows of Rebeco. The ways to lose a change that the tables stand for:

  customer, purchase   identity keys, foreign key ON DELETE CASCADE, an enum, wide values that an
                       update leaves alone
  item                 key of two columns that are themselves updated
  seat                 values move between rows under a second unique index
  tag                  no primary key, a unique index over NOT NULL columns
  event                partitioned; rows move between partitions; one partition is written directly
  queue                filled, emptied by TRUNCATE and by DELETE, same keys used again
"""

import uuid

import rig

SCHEMA = """
CREATE TYPE mood AS ENUM ('new', 'paid', 'it''s "gone"');
CREATE TABLE customer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL, balance numeric NOT NULL DEFAULT 0, photo bytea, doc jsonb,
    upper_name text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE purchase (
    id serial PRIMARY KEY,
    customer bigint NOT NULL REFERENCES customer ON DELETE CASCADE,
    state mood NOT NULL DEFAULT 'new', at timestamptz NOT NULL DEFAULT clock_timestamp(), sums float8[]);
CREATE INDEX ON purchase (customer);
CREATE TABLE item (region text, no int, price numeric, PRIMARY KEY (region, no));
CREATE TABLE seat (id int PRIMARY KEY, place int NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE tag (word text NOT NULL, lang text NOT NULL, uses int);
CREATE UNIQUE INDEX tag_key ON tag (lang, word);
CREATE TABLE event (id bigint, kind int NOT NULL, body text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
CREATE TABLE event_0 PARTITION OF event FOR VALUES IN (0);
CREATE TABLE event_1 PARTITION OF event FOR VALUES IN (1);
CREATE TABLE event_rest PARTITION OF event DEFAULT;
CREATE TABLE queue (id int PRIMARY KEY, payload text);
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO clerk;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO clerk;
"""

DATA = """
INSERT INTO customer (name, photo, doc) SELECT 'Customer ' || i, decode(repeat(md5(i::text), 100), 'hex'),
    jsonb_build_object('i', i) FROM generate_series(1, %(n)s) i;
INSERT INTO purchase (customer, sums) SELECT i, ARRAY[i, 0.1] FROM generate_series(1, %(n)s) i;
INSERT INTO item SELECT 'region ' || i %% 7, i, i FROM generate_series(1, %(n)s) i;
INSERT INTO seat SELECT i, i FROM generate_series(1, 200) i;
INSERT INTO tag SELECT 'word ' || i, 'lang ' || i %% 3, 0 FROM generate_series(1, %(n)s) i;
INSERT INTO event SELECT i, i %% 4, 'body ' || i FROM generate_series(1, %(n)s) i;
"""

# What may fail in such an application without anybody's fault: deadlocks, serialization, collisions.
ALLOWED = ("40001", "40P01", "23505", "23503", "42710")


def install(server, rows=500):
    server.psql(SCHEMA)
    server.psql(DATA % {"n": rows})


def _customer(c, rng):
    return rng.randint(1, max(1, c.value("SELECT last_value FROM customer_id_seq")))


def insert_customer(c, rng):
    i = c.value("INSERT INTO customer (name, photo, doc) VALUES (%s, decode(repeat(md5(%s), 80), 'hex'), '{}') "
                "RETURNING id", f"N{rng.random()}", str(rng.random()))
    for _ in range(rng.randint(0, 3)):
        c.run("INSERT INTO purchase (customer, sums) VALUES (%s, ARRAY[%s]::float8[])", i, rng.random())


def update_narrow(c, rng):
    c.run("UPDATE customer SET balance = balance + %s WHERE id = %s", rng.randint(-9, 9), _customer(c, rng))


def update_wide(c, rng):
    c.run("UPDATE customer SET photo = NULL, doc = doc || %s::jsonb WHERE id = %s",
          f'{{"k{rng.randint(0, 9)}": null}}', _customer(c, rng))


def update_many(c, rng):
    low = rng.randint(1, 400)
    c.run("UPDATE purchase SET state = %s WHERE id BETWEEN %s AND %s",
          rng.choice(["new", "paid", 'it\'s "gone"']), low, low + 50)


def delete_cascade(c, rng):
    c.run("DELETE FROM customer WHERE id = %s", _customer(c, rng))


def change_key(c, rng):
    c.run("UPDATE item SET no = no + %s, region = %s WHERE (region, no) = "
          "(SELECT region, no FROM item ORDER BY random() LIMIT 1)", rng.randint(1, 5000), f"region {rng.randint(0, 7)}")


def reinsert_same_key(c, rng):
    row = c.run("DELETE FROM item WHERE (region, no) = (SELECT region, no FROM item ORDER BY random() LIMIT 1) "
                "RETURNING region, no")
    if row:
        c.run("INSERT INTO item VALUES (%s, %s, %s)", *row[0], rng.randint(0, 99))


def swap_seats(c, rng):
    a, b = rng.sample(range(1, 201), 2)
    c.run("UPDATE seat s SET place = o.place FROM seat o WHERE (s.id, o.id) IN ((%s, %s), (%s, %s))", a, b, b, a)


def upsert_tag(c, rng):
    c.run("INSERT INTO tag VALUES (%s, %s, 1) ON CONFLICT (lang, word) DO UPDATE SET uses = tag.uses + 1",
          f"word {rng.randint(1, 700)}", f"lang {rng.randint(0, 3)}")


def move_event(c, rng):
    c.run("UPDATE event SET kind = %s WHERE id = %s", rng.randint(0, 4), rng.randint(1, 800))


def write_event(c, rng):
    c.run("INSERT INTO event VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", rng.randint(1, 800), rng.randint(0, 4), "n")
    c.run("DELETE FROM event_1 WHERE id = %s", rng.randint(1, 800))


def fill_queue(c, rng):
    low = rng.randint(1, 1000)
    c.run("INSERT INTO queue SELECT i, md5(random()::text) FROM generate_series(%s, %s) i "
          "ON CONFLICT (id) DO UPDATE SET payload = excluded.payload", low, low + 30)


def drain_queue(c, rng):
    c.run("DELETE FROM queue WHERE id IN (SELECT id FROM queue ORDER BY id LIMIT 20 FOR UPDATE SKIP LOCKED)")


def truncate_queue(c, rng):
    c.run("TRUNCATE queue")
    if rng.random() < 0.7:
        fill_queue(c, rng)


def savepoints(c, rng):
    one_step(c, rng)
    c.run("SAVEPOINT a")
    one_step(c, rng)
    c.run("SAVEPOINT b")
    one_step(c, rng)
    c.run(rng.choice(["ROLLBACK TO a", "ROLLBACK TO b", "RELEASE a", "RELEASE b"]))
    one_step(c, rng)


STEPS = [(insert_customer, 10), (update_narrow, 15), (update_wide, 3), (update_many, 3), (delete_cascade, 2),
         (change_key, 8), (reinsert_same_key, 8), (swap_seats, 8), (upsert_tag, 8), (move_event, 6),
         (write_event, 6), (fill_queue, 4), (drain_queue, 4)]


def one_step(c, rng):
    rng.choices([f for f, _ in STEPS], [w for _, w in STEPS])[0](c, rng)


def step(c, rng, number):
    """One transaction: usually a few changes, at times with savepoints, at times rolled back."""
    for _ in range(rng.randint(1, 4)):
        one_step(c, rng)
    if rng.random() < 0.15:
        savepoints(c, rng)
    if rng.random() < 0.1:
        c.raw.rollback()


def step_truncate(c, rng, number):
    """TRUNCATE, alone or with other changes around it, at times rolled back."""
    if rng.random() < 0.5:
        one_step(c, rng)
    truncate_queue(c, rng)
    if rng.random() < 0.2:
        c.raw.rollback()


def step_prepared(c, rng, number):
    """The same with two-phase commit; finish_prepared() must run beside it."""
    for _ in range(rng.randint(1, 3)):
        one_step(c, rng)
    c.run(f"PREPARE TRANSACTION '{uuid.UUID(int=rng.getrandbits(128))}'")


def finish_prepared(c, rng, number):
    """Commits or rolls back what step_prepared() left; for a Crew of one."""
    rows = c.run("SELECT gid FROM pg_prepared_xacts WHERE database = current_database() AND owner = current_user "
                 "AND prepared < clock_timestamp() - %s * interval '1 s'", rng.random())
    c.raw.commit()
    c.raw.autocommit = True
    try:
        for (gid,) in rows:
            c.run(("COMMIT" if rng.random() < 0.8 else "ROLLBACK") + f" PREPARED '{gid}'")
    finally:
        c.raw.autocommit = False


def finish_all_prepared(server):
    """Nothing stays prepared; for the end of a test."""
    with server.connect() as c:
        for (gid,) in c.run("SELECT gid FROM pg_prepared_xacts WHERE owner = current_user"):
            c.run(f"COMMIT PREPARED '{gid}'")


class Application:
    """All of it at once: writers of two roles, two-phase commits, and one transaction that stays open
    from the beginning to the end."""

    def __init__(self, server, writers=6, clerks=2, two_phase=2, seed=1, stubborn=False, long_transaction=True,
                 pause_s=0.0):
        self.server = server
        how = {"allowed": ALLOWED, "stubborn": stubborn}
        self.finisher = rig.Crew(server, finish_prepared, 1, seed=seed, pause_s=0.1, **how) if two_phase else None
        self.crews = [rig.Crew(server, step, writers, seed=f"{seed}w", pause_s=pause_s, **how)]
        if clerks:
            self.crews.append(rig.Crew(server, step, clerks, user="clerk", seed=f"{seed}c", pause_s=pause_s, **how))
        # By the clock and not by the step: an application truncates now and then.
        self.crews.append(rig.Crew(server, step_truncate, 1, seed=f"{seed}t", pause_s=0.7, **how))
        if two_phase:
            self.crews.append(rig.Crew(server, step_prepared, two_phase, seed=f"{seed}p", pause_s=0.2 + pause_s, **how))
        self.long = None
        self.done = None
        if long_transaction:
            self.long = server.connect()
            self.long.raw.autocommit = False
            self._write_long()

    def _write_long(self):
        self.long.run("INSERT INTO customer (name) VALUES ('open for the whole run')")
        self.long.run("INSERT INTO tag VALUES ('long', 'long', 1) ON CONFLICT (lang, word) DO UPDATE SET uses = 9")

    def stop(self):
        """Ends the writers, then what they prepared; returns the number of transactions."""
        if self.done is not None:
            return self.done
        self.done = 0
        # The finisher goes last: whoever waits for a prepared transaction waits for it.
        trouble = None
        for crew in [*self.crews, *([self.finisher] if self.finisher else [])]:
            try:
                self.done += crew.stop()
            except Exception as e:
                trouble = trouble or e
        finish_all_prepared(self.server)
        if self.long is not None and trouble is None:
            self.long.run("UPDATE item SET price = -1 WHERE no % 50 = 0")
            self._write_long()
            self.long.raw.commit()
        if self.long is not None:
            self.long.close()
        if trouble is not None:
            raise trouble
        return self.done

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Also after a failure: threads that go on writing would spoil the next test.
        self.stop()
