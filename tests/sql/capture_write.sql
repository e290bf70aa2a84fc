-- Every way to write to a plain table, in two forms: statement and row, or those that capture_write_mixed.sql names.
\i tests/sql/capture_helpers.psql
\if :{?form}
\else
\set form statement
\endif
CREATE TABLE s (id int PRIMARY KEY, v text, t int UNIQUE);
CREATE TABLE r (id int PRIMARY KEY, v text, t int UNIQUE);
SELECT test.capture('s', :'form'), test.capture('r', 'row');
CREATE FUNCTION test.logs() RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN a.s = b.r THEN 'both' || a.s ELSE concat('DIFFERENT:', a.s, ' /', b.r) END
      FROM (SELECT replace(test.log('s'), 's logged', '') AS s) a, (SELECT replace(test.log('r'), 'r logged', '') AS r) b
$$;

\echo insert
INSERT INTO s VALUES (1, 'a'), (2, 'b'); INSERT INTO r VALUES (1, 'a'), (2, 'b'); SELECT test.logs();
\echo update: one entry per key
UPDATE s SET v = 'c'; UPDATE r SET v = 'c'; SELECT test.logs();
\echo update of the key: old and new
UPDATE s SET id = 3 WHERE id = 1; UPDATE r SET id = 3 WHERE id = 1; SELECT test.logs();
\echo keys that move along
UPDATE s SET id = id + 1 WHERE id = 3; UPDATE r SET id = id + 1 WHERE id = 3; SELECT test.logs();
\echo delete
DELETE FROM s WHERE id = 4; DELETE FROM r WHERE id = 4; SELECT test.logs();
\echo statements that change nothing
DELETE FROM s WHERE id = 4; UPDATE s SET v = 'x' WHERE id = 4; INSERT INTO s SELECT 1 WHERE false; SELECT test.logs();
\echo copy
COPY s FROM STDIN;
10	x	\N
11	y	\N
\.
COPY r FROM STDIN;
10	x	\N
11	y	\N
\.
SELECT test.logs();
\echo on conflict: an update, an insert, nothing
INSERT INTO s VALUES (10, 'z'), (12, 'z'), (11, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v WHERE s.id = 10;
INSERT INTO r VALUES (10, 'z'), (12, 'z'), (11, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v WHERE r.id = 10;
SELECT test.logs();
INSERT INTO s VALUES (10, 'z') ON CONFLICT DO NOTHING; INSERT INTO r VALUES (10, 'z') ON CONFLICT DO NOTHING; SELECT test.logs();
\echo a writing CTE: delete, insert and update in one statement
WITH d AS (DELETE FROM s WHERE id = 10 RETURNING *), u AS (UPDATE s SET v = 'w' WHERE id = 11) INSERT INTO s SELECT id + 10, v FROM d;
WITH d AS (DELETE FROM r WHERE id = 10 RETURNING *), u AS (UPDATE r SET v = 'w' WHERE id = 11) INSERT INTO r SELECT id + 10, v FROM d;
SELECT test.logs();
\echo savepoints: what is rolled back is not there
BEGIN;
INSERT INTO s VALUES (30); INSERT INTO r VALUES (30);
SAVEPOINT a;
INSERT INTO s VALUES (31); INSERT INTO r VALUES (31);
ROLLBACK TO a;
INSERT INTO s VALUES (32); INSERT INTO r VALUES (32);
COMMIT;
SELECT test.logs();
BEGIN; INSERT INTO s VALUES (40); INSERT INTO r VALUES (40); ROLLBACK; SELECT test.logs();
\echo the transaction id is that of the whole transaction
BEGIN;
INSERT INTO s VALUES (50); SAVEPOINT a; INSERT INTO s VALUES (51); RELEASE a;
SELECT count(*), min(xid) = txid_current(), max(xid) = txid_current() FROM rebeco.log_1;
ROLLBACK;
\echo a trigger of the application that writes to the same table, and one that alters the row
CREATE FUNCTION test.before() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := NEW.id + 1000; RETURN NEW; END $$;
CREATE TRIGGER a BEFORE INSERT ON s FOR EACH ROW WHEN (NEW.id < 1000) EXECUTE FUNCTION test.before();
CREATE TRIGGER a BEFORE INSERT ON r FOR EACH ROW WHEN (NEW.id < 1000) EXECUTE FUNCTION test.before();
CREATE FUNCTION test.again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('INSERT INTO %s VALUES ($1)', TG_RELID::regclass) USING NEW.id + 1000; RETURN NULL; END $$;
CREATE TRIGGER z AFTER INSERT ON s FOR EACH ROW WHEN (NEW.id < 2000) EXECUTE FUNCTION test.again();
CREATE TRIGGER z AFTER INSERT ON r FOR EACH ROW WHEN (NEW.id < 2000) EXECUTE FUNCTION test.again();
INSERT INTO s VALUES (60); INSERT INTO r VALUES (60); SELECT test.logs();
\echo through a view
CREATE VIEW vs AS SELECT * FROM s; CREATE VIEW vr AS SELECT * FROM r;
UPDATE vs SET v = 'view' WHERE id = 2; UPDATE vr SET v = 'view' WHERE id = 2; SELECT test.logs();
\echo truncate
TRUNCATE s; TRUNCATE r; SELECT test.logs();
\echo truncate, then rows, in one transaction
BEGIN; INSERT INTO s VALUES (1); INSERT INTO r VALUES (1); TRUNCATE s, r; INSERT INTO s VALUES (2); INSERT INTO r VALUES (2); COMMIT; SELECT test.logs();

\echo foreign keys that cascade
DROP TRIGGER a ON s; DROP TRIGGER z ON s;
CREATE TABLE child (a int REFERENCES s ON DELETE CASCADE ON UPDATE CASCADE, b int, PRIMARY KEY (a, b));
CREATE TABLE nulled (id int PRIMARY KEY, a int REFERENCES s ON DELETE SET NULL);
SELECT test.capture('child'), test.capture('nulled');
DELETE FROM s; INSERT INTO s VALUES (2), (1001), (1003); INSERT INTO child VALUES (2, 1), (2, 2), (1001, 1), (1003, 7); INSERT INTO nulled VALUES (1, 2), (2, 1001);
SELECT test.log('s'), test.log('child'), test.log('nulled');
DELETE FROM s WHERE id IN (2, 1001); SELECT test.log('s'), test.log('child'), test.log('nulled');
UPDATE s SET id = 1004 WHERE id = 1003; SELECT test.log('s'), test.log('child'), test.log('nulled');
TRUNCATE s CASCADE; SELECT test.log('s'), test.log('child'), test.log('nulled');

\echo a session in replica role
\c - postgres
SET session_replication_role = replica;
INSERT INTO s VALUES (2001, 'replica'); INSERT INTO r VALUES (2001, 'replica'); SELECT test.logs();
