-- Both directions: who wins, what is found to be changed at both ends, and what is not captured.
SET timezone = 'UTC';
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT i, 'old' FROM generate_series(1, 6) i;
SELECT rebeco.capture_install('t'::regclass, 't_pkey'::regclass, 'auto', two_way => true) AS id \gset
SELECT txid_current_snapshot() AS since \gset

\echo -- who wins
SELECT p, rebeco.conflict_winner(p, s::timestamptz, t::timestamptz)
  FROM unnest('{source,target,skip,abort,latest}'::text[]) p,
       (VALUES ('2026-01-01 12:00', '2026-01-01 12:00')) v (s, t) ORDER BY 1;
SELECT 'earlier at the target', rebeco.conflict_winner('latest', '2026-01-01 12:00:00.000001', '2026-01-01 12:00');
SELECT 'later at the target', rebeco.conflict_winner('latest', '2026-01-01 12:00', '2026-01-01 12:00:00.000001');

\echo -- what it is called at the end that has the first row
SELECT rebeco.conflict_kind('{}', '{}', true), rebeco.conflict_kind('{}', '{}', false),
       rebeco.conflict_kind(NULL, '{}', false), rebeco.conflict_kind('{}', NULL, false);

\echo -- what we apply is not captured
BEGIN; SET LOCAL rebeco.applying = 'on'; SET LOCAL rebeco.applying_depth = '0'; UPDATE t SET v = 'applied' WHERE id = 6; COMMIT;
SELECT count(*) FROM rebeco.log_1;
UPDATE t SET v = 'here' WHERE id = 1;
DELETE FROM t WHERE id = 2;
INSERT INTO t VALUES (7, 'here');
SELECT txid_current_snapshot() AS until \gset
UPDATE t SET v = 'late' WHERE id = 3;

\echo -- the keys of a round: all, some, and all the given after a truncation
SELECT rebeco.two_way_keys(:id, :'since', :'until', NULL, true, false)::jsonb;
SELECT rebeco.two_way_keys(:id, :'since', :'until', '[["1"], ["3"], ["7"], ["9"]]', false, false)::jsonb;
SELECT rebeco.two_way_keys(:id, :'since', :'until', '[["9"]]', false, true)::jsonb;
SELECT rebeco.two_way_late(ARRAY[:id], :'until');

