-- Materialized views: their order, what touches them, how they are refreshed, and what is kept.
INSERT INTO rebeco.sync (name, consumer) VALUES ('one', 'x'), ('two', 'y');
CREATE TABLE t1 (id int PRIMARY KEY, v int);
CREATE TABLE t2 (id int PRIMARY KEY);
CREATE TABLE t3 (id int PRIMARY KEY);
CREATE TABLE p (id int, d int) PARTITION BY LIST (d);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
INSERT INTO rebeco.sync_table (sync, id, source_schema, source_name, source_oid, target_schema, target_name)
VALUES ('one', 1, 'public', 't1', 1, 'public', 't1'), ('one', 2, 'public', 't2', 2, 'public', 't2'),
       ('one', 3, 'public', 'p', 3, 'public', 'p'), ('two', 7, 'public', 't3', 4, 'public', 't3');
CREATE MATERIALIZED VIEW z AS SELECT * FROM t1 WITH NO DATA;
CREATE VIEW y AS SELECT count(*) AS n FROM z;
CREATE MATERIALIZED VIEW x AS SELECT * FROM y WITH NO DATA;
CREATE MATERIALIZED VIEW a AS SELECT x.n, y.n AS m FROM x, y WITH NO DATA;
CREATE MATERIALIZED VIEW leaf AS SELECT * FROM p1 WITH NO DATA;
CREATE MATERIALIZED VIEW "q""u.o t'e; --" AS SELECT * FROM t2 WITH NO DATA;
CREATE FUNCTION opaque() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM public.t2); END';
CREATE FUNCTION pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE MATERIALIZED VIEW m_opaque AS SELECT opaque() WITH NO DATA;
CREATE MATERIALIZED VIEW m_pure AS SELECT pure(1) WITH NO DATA;
CREATE MATERIALIZED VIEW m_theirs AS SELECT * FROM t3 WITH NO DATA;
CREATE MATERIALIZED VIEW m_both AS SELECT t3.id FROM t1, t3 WITH NO DATA;
\set q `cat sql/matview_list.sql`
PREPARE list AS :q;
\set q `cat sql/matview_record.sql`
PREPARE record AS :q;
\set q `cat sql/matview_forget.sql`
PREPARE forget AS :q;
\echo -- the order
CREATE TEMP TABLE l AS EXECUTE list('one', '{}');
SELECT label, refreshed_s, changed, stale FROM l;
SELECT refresh FROM l WHERE label LIKE '%q%' OR label = 'public.z';
\echo -- what touches which
DROP TABLE l; CREATE TEMP TABLE l AS EXECUTE list('one', '{1}'); SELECT label FROM l WHERE changed;
DROP TABLE l; CREATE TEMP TABLE l AS EXECUTE list('one', '{2}'); SELECT label FROM l WHERE changed;
DROP TABLE l; CREATE TEMP TABLE l AS EXECUTE list('one', '{3}'); SELECT label FROM l WHERE changed;
DROP TABLE l; CREATE TEMP TABLE l AS EXECUTE list('two', '{7}'); SELECT label, changed FROM l;
\echo -- they can be refreshed in that order, as they stand
DROP TABLE l; CREATE TEMP TABLE l AS EXECUTE list('one', '{}');
SELECT refresh FROM l \gexec
SELECT count(*) FROM pg_matviews WHERE ispopulated;
\echo -- CONCURRENTLY or not
CREATE UNIQUE INDEX one ON z (id) WHERE v > 0;
CREATE UNIQUE INDEX two ON z ((id + 1));
CREATE INDEX three ON z (id);
DROP TABLE l; CREATE TEMP TABLE l AS EXECUTE list('one', '{}'); SELECT refresh FROM l WHERE label = 'public.z';
CREATE UNIQUE INDEX four ON z (id, v);
DROP TABLE l; CREATE TEMP TABLE l AS EXECUTE list('one', '{}'); SELECT refresh FROM l WHERE label = 'public.z';
REFRESH MATERIALIZED VIEW z WITH NO DATA;
DROP TABLE l; CREATE TEMP TABLE l AS EXECUTE list('one', '{}'); SELECT refresh FROM l WHERE label = 'public.z';
\echo -- what is kept
SELECT 'z'::regclass::oid AS z, 'x'::regclass::oid AS x \gset
EXECUTE record('one', :z, 'public.z', 5, NULL, NULL);
EXECUTE record('one', :x, 'public.x', 1, 'it is broken', 'mend it');
DROP TABLE l; CREATE TEMP TABLE l AS EXECUTE list('one', '{}');
SELECT label, refreshed_s BETWEEN 5 AND 60, stale FROM l WHERE relid IN (:z, :x);
UPDATE rebeco.sync SET applied_at = now() - interval '1 hour';
DROP TABLE l; CREATE TEMP TABLE l AS EXECUTE list('one', '{}'); SELECT label, stale FROM l WHERE relid = :z;
UPDATE rebeco.sync SET applied_at = clock_timestamp();
DROP TABLE l; CREATE TEMP TABLE l AS EXECUTE list('one', '{}'); SELECT label, stale FROM l WHERE relid = :z;
SELECT object, message, hint FROM rebeco.problem;
EXECUTE record('one', :x, 'public.x', 1, 'broken otherwise', NULL);
SELECT object, message, hint FROM rebeco.problem;
EXECUTE forget('one');
SELECT count(*) FROM rebeco.matview;
SELECT count(*) FROM rebeco.problem;
EXECUTE record('one', :x, 'public.x', 1, NULL, NULL);
SELECT count(*) FROM rebeco.problem;
EXECUTE record('one', :x, 'public.x', 1, 'again', NULL);
DROP MATERIALIZED VIEW a, x;
EXECUTE forget('one');
SELECT count(*) FROM rebeco.matview;
SELECT count(*) FROM rebeco.problem;
