-- More than two nodes: what is logged for whom, with which time, and who wins a tie.
SET timezone = 'UTC';
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT i, 'old' FROM generate_series(1, 6) i;
INSERT INTO rebeco.consumer (consumer, sync) VALUES ('one', 'one back'), ('two', 'two'), ('way', 'way');

\echo -- the first reader, in one direction; a second one, in both: the log stays
SELECT rebeco.capture_install('t'::regclass, 't_pkey'::regclass, 'auto') AS id \gset
INSERT INTO rebeco.consumer_table (consumer, capture_id) VALUES ('way', :id);
UPDATE t SET v = 'before' WHERE id = 6;
SELECT rebeco.log_oid(:id) AS log \gset
SELECT rebeco.capture_install('t'::regclass, 't_pkey'::regclass, 'auto', two_way => true) = :id AS same;
SELECT is_two_way, passes_on, rebeco.log_oid(:id) = :log AS same_log, rebeco.capture_is_intact(id) FROM rebeco.capture;
SELECT rebeco.two_way_may_capture(:id, 'one', true);
INSERT INTO rebeco.consumer_table (consumer, capture_id, two_way) VALUES ('one', :id, true);
SELECT is_two_way, passes_on, rebeco.log_oid(:id) = :log AS same_log, rebeco.capture_is_intact(id) FROM rebeco.capture;
\echo -- and a third
SELECT rebeco.capture_install('t'::regclass, 't_pkey'::regclass, 'auto') = :id AS same, rebeco.two_way_may_capture(:id, 'two', false);
INSERT INTO rebeco.consumer_table (consumer, capture_id) VALUES ('two', :id);
SELECT passes_on, rebeco.log_oid(:id) = :log AS same_log, rebeco.capture_is_intact(id) FROM rebeco.capture;
SELECT k1, origin, is_new FROM rebeco.log_1;

\echo -- what is applied has its origin, and its reader does not see it
SELECT txid_current_snapshot() AS since \gset
SET rebeco.origin = 'pair';
BEGIN; SET LOCAL rebeco.applying = 'on'; SET LOCAL rebeco.applying_depth = '0'; UPDATE t SET v = 'applied' WHERE id IN (1, 2); DELETE FROM t WHERE id = 3;
SELECT rebeco.chain_stamp(:id, '{"cut": "2001-01-01"}');
SELECT rebeco.chain_stamp(:id, '{"keys": [["2002-01-01", "1"], ["2003-01-01", "4"]]}');
COMMIT;
RESET rebeco.origin;
BEGIN; SET LOCAL rebeco.applying = 'on'; SET LOCAL rebeco.applying_depth = '0'; SET LOCAL rebeco.origin = 'other'; UPDATE t SET v = 'applied' WHERE id = 5; COMMIT;
UPDATE t SET v = 'here' WHERE id = 6;
SELECT k1, op, origin, CASE WHEN at < '2010-01-01' THEN at END AS at FROM rebeco.log_1 WHERE at IS NOT NULL AND NOT txid_visible_in_snapshot(xid, :'since') ORDER BY k1;
SELECT txid_current_snapshot() AS until \gset
SET rebeco.origin = 'pair';
SELECT rebeco.two_way_keys(:id, :'since', :'until', NULL, true, false)::jsonb;
SELECT j - 'at' FROM rebeco.two_way_details(:id, :'since', :'until', '[["1"], ["6"]]') d, jsonb_array_elements(d::jsonb) j;
SET rebeco.origin = 'other';
SELECT rebeco.two_way_keys(:id, :'since', :'until', NULL, true, false)::jsonb;
SELECT x -> 'cut' AS cut, json_array_length(x -> 'keys') AS keys FROM rebeco.chain_times(:id, :'since', :'until') x;
SELECT e FROM rebeco.chain_times(:id, :'since', :'until') x, json_array_elements(x -> 'keys') e WHERE e ->> 1 < '4' ORDER BY e ->> 1;
SELECT rebeco.two_way_late(ARRAY[:id], :'until');
RESET rebeco.origin;
TRUNCATE t;
SELECT x ->> 'cut' IS NOT NULL AS cut, json_array_length(x -> 'keys') AS keys FROM rebeco.chain_times(:id, :'until', txid_current_snapshot()) x;