\echo -- rows that are changed without a pause: those in the round that are not left out; they may wait where nothing ties them but the key
CREATE FUNCTION pg_temp.waits(id int, hot json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s', e -> 'k', e -> 'ties'), ', ') FROM json_array_elements(rebeco.two_way_may_wait(id, hot)) e $$;
CREATE FUNCTION pg_temp.both(id int, since txid_snapshot, until txid_snapshot) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.waits(id, rebeco.two_way_hot(id, since, until, '[["1"], ["2"], ["3"]]', '[]')) $$;
SELECT rebeco.two_way_hot(:id, :'since', :'until', '[["1"], ["3"], ["7"]]', '[["7"]]')::jsonb #- '{0,at}';
SELECT rebeco.two_way_hot(:id, :'since', :'until', '[["3"], ["7"]]', '[["7"]]');
SELECT rebeco.two_way_without(:id, '[["1"], ["02"], ["3"]]', '[["2"], ["03"]]');
SELECT pg_temp.both(:id, :'since', :'until');
\echo -- or where the row is at the other end, with what ties it
BEGIN; CREATE TABLE child (t int REFERENCES t); SELECT pg_temp.both(:id, :'since', :'until'); ROLLBACK;
BEGIN; CREATE UNIQUE INDEX ON t (v, id); SELECT rebeco.two_way_ties(:id), pg_temp.both(:id, :'since', :'until');
SELECT pg_temp.waits(:id, '[{"k": ["1"], "ties": {"id": 1, "v": "other"}}, {"k": ["1"], "ties": {"v": "here"}}, {"k": ["9"], "ties": null}]'); ROLLBACK;
BEGIN; CREATE UNIQUE INDEX ON t ((id + 1)) WHERE v > ''; SELECT rebeco.two_way_ties(:id); ROLLBACK;

\echo -- what is known of them
SELECT d -> 'i' AS i, d -> 'k' AS k, d -> 'at' IS NOT NULL AS has_time, d -> 'new' AS new, d -> 'row' AS row
  FROM json_array_elements(rebeco.two_way_details(:id, :'since', :'until', '[["1"], ["2"], ["3"], ["7"]]')) d ORDER BY 1::text;

\echo -- decisions, the other end being a list
\set there '[{"k": ["1"], "at": "2000-01-01", "new": null, "md5": "of there", "row": {"id": 1, "v": "there"}}, {"k": ["2"], "at": "2099-01-01", "new": null, "md5": "of there", "row": {"id": 2, "v": "there"}}, {"k": ["7"], "at": "2099-01-01", "new": true, "md5": "of there", "row": {"id": 7, "v": "here", "more": 1}}, {"k": ["3"], "at": "2099-01-01", "new": null, "row": null}]'
SELECT p, x ->> 'read' AS read, x ->> 'back_read' AS back_read, json_array_length(x -> 'records') AS records, x ->> 'abort' AS abort
  FROM unnest('{latest,source,target,skip,abort}'::text[]) p, rebeco.two_way_decide(:id, :'since', :'until', :'there', p, '0 s') x;
CREATE FUNCTION mine(t text, k json, s json, t_ json, s_at timestamptz, t_at timestamptz) RETURNS text LANGUAGE sql
    AS $$ SELECT CASE WHEN t_ IS NULL THEN 'target' ELSE 'skip' END $$;
SELECT x ->> 'read' AS read, x ->> 'back_read' AS back_read FROM rebeco.two_way_decide(:id, :'since', :'until', :'there', 'public.mine', '0 s') x;
SELECT rebeco.conflicts_add('s', 'target', 'public', 't', 'latest', 'b', x -> 'records', '1 d'), rebeco.conflicts_add('s', 'target', 'public', 't', 'latest', 'b', x -> 'records', '1 d')
  FROM rebeco.two_way_decide(:id, :'since', :'until', :'there', 'latest', '0 s') x;
SELECT key, kind, source_row, target_row, decision FROM rebeco.conflict ORDER BY key::text;

\echo -- the other way round, by a person; and what is old goes
SELECT rebeco.conflict_replay(id) FROM rebeco.conflict WHERE key ->> 0 = '2';
BEGIN; SET LOCAL rebeco.applying = 'on'; SET LOCAL rebeco.applying_depth = '0'; INSERT INTO t VALUES (2, 'there'); COMMIT;
SELECT (rebeco.conflict_look(id, false)).state, key FROM rebeco.conflict ORDER BY key::text;
SELECT rebeco.conflict_replay(id), key FROM rebeco.conflict ORDER BY key::text;
SELECT replayed, replayed_by FROM rebeco.conflict ORDER BY key::text;
SELECT * FROM t ORDER BY id;
UPDATE rebeco.conflict SET decided_at = '2020-01-01' WHERE key ->> 0 = '1';
SELECT rebeco.conflicts_add('s', 'target', 'public', 't', 'latest', 'b', '[]', '1 d'), count(*) FROM rebeco.conflict;
SELECT count(*) FROM rebeco.conflict;

\echo -- a truncation of the other end
SELECT string_agg(k ->> 0, ' ' ORDER BY k ->> 0) FROM json_array_elements(rebeco.two_way_survivors(:id)) k;
SELECT txid_current_snapshot() AS cut \gset
UPDATE t SET v = 'meanwhile' WHERE id = 5; INSERT INTO t VALUES (11, 'meanwhile');
SELECT rebeco.two_way_clear(:id, '[["1"], ["77"]]', '[["4"]]', :'cut');
SELECT * FROM t ORDER BY id;
BEGIN; CREATE UNIQUE INDEX ON t (v, id); SELECT rebeco.two_way_clear(:id, '[["1"], ["77"]]', '[["4"]]', :'cut'); SELECT * FROM t ORDER BY id; ROLLBACK;
SELECT rebeco.two_way_clear(:id, '[["1"], ["77"]]', '[["4"]]', NULL);
SELECT * FROM t ORDER BY id;

\echo -- sequences: odd and even
CREATE SEQUENCE up; CREATE SEQUENCE down INCREMENT -3 START -5 MAXVALUE -1 MINVALUE -1000; CREATE SEQUENCE round CYCLE MAXVALUE 9;
SELECT nextval('up'), nextval('up'), nextval('down');
SELECT a ->> 'seq_name' AS name, a -> 'steps' AS steps, a -> 'fresh' AS fresh, a ->> 'trouble' AS trouble
  FROM jsonb_array_elements(rebeco.sequences_apart('s', true, rebeco.sequence_read(ARRAY['t'::regclass::oid], true))) a ORDER BY 1;
SELECT nextval('up'), nextval('up'), nextval('down'), nextval('down');
SELECT rebeco.sequence_next_apart(n, true) AS source, rebeco.sequence_next_apart(n, false) AS target FROM generate_series(-1, 2) n;
SELECT a ->> 'seq_name' AS name, a -> 'steps' AS steps, a -> 'fresh' AS fresh
  FROM jsonb_array_elements(rebeco.sequences_apart('s', true, rebeco.sequence_read(ARRAY['t'::regclass::oid], true))) a ORDER BY 1;
\echo -- set by somebody to a value of the other end, and to one of nobody
SELECT setval('up', 6), setval('down', -7);
SELECT a ->> 'seq_name' AS name, a -> 'steps' AS steps, a -> 'fresh' AS fresh
  FROM jsonb_array_elements(rebeco.sequences_apart('s', true, rebeco.sequence_read(ARRAY['t'::regclass::oid], true))) a ORDER BY 1;
SELECT nextval('up'), nextval('down');
\echo -- at a target where they start elsewhere, or go in other steps; and what was in the way is forgotten
INSERT INTO rebeco.sync (name, consumer) VALUES ('s', 'x');
CREATE SEQUENCE other START 100; CREATE SEQUENCE tens INCREMENT 10;
\set there '[{"seq_schema": "public", "seq_name": "other", "start": 1, "step": 1, "steps": 10}, {"seq_schema": "public", "seq_name": "tens", "start": 1, "step": 1, "steps": 10}]'
SELECT a ->> 'seq_name' AS name, a -> 'steps' AS steps, a -> 'fresh' AS fresh, a ->> 'trouble' AS trouble FROM jsonb_array_elements(rebeco.sequences_apart('s', false, :'there')) a;
SELECT nextval('other'), nextval('other');
SELECT object, message FROM rebeco.problem;
ALTER SEQUENCE tens INCREMENT 1;
SELECT a ->> 'seq_name' AS name, a -> 'fresh' AS fresh, (SELECT count(*) FROM rebeco.problem) FROM jsonb_array_elements(rebeco.sequences_apart('s', false, :'there')) a;
SELECT count(*) FROM rebeco.sequences_apart('s', false, :'there'); SELECT count(*) FROM rebeco.problem;
ALTER SEQUENCE tens INCREMENT 3;
SELECT a ->> 'trouble' AS trouble FROM jsonb_array_elements(rebeco.sequences_apart('s', false, :'there')) a;
\set statement `cat sql/uninstall_sequences.sql`
PREPARE together (text[]) AS SELECT statement FROM (:statement) s;
EXECUTE together('{s}') \gexec
EXECUTE together(NULL) \gexec
SELECT nextval('up'), nextval('up'), nextval('down');

\echo -- and together again: beyond the values of a column that draws from it, but for those that the sequence cannot reach, and beyond what the other end had
CREATE SEQUENCE "the ""named"" one" AS int; CREATE TABLE named (n bigint DEFAULT nextval('"the ""named"" one"'), v text DEFAULT nextval('up'));
INSERT INTO named VALUES (41, 'x'), (5000000000, 'y'), (2147483647, 'z');
SELECT count(rebeco.sequences_apart('s', true, rebeco.sequence_read(ARRAY['t'::regclass::oid], true)));
SELECT rebeco.sequences_seen(true, jsonb_build_array(jsonb_build_object('seq', 'up'::regclass::oid, 'steps', 70), jsonb_build_object('seq', 'down'::regclass::oid, 'steps', 320)));
EXECUTE together(NULL) \gexec
SELECT nextval('"the ""named"" one"'), nextval('up'), nextval('down');
SELECT count(*) FROM rebeco.two_way_sequence;

\echo -- what we apply, what triggers do at it, and what foreign keys do: by the function, until one comes that acts on the table
CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2), (3);
CREATE TABLE child (id int PRIMARY KEY, parent int, v text); INSERT INTO child VALUES (1, 1), (2, 2), (3, 3);
SELECT rebeco.capture_install('parent'::regclass, 'parent_pkey'::regclass, 'auto', two_way => true) AS parent,
       rebeco.capture_install('child'::regclass, 'child_pkey'::regclass, 'auto', two_way => true) AS child \gset
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE child SET v = 'touched' WHERE parent = OLD.id; RETURN NULL; END $$;
CREATE TRIGGER touch AFTER DELETE ON parent FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION pg_temp.logged() RETURNS text LANGUAGE plpgsql AS $$
DECLARE n text; BEGIN EXECUTE format('SELECT concat((SELECT string_agg(k1::text, '' '' ORDER BY k1) FROM rebeco.log_%s), '' of parent, '', (SELECT string_agg(k1::text, '' '' ORDER BY k1) FROM rebeco.log_%s), '' of child'')',
    (SELECT id FROM rebeco.capture WHERE relid = 'parent'::regclass), (SELECT id FROM rebeco.capture WHERE relid = 'child'::regclass)) INTO n; RETURN n; END $$;
