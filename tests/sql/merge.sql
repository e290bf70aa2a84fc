-- Merging: what the trigger logs, what is known of a row that both ends have updated, and what becomes of it.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
CREATE TABLE t (id int PRIMARY KEY, a text, b text, n int, m numeric(9, 2), g int GENERATED ALWAYS AS (id * 2) STORED, j json);
INSERT INTO t (id, a, b, n, m, j) SELECT i, 'a', 'b', 10, 1.5, '{}' FROM generate_series(1, 9) i;
SELECT rebeco.capture_install('t'::regclass, 't_pkey'::regclass, 'statement', two_way => true) AS id \gset
SELECT form, (SELECT count(*) FROM rebeco.merge) FROM rebeco.capture;

\echo -- what cannot count
SELECT rebeco.merge_set(:id, true, '{id,a,g,nothing}');
SELECT rebeco.merge_differs('[{"id": 1, "columns": true, "counters": ["m", "n"]}]');
CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t); SELECT rebeco.merge_trouble('child'::regclass, '{id}', '{t}');
UPDATE t SET a = 'before' WHERE id = 1;
SELECT rebeco.merge_set(:id, true, '{n,m}');
SELECT rebeco.merge_differs('[{"id": 1, "columns": true, "counters": ["m", "n"]}]');
SELECT rebeco.merge_differs('[{"id": 1, "columns": false, "counters": ["m", "n"]}]'), rebeco.merge_differs('[{"id": 1, "columns": true, "counters": ["n"]}]');
SELECT form, rebeco.capture_is_intact(id) FROM rebeco.capture;
SELECT k1, cols, added, adds FROM rebeco.log_1;

