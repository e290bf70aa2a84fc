-- Other roles, and their search_path.
\i tests/sql/capture_helpers.psql
CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO public;
CREATE TABLE s (id int PRIMARY KEY, v text); CREATE TABLE r (id int PRIMARY KEY, v text); CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT;
GRANT ALL ON s, r, p, p1 TO clerk;
SELECT test.capture('s'), test.capture('r', 'row'), test.capture('p');
SELECT has_schema_privilege('clerk', 'rebeco', 'USAGE'), has_table_privilege('clerk', 'rebeco.log_1_0', 'INSERT');
\c - clerk
\set VERBOSITY terse
-- What would be found first if a name were looked up in the writer's path, or in pg_temp.
CREATE FUNCTION evil.fail() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil code ran as %', current_user; END $$;
CREATE FUNCTION evil.txid_current() RETURNS bigint LANGUAGE sql AS 'SELECT evil.fail(); SELECT 0::bigint';
CREATE FUNCTION evil.pg_sequence_last_value(regclass) RETURNS bigint LANGUAGE sql AS 'SELECT evil.fail(); SELECT 0::bigint';
CREATE FUNCTION evil.equals(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT evil.fail(); SELECT false';
CREATE FUNCTION evil.equals(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.fail(); SELECT false';
CREATE FUNCTION evil.less(bigint, int) RETURNS boolean LANGUAGE sql AS 'SELECT evil.fail(); SELECT false';
CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT evil.fail(); SELECT ''''';
CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.equals);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equals);
CREATE OPERATOR evil.< (LEFTARG = bigint, RIGHTARG = int, FUNCTION = evil.less);
SET search_path = evil, pg_temp, public, pg_catalog;
CREATE TEMP TABLE log_1_0 (k1 int, xid bigint, op "char"); CREATE TEMP TABLE pg_trigger (oid oid); CREATE TEMP TABLE old_rows (id int); CREATE TEMP TABLE new_rows (id int); CREATE TYPE pg_temp.regclass AS (x int); CREATE TYPE pg_temp.text AS (x int);
INSERT INTO s VALUES (1), (2); INSERT INTO r VALUES (1), (2); INSERT INTO p VALUES (1), (2);
UPDATE s SET id = 3 WHERE id OPERATOR(pg_catalog.=) 1; UPDATE r SET id = 3 WHERE id OPERATOR(pg_catalog.=) 1; UPDATE p SET id = 3 WHERE id OPERATOR(pg_catalog.=) 1;
DELETE FROM s; DELETE FROM r; DELETE FROM p;
TRUNCATE s, r, p1; TRUNCATE p;
SELECT setting FROM pg_settings WHERE name OPERATOR(pg_catalog.=) 'search_path';
SELECT test.log('s'), test.log('r'), test.log('p');
\echo the daemon sleeps, key columns are renamed
\c - app
SELECT setval('rebeco.nap', 1) \g /dev/null
ALTER TABLE s RENAME id TO key; ALTER TABLE r RENAME id TO key; ALTER TABLE p RENAME id TO key;
\c - clerk
SET search_path = evil, pg_temp, public, pg_catalog;
INSERT INTO s VALUES (1); INSERT INTO r VALUES (1); INSERT INTO p VALUES (1); UPDATE s SET key = 2; UPDATE r SET key = 2; UPDATE p SET key = 2; TRUNCATE p1;
SELECT test.log('s'), test.log('r'), test.log('p');
\echo clerk cannot call what is ours, nor read the log
SELECT rebeco.capture_remove(1); TABLE rebeco.log_1;
\echo row security for the one who owns the triggers does not hide rows that are truncated
\c - app
ALTER TABLE p1 ENABLE ROW LEVEL SECURITY; ALTER TABLE p1 FORCE ROW LEVEL SECURITY; CREATE POLICY none ON p1 USING (false) WITH CHECK (true);
INSERT INTO p1 VALUES (5); SELECT test.log('p') \g /dev/null
TRUNCATE p1; SELECT test.log('p');