\echo -- a clock that is behind what has arrived
SELECT rebeco.chain_now() < clock_timestamp() + interval '1 s' AS it_is_now;
SELECT rebeco.chain_clock_set('2199-01-01 00:00:00'), rebeco.chain_clock_set('2198-01-01 00:00:00');
SELECT rebeco.chain_now();

\echo -- the same time: the same row everywhere, whichever end it is at
SELECT p, rebeco.chain_winner(p, '2026-01-01', '2026-01-01', '{"a": 1}', '{"a":2}'), rebeco.chain_winner(p, '2026-01-01', '2026-01-01', '{"a": 2}', '{"a":1}'),
       rebeco.chain_winner(p, '2026-01-01', '2026-01-01', NULL, '{"a":1}'), rebeco.chain_winner(p, '2026-01-02', '2026-01-01', NULL, '{"a":1}')
  FROM unnest('{latest,source,target}'::text[]) p;

\echo -- what a foreign key does after it is a change of this node
CREATE TABLE p (id int PRIMARY KEY);
INSERT INTO p VALUES (1), (2);
ALTER TABLE t ADD p int REFERENCES p ON DELETE CASCADE;
INSERT INTO t VALUES (20, 'old', NULL), (21, 'goes along', 1), (22, 'goes along here', 2), (23, 'old', NULL);
SELECT txid_current_snapshot() AS since \gset
BEGIN; SET LOCAL rebeco.applying = 'on'; SET LOCAL rebeco.applying_depth = '0'; SET LOCAL rebeco.origin = 'pair';
UPDATE t SET v = 'applied' WHERE id = 20; DELETE FROM p WHERE id = 1; DELETE FROM t WHERE id = 23; COMMIT;
DELETE FROM p WHERE id = 2;
SELECT k1, op, origin FROM rebeco.log_1 WHERE NOT txid_visible_in_snapshot(xid, :'since') ORDER BY k1;

\echo -- they leave
SELECT rebeco.consumer_leave('way', :id), passes_on FROM rebeco.capture;
SELECT rebeco.consumer_leave('two', :id);
SELECT passes_on, rebeco.capture_is_intact(id) FROM rebeco.capture;
BEGIN; SET LOCAL rebeco.applying = 'on'; SET LOCAL rebeco.applying_depth = '0'; INSERT INTO t VALUES (9, 'applied'); COMMIT;
SELECT count(*) FROM rebeco.log_1 WHERE k1 = 9;
INSERT INTO t VALUES (10, 'here');
SELECT origin, at < '2199-01-01' AS by_its_own_clock FROM rebeco.log_1 WHERE k1 = 10;
SELECT rebeco.consumer_leave('one', :id);
SELECT count(*) FROM rebeco.capture;
\echo who is in the midst of reading a log while it is made fit for both directions finds all of it
CREATE TABLE public.widened (id int PRIMARY KEY);
SELECT rebeco.capture_install('public.widened'::regclass, 'public.widened_pkey'::regclass, 'auto') AS widened \gset
INSERT INTO public.widened VALUES (1);
SELECT pg_relation_filenode('rebeco.log_' || :widened || '_0') AS file \gset
SELECT rebeco.chain_widen(:widened);
SELECT pg_relation_filenode('rebeco.log_' || :widened || '_0') = :file AS same_file;
INSERT INTO public.widened VALUES (2);
SELECT pg_sleep(0.001); INSERT INTO public.widened VALUES (3);
SELECT count(*), count(at), count(DISTINCT at) FROM rebeco.log_:widened;