\echo -- what is logged of an update
SELECT txid_current_snapshot() AS since \gset
UPDATE t SET a = 'x' WHERE id = 1;
UPDATE t SET a = a, b = 'b', j = '{}' WHERE id = 1;
UPDATE t SET j = '{ }', n = n + 5 WHERE id = 2;
UPDATE t SET n = NULL, m = m - 1 WHERE id = 2;
UPDATE t SET n = 7 WHERE id = 2;
UPDATE t SET id = 100, a = 'y' WHERE id = 3;
INSERT INTO t (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = t.n + 1000000000;
DELETE FROM t WHERE id = 4;
BEGIN; SET LOCAL rebeco.applying = 'on'; SET LOCAL rebeco.applying_depth = '0'; UPDATE t SET n = n + 1 WHERE id = 1; COMMIT;
SELECT k1, is_new, cols, adds FROM rebeco.log_1 WHERE txid_visible_in_snapshot(xid, :'since') IS FALSE;

\echo -- NaN has no difference, and an identity column that was set anew goes with its row
CREATE TABLE n (id int PRIMARY KEY, n numeric, i int GENERATED ALWAYS AS IDENTITY); INSERT INTO n VALUES (1, 'NaN'), (2, 5);
SELECT rebeco.capture_install('n'::regclass, 'n_pkey'::regclass, 'auto', two_way => true) AS n \gset
SELECT rebeco.merge_set(:n, true, '{n}');
UPDATE n SET n = n + 1; UPDATE n SET n = 'NaN' WHERE id = 2; UPDATE n SET n = 7 WHERE id = 2; UPDATE n SET n = 8, i = DEFAULT WHERE id = 2;
SELECT k1, cols, adds FROM rebeco.log_2;

\echo -- an altered table is about whole rows until its capture is mended
ALTER TABLE t ADD z text;
UPDATE t SET a = 'z', n = n + 1 WHERE id = 5;
SELECT problem, is_lossy FROM rebeco.capture_state(:id);
SELECT rebeco.capture_repair(:id);
UPDATE t SET z = 'z', n = n + 1 WHERE id = 6;
ALTER TABLE t RENAME b TO bb;
UPDATE t SET bb = 'z' WHERE id = 6;
SELECT rebeco.capture_repair(:id), rebeco.capture_repair(:id);
UPDATE t SET bb = 'zz', n = n - 4 WHERE id = 6;
SELECT k1, cols, adds FROM rebeco.log_1 WHERE k1 IN (5, 6);
ALTER TABLE t DROP j, DROP z, ALTER m TYPE text;
UPDATE t SET bb = 'dropped', n = n + 1 WHERE id = 9;
SELECT rebeco.capture_repair(:id);
UPDATE t SET bb = 'again', n = n + 1, m = 'm' WHERE id = 9;
SELECT k1, cols, added, adds FROM rebeco.log_1 WHERE k1 = 9;
SELECT rebeco.merge_differs('[{"id": 1, "columns": true, "counters": ["m", "n"]}]');
ALTER TABLE t ALTER m TYPE numeric(9, 2) USING CASE WHEN id = 9 THEN 0 ELSE m::numeric END;
SELECT rebeco.merge_set(:id, true, '{n,m}');

\echo -- what is known: 1 has counted, 2 went through NULL, 3 moved, 4 is gone, 5 and 6 are whole, 7 was not changed
SELECT txid_current_snapshot() AS until \gset
UPDATE t SET n = n + 3, a = 'late' WHERE id = 1;
UPDATE t SET n = NULL WHERE id = 2;
SELECT d -> 'i' AS i, d -> 'whole' AS whole, d -> 'unsure' AS unsure, (SELECT string_agg(k, ',') FROM json_object_keys(d -> 'cols') k) AS cols,
       (SELECT string_agg(concat(k.key, '=', k.value ->> 0, ' then ', k.value ->> 1), ', ' ORDER BY k.key) FROM json_each(d -> 'adds') k) AS adds, d -> 'texts' AS texts
  FROM json_array_elements(rebeco.merge_details(:id, :'since', :'until', '[["1"], ["2"], ["3"], ["4"], ["5"], ["6"], ["7"]]')) d;

\echo -- what becomes of a row: apart, in the same column, and counted at both ends, once from another value
\set one '{"cols": {"a": "2026-01-01"}, "adds": {"n": ["5", "0", "2026-01-02"]}, "texts": {"a": "s", "b": "b", "n": "15"}}'
\set two '{"cols": {"b": "2026-01-03"}, "adds": {"n": ["2", "1", "2026-01-03"]}, "texts": {"a": "a", "b": "t", "n": "13"}}'
\set three '{"cols": {"a": "2026-01-03", "b": "2026-01-04"}, "adds": {"n": ["2", "0", "2026-01-03"]}, "texts": {"a": "t", "b": "t", "n": "99"}}'
SELECT * FROM rebeco.merge_row('{}', :'one', :'two', NULL);
SELECT * FROM rebeco.merge_row(NULL, :'one', :'two', 'source');
SELECT w, r.* FROM unnest('{source,target,skip}'::text[]) w, rebeco.merge_row('{}', :'one', :'three', w) r;
SELECT * FROM rebeco.merge_versions('{}', :'one', :'three', '{"a": "s", "b": "b", "n": 15}', '{"a": "t", "b": "t", "n": 99}');

\echo -- what was added after the round is no matter of it
\set one '{"cols": {"n": "2026-01-01"}, "adds": {}, "texts": {"n": "5"}}'
SELECT w, r.* FROM unnest('{source,target}'::text[]) w, rebeco.merge_row('{}', :'one', '{"cols": {"n": "2026-01-02"}, "adds": {"n": ["0", "3", null]}, "texts": {"n": "11"}}', w) r;
SELECT * FROM rebeco.merge_row('{}', :'one', '{"cols": {"n": "2026-01-02"}, "adds": {"n": ["0", "3", null]}, "texts": {"n": "8"}}', NULL);

\echo -- columns of one constraint are one: a and b are, as n and m; o is alone, and the key does not count
CREATE TABLE k (id int PRIMARY KEY, a int, b int, n int, m int, o int, p text, q int, r text, CHECK (a < b), CHECK (b < a + 100), UNIQUE (n, m), CHECK (o < id), CHECK (id < n));
CREATE UNIQUE INDEX ON k (id, lower(p), r) WHERE q > 0; CREATE INDEX ON k (o, a);
SELECT rebeco.capture_install('k'::regclass, 'k_pkey'::regclass, 'auto', two_way => true) AS k \gset
SELECT rebeco.merge_set(:k, true, '{}');
SELECT rebeco.merge_blocks(:k);
\set one '{"cols": {"a": "2026-01-01"}, "adds": {"n": ["5", "0", "2026-01-02"]}, "texts": {"a": "s", "b": "b", "n": "15"}}'
SELECT w, r.* FROM unnest('{source,target}'::text[]) w, rebeco.merge_row('{"a": "1", "b": "1"}', :'one', :'two', w) r;

\echo -- written: what is set, and sums where the value is as known, or not
BEGIN; SET LOCAL rebeco.applying = 'on'; SET LOCAL rebeco.applying_depth = '0';
SELECT rebeco.merge_write(:id, '[["7", {"set": {"a": "it''s", "bb": null}, "add": {"m": ["1.50", "3.25", "1.75"]}}], ["8", {"set": {}, "add": {"n": ["9", "11", "2"]}}], ["77", {"set": {}, "add": {}}]]', false);
SELECT * FROM t WHERE id IN (7, 8) ORDER BY 1;
SELECT rebeco.merge_write(:id, '[["7", {"set": {"bb": "anew"}, "add": {}}], ["8", {"set": {}, "add": {"n": ["12", "10", "-2"]}}]]', true);
SELECT * FROM t WHERE id IN (7, 8) ORDER BY 1;
SELECT rebeco.merge_write(:id, '[["8", {"set": {"bb": "once more"}, "add": {"n": ["12", "10", "-2"]}}]]', false, true);
SELECT * FROM t WHERE id = 8;
SELECT rebeco.merge_write(:id, '[["8", {"set": {}, "add": {"n": ["10", "9999999999", "9999999989"]}}]]', false);
COMMIT;

\echo -- what came later and does no harm
SELECT rebeco.two_way_late(ARRAY[:id], :'until');
SELECT rebeco.two_way_late(ARRAY[:id], :'until', m)
  FROM unnest(ARRAY['{}', '{"1": [["1", {"set": {"b": "t"}, "add": {"n": ["1", "2", "1"]}}]]}', '{"1": [["1", {"set": {"a": "t"}, "add": {}}], ["2", {"set": {}, "add": {}}]]}',
                    '{"1": [["1", {"set": {"n": "4"}, "add": {}}], ["2", {"set": {}, "add": {"n": ["1", "2", "1"]}}]]}']::json[]) m;

\echo -- turned off
SELECT rebeco.merge_set(:id, false, '{}');
UPDATE t SET a = 'off' WHERE id = 9;
SELECT k1, cols, adds FROM rebeco.log_1 WHERE k1 = 9;
SELECT rebeco.merge_details(:id, :'since', :'until', '[["1"]]'), rebeco.capture_is_intact(:id);

\echo -- a log that is made anew has room for it, and one that serves both directions only later
ALTER TABLE n DISABLE TRIGGER ALL;
SELECT rebeco.capture_install('n'::regclass, 'n_pkey'::regclass, 'row', two_way => true) = :n;
UPDATE n SET n = n + 1 WHERE id = 2; SELECT k1, cols, adds FROM rebeco.log_2;
SELECT rebeco.capture_install('n'::regclass, 'n_pkey'::regclass, 'statement') = :n;
UPDATE n SET n = n + 1 WHERE id = 2; SELECT * FROM rebeco.log_2 \gdesc
SELECT rebeco.capture_install('n'::regclass, 'n_pkey'::regclass, 'row', two_way => true) = :n;
UPDATE n SET n = n + 1 WHERE id = 2; SELECT k1, cols, adds FROM rebeco.log_2;
