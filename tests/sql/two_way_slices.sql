-- Many keys, asked about in slices: every key in one of them, found at the other end however it is written there, and
-- the log read once.
SET timezone = 'UTC';
SET enable_seqscan = off;
SET enable_mergejoin = off;
CREATE TABLE t (a numeric, b text, v text, PRIMARY KEY (b, a));
INSERT INTO t SELECT i, 'b' || i % 3, 'old' FROM generate_series(1, 200) i;
SELECT rebeco.capture_install('t'::regclass, 't_pkey'::regclass, 'auto', two_way => true) AS id \gset
SELECT txid_current_snapshot() AS since \gset
UPDATE t SET v = 'here' WHERE a <= 100;
UPDATE t SET v = 'twice' WHERE a <= 50;
DELETE FROM t WHERE a > 95 AND a <= 100;
INSERT INTO t VALUES (201.00, 'new', 'here');
SELECT txid_current_snapshot() AS until \gset
UPDATE t SET v = 'late' WHERE a > 150;

CREATE FUNCTION slices(id int, since txid_snapshot, until txid_snapshot, n int) RETURNS TABLE (slice int, k text) LANGUAGE sql AS $$
    SELECT s, v::text FROM generate_series(0, n - 1) s, json_array_elements(rebeco.two_way_keys(id, since, until, NULL, true, false, s, n)) v $$;
CREATE TABLE plain AS SELECT v::text AS k FROM json_array_elements(rebeco.two_way_keys(:id, :'since', :'until', NULL, true, false)) v;
\set given '[["b1", "1.000"], ["b1", "1"], ["b2", "200"], ["b0", "96"], ["b1", "97.0"], ["new", "201"], ["none", "1"]]'
CREATE TABLE about AS SELECT v::text AS d FROM json_array_elements(rebeco.two_way_details(:id, :'since', :'until', :'given')) v;
SELECT k FROM json_array_elements(rebeco.two_way_keys(:id, :'since', :'until', :'given', false, false)) k ORDER BY k::text;
SELECT (d::json) ->> 'i', (d::json) ->> 'new', (d::json) -> 'row' ->> 'v' FROM about ORDER BY 1;

\echo -- once each, all of them, in slices of about the same size
BEGIN;
SELECT slice, count(*) FROM slices(:id, :'since', :'until', 4) GROUP BY slice ORDER BY slice;
SELECT count(*), count(DISTINCT k) FROM (SELECT k FROM slices(:id, :'since', :'until', 4)) s;
SELECT count(*) FROM (SELECT k FROM slices(:id, :'since', :'until', 4) EXCEPT SELECT k FROM plain) x;
SELECT count(*) FROM (SELECT k FROM plain EXCEPT SELECT k FROM slices(:id, :'since', :'until', 4)) x;

\echo -- the same without the log: it is not read again but for what came later
TRUNCATE rebeco.log_1_0, rebeco.log_1_1;
SELECT count(DISTINCT k) FROM slices(:id, :'since', :'until', 5);
SELECT k FROM json_array_elements(rebeco.two_way_keys(:id, :'since', :'until', :'given', false, false, 3, 4)) k ORDER BY k::text;
SELECT count(*) FROM (SELECT v::jsonb - 'later' FROM json_array_elements(rebeco.two_way_details(:id, :'since', :'until', :'given', 4)) v INTERSECT SELECT d::jsonb - 'later' FROM about) x;
SELECT d -> 'i' FROM json_array_elements(rebeco.two_way_details(:id, :'since', :'until', :'given', 4)) d ORDER BY 1::text;
\echo -- a key is searched for in an index
EXPLAIN (COSTS OFF) SELECT l.* FROM (VALUES (1::numeric, 'b1')) f (f2, f1) CROSS JOIN LATERAL (SELECT * FROM pg_temp.rebeco_round_1 l WHERE l.k1 = f.f1 AND l.k2 = f.f2 OFFSET 0) l;
ROLLBACK;
SELECT to_regclass('pg_temp.rebeco_round_1');

\echo -- a role that may make no temporary tables
SELECT current_database() AS db \gset
REVOKE TEMPORARY ON DATABASE :"db" FROM public, app;
SELECT rebeco.two_way_gather(:id, :'since', :'until');
SELECT count(*), count(DISTINCT k) FROM slices(:id, :'since', :'until', 4);
SELECT k FROM json_array_elements(rebeco.two_way_keys(:id, :'since', :'until', :'given', false, false, 3, 4)) k ORDER BY k::text;
SELECT count(*) FROM (SELECT v::jsonb - 'later' FROM json_array_elements(rebeco.two_way_details(:id, :'since', :'until', :'given', 4)) v INTERSECT SELECT d::jsonb - 'later' FROM about) x;
