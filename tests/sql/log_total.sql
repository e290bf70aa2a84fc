-- The size of the logs is only asked for when somebody may have written since.
\i tests/sql/capture_helpers.psql
\i tests/sql/writer_helpers.psql
CREATE TABLE t (id int PRIMARY KEY); GRANT ALL ON t TO clerk;
SELECT test.capture('t');
SELECT dblink_connect_u('writer', format('user=clerk host=127.0.0.1 port=%s dbname=%s', current_setting('port'), current_database()));
\set log_total `cat sql/log_total.sql`
INSERT INTO test.statement VALUES ('log_total', :'log_total');
CREATE FUNCTION test.look(INOUT moment text, OUT said text) LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    EXECUTE (SELECT text FROM test.statement WHERE name = 'log_total') INTO r USING coalesce(moment, '');
    moment := r.moment;
    said := CASE WHEN r.bytes > 0 THEN 'some' WHEN r.bytes = 0 THEN 'none' ELSE 'as it was' END;
END $$;
-- Others may be at work on this server: it takes a moment at which they are not.
CREATE PROCEDURE test.look_until_quiet(INOUT said text) LANGUAGE plpgsql AS $$
DECLARE r record; last text;
BEGIN
    FOR i IN 1 .. 500 LOOP
        SELECT * INTO r FROM test.look(last);
        last := r.moment; said := r.said;
        EXIT WHEN said = 'as it was';
        COMMIT; PERFORM pg_sleep(0.02);
    END LOOP;
END $$;
\echo the first look
SELECT said FROM test.look(NULL);
\echo nobody writes
CALL test.look_until_quiet(NULL);
\echo somebody writes, and has not committed: no snapshot shows that, and sizes are asked for as long as it goes on
SELECT dblink_exec('writer', 'BEGIN; INSERT INTO t VALUES (1)');
SELECT moment FROM test.look(NULL) \gset
SELECT said FROM test.look(:'moment');
SELECT dblink_exec('writer', 'COMMIT');
\echo it has
SELECT said FROM test.look(:'moment');
\echo and is quiet
CALL test.look_until_quiet(NULL);
