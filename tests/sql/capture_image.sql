-- Captures of tables without a key: images of their rows, or that there was a change.
\i tests/sql/capture_helpers.psql

CREATE FUNCTION test.image(relation regclass, form text, records text DEFAULT 'image') RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    n int := rebeco.capture_install(relation, 0, form, records);
BEGIN
    RETURN (SELECT format('%s: %s, %s', relation, c.form, array_to_string(c.key_columns, ' ')) FROM rebeco.capture c WHERE c.id = n);
END $$;
-- What is in the log, in the order in which it was written. Empties it.
CREATE FUNCTION test.images(relation regclass) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    n int := (SELECT id FROM rebeco.capture WHERE relid = relation);
    said text;
BEGIN
    EXECUTE format($f$SELECT string_agg(concat(l.op, (SELECT string_agg(coalesce(v.value, 'NULL'), ',' ORDER BY v.key)
                                                   FROM json_each_text(to_json(l)) v WHERE v.key LIKE 'k%%' AND l.op IN ('+', '-'))), ' '
                          ORDER BY l.ord) FROM rebeco.log_%s l$f$, n) INTO said;
    EXECUTE format('TRUNCATE rebeco.log_%s_0, rebeco.log_%1$s_1', n);
    RETURN format('%s logged: %s', relation, coalesce(said, 'nothing'));
END $$;

\echo both forms
CREATE TABLE r (a int, "b%s" json, g int GENERATED ALWAYS AS (a + 1) STORED, x xml);
CREATE TABLE s (LIKE r INCLUDING ALL);
SELECT test.image('r', 'row'), test.image('s', 'auto');
INSERT INTO r (a, "b%s") VALUES (1, '{}'), (1, '{}'); UPDATE r SET a = 2 WHERE ctid = '(0,1)'; DELETE FROM r; UPDATE r SET a = 3;
INSERT INTO s (a, "b%s") VALUES (1, '{}'), (1, '{}'); UPDATE s SET a = 2 WHERE ctid = '(0,1)'; DELETE FROM s; UPDATE s SET a = 3;
SELECT test.images('r'); SELECT test.images('s');
BEGIN; INSERT INTO r (a) VALUES (1); TRUNCATE r; INSERT INTO r (a) VALUES (2); COMMIT;
SELECT test.images('r');

\echo partitions
CREATE TABLE p (a int) PARTITION BY RANGE (a);
CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (10) TO (20);
SELECT test.image('p', 'auto');
INSERT INTO p VALUES (1), (1), (11); UPDATE p SET a = a + 10 WHERE a = 1; TRUNCATE p_0;
SELECT test.images('p');
INSERT INTO p VALUES (1), (1); TRUNCATE p_0;
SELECT test.images('p');
BEGIN; TRUNCATE p; INSERT INTO p VALUES (5), (15); TRUNCATE p_0; TRUNCATE p_1; COMMIT;
SELECT test.images('p');
BEGIN; SAVEPOINT s; TRUNCATE p; ROLLBACK TO s; INSERT INTO p VALUES (5); TRUNCATE p_0; COMMIT;
SELECT test.images('p');
BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM p; TRUNCATE p_0; COMMIT;
SELECT test.images('p');

\echo a partition made as one, one made before, one that leaves
CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (20) TO (30);
INSERT INTO p VALUES (21);
SELECT test.state('p'), test.repair('p'); SELECT test.images('p');
BEGIN; CREATE TABLE p_3 (a int); INSERT INTO p_3 VALUES (31); ALTER TABLE p ATTACH PARTITION p_3 FOR VALUES FROM (30) TO (40); COMMIT;
SELECT test.state('p'), test.repair('p'); SELECT test.images('p');
ALTER TABLE p DETACH PARTITION p_2;
SELECT test.state('p'), test.repair('p'); SELECT test.images('p');

\echo altered: nothing fails
ALTER TABLE s ADD c int; INSERT INTO s (a, c) VALUES (1, 1); SELECT test.state('s');
ALTER TABLE s DROP c, ALTER "b%s" TYPE jsonb; INSERT INTO s (a) VALUES (1); SELECT test.state('s');
ALTER TABLE r RENAME a TO aa; INSERT INTO r (aa) VALUES (1); SELECT test.state('r');
SELECT test.images('r'); SELECT test.images('s');

\echo no more than that there was a change
CREATE TABLE w (a int);
CREATE TABLE wp (a int) PARTITION BY RANGE (a); CREATE TABLE wp_0 PARTITION OF wp DEFAULT;
SELECT test.image('w', 'auto', 'nothing'), test.image('wp', 'auto', 'nothing');
INSERT INTO w SELECT 1 FROM generate_series(1, 3); BEGIN; INSERT INTO w VALUES (2); UPDATE w SET a = 3; DELETE FROM w; COMMIT; DELETE FROM w; TRUNCATE w;
BEGIN; SAVEPOINT s; INSERT INTO w VALUES (1); ROLLBACK TO s; INSERT INTO w VALUES (1); COMMIT;
INSERT INTO wp VALUES (1), (2); ALTER TABLE w RENAME a TO b; UPDATE w SET b = 5;
SELECT test.log('w'); SELECT test.log('wp'); SELECT test.state('w');
