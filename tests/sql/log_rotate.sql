-- Change logs are emptied when every consumer has all of it and nobody holds the segment, and never
-- sooner; no lock is waited for.
\i tests/sql/capture_helpers.psql
\i tests/sql/writer_helpers.psql
\set VERBOSITY terse
CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY); GRANT ALL ON t, u TO clerk;
SELECT test.capture('t'), test.capture('u');
INSERT INTO rebeco.consumer VALUES ('a', 'sync a'), ('b', 'sync b');
INSERT INTO rebeco.consumer_table VALUES ('a', 1), ('b', 1), ('a', 2);
SELECT dblink_connect_u('writer', format('user=clerk host=127.0.0.1 port=%s dbname=%s application_name=shop', current_setting('port'), current_database()));
PREPARE rotate AS :log_rotate;
PREPARE size AS :log_size;
CREATE FUNCTION test.segments() RETURNS text LANGUAGE sql AS $$ SELECT format('0: %s rows, 1: %s rows, writing to %s', (SELECT count(*) FROM rebeco.log_1_0), (SELECT count(*) FROM rebeco.log_1_1), (SELECT segment FROM rebeco.capture WHERE id = 1)) $$;
CREATE FUNCTION test.holders() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE x record; BEGIN FOR x IN EXECUTE (SELECT text FROM test.statement WHERE name = 'log_holders') LOOP RETURN NEXT concat_ws(', ', CASE WHEN x.pid > 0 THEN 'pid' END, x.who, x.ids, x.bytes); END LOOP; END $$;
\echo nothing to do
EXECUTE rotate (0); SELECT test.segments();
\echo small: no; larger: the other one is written, and this one is needed until both consumers have it
INSERT INTO t VALUES (1); EXECUTE rotate (8192); EXECUTE rotate (0); SELECT test.segments(), test.state('t');
EXECUTE rotate (0);
INSERT INTO t VALUES (2); SELECT test.segments(); EXECUTE size;
UPDATE rebeco.consumer SET snapshot = txid_current_snapshot() WHERE consumer = 'a'; EXECUTE rotate (0);
INSERT INTO t VALUES (3);
UPDATE rebeco.consumer SET snapshot = txid_current_snapshot() WHERE consumer = 'b'; EXECUTE rotate (1000000); SELECT test.segments();
\echo a table with a position of its own
EXECUTE rotate (0); UPDATE rebeco.consumer_table SET snapshot = (SELECT snapshot FROM rebeco.consumer WHERE consumer = 'a') WHERE consumer = 'b'; UPDATE rebeco.consumer SET snapshot = txid_current_snapshot();
EXECUTE rotate (0); UPDATE rebeco.consumer_table SET snapshot = txid_current_snapshot(); EXECUTE rotate (1000000); SELECT test.segments();
UPDATE rebeco.consumer_table SET snapshot = NULL;
\echo a writer that has not ended holds it, and what it wrote is needed
INSERT INTO t VALUES (4); SELECT dblink_exec('writer', 'BEGIN; INSERT INTO t VALUES (5)');
EXECUTE rotate (0); UPDATE rebeco.consumer SET snapshot = txid_current_snapshot(); EXECUTE rotate (0); SELECT test.holders();
INSERT INTO t VALUES (6); SELECT test.segments();
SELECT dblink_exec('writer', 'COMMIT'); EXECUTE rotate (0); SELECT test.holders(); SELECT test.segments();
UPDATE rebeco.consumer SET snapshot = txid_current_snapshot(); EXECUTE rotate (1000000); SELECT test.segments();
\echo a prepared transaction, which nobody sees in the list of sessions
SELECT dblink_exec('writer', 'BEGIN; INSERT INTO t VALUES (7)'), dblink_exec('writer', 'PREPARE TRANSACTION ''the gid''');
EXECUTE rotate (0); UPDATE rebeco.consumer SET snapshot = txid_current_snapshot(); EXECUTE rotate (0); SELECT test.holders();
SELECT dblink_exec('writer', 'ROLLBACK PREPARED ''the gid'''); EXECUTE rotate (0); SELECT test.segments();
\echo a writer that is in the middle of things when writing goes over, and a rolled back one
SELECT dblink_exec('writer', 'BEGIN; INSERT INTO t VALUES (8)'); EXECUTE rotate (0);
SELECT dblink_exec('writer', 'INSERT INTO t VALUES (9)'), dblink_exec('writer', 'COMMIT'); SELECT test.segments();
UPDATE rebeco.consumer SET snapshot = txid_current_snapshot(); EXECUTE rotate (0); SELECT test.segments();
\echo a reader of an old segment holds it, too
UPDATE rebeco.consumer SET snapshot = txid_current_snapshot(); EXECUTE rotate (1000000); INSERT INTO t VALUES (10); EXECUTE rotate (0); UPDATE rebeco.consumer SET snapshot = txid_current_snapshot();
GRANT USAGE ON SCHEMA rebeco TO clerk; GRANT SELECT ON rebeco.log_1_0, rebeco.log_1_1 TO clerk;
SELECT dblink_exec('writer', 'BEGIN; DO $$ BEGIN PERFORM FROM rebeco.log_1_0; PERFORM FROM rebeco.log_1_1; END $$'); EXECUTE rotate (0); SELECT dblink_exec('writer', 'COMMIT'); EXECUTE rotate (0);
\echo a consumer that never confirmed; none at all
INSERT INTO rebeco.consumer VALUES ('c', 'sync c'); INSERT INTO rebeco.consumer_table VALUES ('c', 1);
INSERT INTO t VALUES (11); EXECUTE rotate (0); UPDATE rebeco.consumer SET snapshot = txid_current_snapshot() WHERE consumer <> 'c'; EXECUTE rotate (0);
DELETE FROM rebeco.consumer; EXECUTE rotate (1000000); SELECT test.segments();
\echo only under READ COMMITTED
INSERT INTO t VALUES (12); BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT rebeco.log_rotate(1, 0); ROLLBACK;
\echo another session is at it
SELECT dblink_disconnect('writer'); SELECT dblink_connect_u('writer', format('user=app host=127.0.0.1 port=%s dbname=%s', current_setting('port'), current_database()));
SELECT dblink_exec('writer', 'BEGIN; DO $$ BEGIN PERFORM rebeco.log_rotate(1, 0); END $$'); EXECUTE rotate (0); SELECT dblink_exec('writer', 'COMMIT');
\echo ranges of the index
INSERT INTO u SELECT generate_series(1, 100000);
\i sql/log_summarize.sql
;
\i sql/log_summarize.sql
;
INSERT INTO u SELECT generate_series(100001, 110000);
\i sql/log_summarize.sql
;
BEGIN; SET LOCAL enable_seqscan = off; EXPLAIN (COSTS off) SELECT k1 FROM rebeco.log_2_0 WHERE xid >= 1 OR xid = ANY ('{1,2}'::bigint[]); COMMIT;