BEGIN; SET LOCAL rebeco.applying_depth = '0'; DELETE FROM parent WHERE id = 1; UPDATE child SET v = 'ours' WHERE id = 3; SELECT pg_temp.logged(); ROLLBACK;
DROP TRIGGER touch ON parent;
ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES parent ON DELETE CASCADE;
BEGIN; SET LOCAL rebeco.applying_depth = '0'; DELETE FROM parent WHERE id = 1; SELECT pg_temp.logged(); SELECT rebeco.two_way_check_actions(ARRAY['parent'::regclass]); ROLLBACK;
SELECT rebeco.two_way_check_actions(ARRAY['t'::regclass]);
SELECT c.table_name, s.problem, s.is_lossy FROM rebeco.capture c, rebeco.capture_state(c.id) s WHERE c.id IN (:parent, :child) ORDER BY 1;
SELECT rebeco.capture_repair(:child), rebeco.capture_repair(:parent);
SELECT rebeco.capture_is_intact(:child), rebeco.capture_is_intact(:parent);
BEGIN; SET LOCAL rebeco.applying_depth = '0'; DELETE FROM parent WHERE id = 1; UPDATE child SET v = 'ours' WHERE id = 3; SELECT pg_temp.logged(); SELECT rebeco.two_way_check_actions(ARRAY['parent'::regclass]); ROLLBACK;
DELETE FROM parent WHERE id = 2; SELECT pg_temp.logged();

\echo -- a trigger that has come meanwhile, and one that stays out of it; a table that was dropped
CREATE TRIGGER touch AFTER DELETE ON parent FOR EACH ROW EXECUTE FUNCTION touch();
SELECT rebeco.acts_on_arrivals('parent'::regclass), rebeco.two_way_check_actions(ARRAY['t'::regclass]);
SELECT rebeco.two_way_check_actions(ARRAY['t'::regclass, 'parent'::regclass]);
DROP TRIGGER touch ON parent;
CREATE TRIGGER touch AFTER DELETE ON parent FOR EACH ROW WHEN (current_setting('rebeco.applying', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION touch();
SELECT rebeco.acts_on_arrivals('parent'::regclass), rebeco.two_way_check_actions(ARRAY['parent'::regclass]);
SELECT txid_current_snapshot() AS since \gset
UPDATE child SET v = 'last' WHERE id = 3;
DROP TABLE child;
SELECT rebeco.two_way_late(ARRAY[:child], :'since');
