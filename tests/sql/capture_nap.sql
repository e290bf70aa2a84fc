-- A sleeping daemon is woken by the first write, once per transaction; an awake one never.
\i tests/sql/capture_helpers.psql
CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE r (id int PRIMARY KEY); SELECT test.capture('t'), test.capture('r', 'row');
LISTEN rebeco_wake;
PREPARE nap AS WITH n AS (:capture_nap) SELECT notifies, xid = txid_current() AS is_own FROM n;
PREPARE naps AS :capture_await;
PREPARE wake AS SELECT setval('rebeco.nap', 1000);
\echo awake
EXECUTE wake; INSERT INTO t VALUES (1); INSERT INTO r VALUES (1); SELECT last_value FROM rebeco.nap;
\echo asleep; this server allows prepared transactions, so there is no NOTIFY, but the sequence moves
EXECUTE nap; EXECUTE naps (400, 10);
DELETE FROM t WHERE false; EXECUTE naps (400, 10);
BEGIN; INSERT INTO t SELECT generate_series(10, 20); INSERT INTO r SELECT generate_series(10, 20); DELETE FROM r; TRUNCATE t; COMMIT; EXECUTE naps (400, 10); SELECT last_value FROM rebeco.nap;
INSERT INTO t VALUES (2); SELECT last_value FROM rebeco.nap;
BEGIN; SAVEPOINT a; INSERT INTO t VALUES (3); ROLLBACK TO a; INSERT INTO t VALUES (3); COMMIT; SELECT last_value FROM rebeco.nap;
BEGIN; INSERT INTO t VALUES (4); PREPARE TRANSACTION 'x'; COMMIT PREPARED 'x'; SELECT last_value FROM rebeco.nap;
\echo the first write to a partition that has gone, which logs what was in it
CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT; SELECT test.capture('p');
INSERT INTO p VALUES (1), (2); ALTER TABLE p DETACH PARTITION p1;
EXECUTE nap; DELETE FROM p1 WHERE id = 1; SELECT last_value FROM rebeco.nap; DELETE FROM p1 WHERE id = 2; SELECT last_value FROM rebeco.nap;
\echo a daemon that died asleep costs a hundred wake-ups
SELECT setval('rebeco.nap', 99) \g /dev/null
INSERT INTO r VALUES (100); INSERT INTO r VALUES (101); INSERT INTO r VALUES (102); SELECT last_value FROM rebeco.nap;
