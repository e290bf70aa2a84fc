-- What is noticed of a capture that was tampered with, what becomes of the application's statements
-- meanwhile, and what remains in the end.
\i tests/sql/capture_helpers.psql
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT test.capture('t'), rebeco.capture_install('t'::regclass, 't_pkey'::regclass, 'auto');
SELECT test.state('t');
\echo disabled, and enabled again
ALTER TABLE t DISABLE TRIGGER rebeco_update; SELECT test.state('t'); ALTER TABLE t ENABLE ALWAYS TRIGGER rebeco_update; SELECT test.state('t');
INSERT INTO t VALUES (1);
\echo installing mends it, under the same number, with empty logs
SELECT test.capture('t'), (SELECT id FROM rebeco.capture), test.state('t'), test.log('t');
ALTER TABLE t ENABLE TRIGGER rebeco_insert; SELECT test.state('t'), test.capture('t'), test.state('t');
ALTER TABLE t DISABLE TRIGGER USER; ALTER TABLE t ENABLE TRIGGER USER; SELECT test.state('t'), test.capture('t'), test.state('t');
DROP TRIGGER rebeco_truncate ON t; SELECT test.state('t'), test.capture('t'), test.state('t');
\echo what is intact stays
INSERT INTO t VALUES (2); SELECT test.capture('t'), test.log('t');
\echo the function
CREATE OR REPLACE FUNCTION rebeco.capture_1() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'; SELECT test.state('t'), test.capture('t'), test.state('t');
ALTER FUNCTION rebeco.capture_1() SECURITY INVOKER; SELECT test.state('t'), test.capture('t'), test.state('t');
ALTER FUNCTION rebeco.capture_1() RESET search_path; SELECT test.state('t'), test.capture('t'), test.state('t');
DROP FUNCTION rebeco.capture_1();
DROP FUNCTION rebeco.capture_1() CASCADE; SELECT test.state('t'); INSERT INTO t VALUES (3); SELECT test.capture('t'), test.state('t');
\echo a log, the sequence: only with CASCADE, and then the application goes on
DROP TABLE rebeco.log_1_0; DROP TABLE rebeco.log_1_1; DROP SEQUENCE rebeco.nap;
DROP FUNCTION rebeco.capture_columns, rebeco.capture_renamed, rebeco.capture_all, rebeco.capture_wake;
DROP FUNCTION rebeco.capture_columns; DROP FUNCTION rebeco.capture_renamed; DROP FUNCTION rebeco.capture_all; DROP FUNCTION rebeco.capture_wake;
DROP TABLE rebeco.log_1_1 CASCADE; INSERT INTO t VALUES (4); UPDATE t SET v = 'x'; DELETE FROM t; TRUNCATE t; SELECT test.state('t'), test.capture('t'), test.state('t');
BEGIN; DROP SEQUENCE rebeco.nap CASCADE; INSERT INTO t VALUES (4); ROLLBACK;
\echo another key
ALTER TABLE t ADD w int NOT NULL DEFAULT 1; ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (w, id); INSERT INTO t VALUES (5);
SELECT test.state('t'), test.log('t'); SELECT test.capture('t'), test.state('t'); INSERT INTO t VALUES (6); SELECT test.log('t');
\echo an index made anew does not matter, nor does its name, nor VACUUM FULL
ALTER INDEX t_pkey RENAME TO k; REINDEX INDEX k; VACUUM FULL t; CLUSTER t USING k; INSERT INTO t VALUES (7); SELECT test.state('t'), test.log('t');
REINDEX INDEX CONCURRENTLY k; INSERT INTO t VALUES (8); SELECT test.state('t'), test.log('t');
\echo what is said of several
CREATE TABLE u (id int PRIMARY KEY); SELECT test.capture('u'); ALTER TABLE u RENAME id TO key;
PREPARE stamp (int[]) AS SELECT c.id, s.problem, s.is_lossy FROM unnest($1) c (id), rebeco.capture_state(c.id) s WHERE s.problem IS NOT NULL;
EXECUTE stamp ('{1,2,77}');
DROP TABLE u; EXECUTE stamp ('{1,2}'); SELECT rebeco.capture_remove(2); EXECUTE stamp ('{1,2}');
\i tests/sql/writer_helpers.psql
\set VERBOSITY terse
SELECT dblink_connect_u('writer', format('user=clerk host=127.0.0.1 port=%s dbname=%s application_name=shop', current_setting('port'), current_database()));
GRANT ALL ON t TO clerk;
SELECT dblink_exec('writer', 'BEGIN; INSERT INTO t VALUES (100)');
CREATE FUNCTION test.blockers() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE x record; BEGIN FOR x IN EXECUTE (SELECT text FROM test.statement WHERE name = 'capture_blockers') USING 't'::regclass::oid LOOP RETURN NEXT concat_ws(', ', x.pid > 0, x.who, x.lock, x.relation); END LOOP; END $$;
SELECT test.blockers();
BEGIN; SET LOCAL lock_timeout = '50ms'; SELECT rebeco.capture_remove(1); ROLLBACK;
SELECT dblink_exec('writer', 'PREPARE TRANSACTION ''the gid'''); SELECT regexp_replace(test.blockers(), '^t, ', '');
SELECT dblink_exec('writer', 'COMMIT PREPARED ''the gid'''); SELECT test.blockers();
\echo the end: nothing is left
SELECT rebeco.capture_remove(1);
SELECT count(*) FROM pg_trigger WHERE tgname ~ 'rebeco'; SELECT count(*) FROM pg_class WHERE relname ~ '^log_\d'; SELECT count(*) FROM pg_proc WHERE proname ~ '^capture_\d'; SELECT count(*) FROM rebeco.capture;
SELECT test.capture('t'); DROP SCHEMA rebeco CASCADE; INSERT INTO t VALUES (9); TRUNCATE t; SELECT count(*) FROM pg_trigger WHERE tgname ~ 'rebeco';
