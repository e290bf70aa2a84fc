-- Sequences: where a target's should stand, which belong to a sync, reading them, and moving them.
-- Both ends are this database: what was read is changed a little and set here.

\echo -- the goal: source, target, increment, min, max, cycle, ahead, may go back, used up to
CREATE FUNCTION goal(numeric, numeric, numeric, numeric, numeric, boolean, numeric, boolean DEFAULT false,
                     numeric DEFAULT NULL) RETURNS text LANGUAGE sql AS
$$ SELECT COALESCE(rebeco.sequence_goal($1, $2, $3, $4, $5, $6, $7, $8, $9)::text, 'stays') $$;
SELECT 'behind', goal(50, 0, 1, 1, 1e9, false, 1000);
SELECT 'a little behind', goal(50, 1049, 1, 1, 1e9, false, 1000);
SELECT 'there', goal(50, 1050, 1, 1, 1e9, false, 1000);
SELECT 'beyond', goal(50, 5000, 1, 1, 1e9, false, 1000);
SELECT 'steps of 7', goal(507, 0, 7, 500, 1e9, false, 1000);
SELECT 'half of what is left', goal(32700, 0, 1, 1, 32767, false, 1000);
SELECT 'one is left', goal(32766, 0, 1, 1, 32767, false, 1000);
SELECT 'none is left', goal(32767, 0, 1, 1, 32767, false, 1000);
SELECT 'the last step is too long', goal(95, 0, 10, 1, 100, false, 1000);
SELECT 'bigint', goal(9223372036854775806, 0, 1, 1, 9223372036854775807, false, 1000000000000);
SELECT 'beyond its end at the target', goal(40000, 0, 1, 1, 32767, false, 1000);
SELECT 'exact', goal(50, 0, 1, 1, 1e9, false, 0);
SELECT 'exact, beyond', goal(50, 1050, 1, 1, 1e9, false, 0);
SELECT 'exact, back', goal(50, 1050, 1, 1, 1e9, false, 0, true);
SELECT 'exact, back to what was used', goal(50, 1050, 1, 1, 1e9, false, 0, true, 300);
SELECT 'exact, used less', goal(50, 1050, 1, 1, 1e9, false, 0, true, 30);
SELECT 'circle, behind', goal(50, 40, 1, 1, 100, true, 10);
SELECT 'circle, ahead', goal(50, 60, 1, 1, 100, true, 10);
SELECT 'circle, far ahead', goal(50, 99, 1, 1, 100, true, 10);
SELECT 'circle, ahead across the end', goal(95, 8, 1, 1, 100, true, 10);
SELECT 'circle, behind across the end', goal(5, 95, 1, 1, 100, true, 10);
SELECT 'circle, goal across the end', goal(95, 95, 1, 1, 100, true, 10);
SELECT 'circle, never more than a quarter', goal(1, 1, 1, 1, 100, true, 1000);
SELECT 'circle of three', goal(2, 1, 1, 1, 3, true, 1000);
SELECT 'circle of three, ours', goal(2, 3, 1, 1, 3, true, 1000, true);
SELECT 'circle of one', goal(1, 1, 1, 1, 1, true, 1000);
SELECT 'circle, ours, goes where it should', goal(90, 25, 1, 1, 100, true, 10, true);
SELECT 'circle, used by others', goal(90, 25, 1, 1, 100, true, 10, true, 25);
SELECT 'circle from its start', goal(0, 0, 1, 1, 100, true, 10);

\echo -- which belong to a sync
CREATE SCHEMA shop; CREATE SCHEMA free; CREATE SCHEMA out_; CREATE SCHEMA "rebeco_x";
CREATE TABLE shop.a (id serial, u bigint);
CREATE TABLE shop.b (id int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE shop.root (id serial, d int) PARTITION BY LIST (d);
CREATE TABLE shop.leaf PARTITION OF shop.root FOR VALUES IN (1);
CREATE SEQUENCE shop.leafs OWNED BY shop.leaf.d;
CREATE SEQUENCE shop.s; CREATE SEQUENCE free.s; CREATE SEQUENCE "rebeco_x".s;
CREATE TABLE out_.t (id serial); CREATE SEQUENCE out_.s; CREATE SEQUENCE out_.used;
ALTER TABLE shop.a ALTER u SET DEFAULT nextval('out_.used');
CREATE TEMP SEQUENCE mine;
CREATE FUNCTION wanted(p_tables regclass[], p_all boolean) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(w.seq_schema || '.' || w.seq_name, ' ' ORDER BY w.seq_schema, w.seq_name)
     FROM rebeco.sequence_wanted(p_tables::oid[], p_all) w $$;
SELECT wanted('{shop.a}', false);
SELECT wanted('{shop.a,shop.b,shop.root}', true);
SELECT wanted('{shop.leaf}', false);
SELECT wanted('{out_.t}', false);
SELECT wanted('{}', false) IS NULL;
SELECT wanted('{}', true);

\echo -- what is read
SELECT setval('shop.s', 7), nextval('shop.b_id_seq');
ALTER SEQUENCE free.s RESTART WITH 500;
SELECT e ->> 'seq_schema', e ->> 'seq_name', e ->> 'owner_table', e ->> 'last_value', e ->> 'is_called'
  FROM jsonb_array_elements(rebeco.sequence_read('{}', true)) e;
\c - clerk
SET search_path = pg_catalog;
SELECT rebeco.sequence_glance();
\c - app
SELECT rebeco.sequence_glance() AS glance \gset
SELECT rebeco.sequence_glance() = :'glance' AS same;
SELECT nextval('shop.s');
SELECT rebeco.sequence_glance() = :'glance' AS same;
SELECT rebeco.sequence_glance() AS glance \gset
ALTER SEQUENCE free.s RESTART WITH 600;
SELECT rebeco.sequence_glance() = :'glance' AS same;
SELECT rebeco.sequence_glance() AS glance \gset
SELECT nextval('rebeco.nap') IS NOT NULL;
SELECT rebeco.sequence_glance() = :'glance' AS same;

\echo -- head-room, what others have used, and exact
INSERT INTO rebeco.sync (name, consumer) VALUES ('one', 'x'), ('two', 'y');
CREATE SEQUENCE t1;
CREATE FUNCTION source(p_value bigint, p_called boolean DEFAULT true, p_name text DEFAULT 't1') RETURNS jsonb
    LANGUAGE sql AS $$
    SELECT jsonb_agg(e || jsonb_build_object('last_value', p_value, 'is_called', p_called))
      FROM jsonb_array_elements(rebeco.sequence_read('{}', true)) e WHERE e ->> 'seq_name' = p_name $$;
CREATE FUNCTION move(p_value bigint, p_called boolean, p_exact boolean DEFAULT false, p_name text DEFAULT 't1')
    RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r record;
    v text;
BEGIN
    SELECT s.seen, s.moved, s.troubled INTO r
      FROM rebeco.sequence_set('one', source(p_value, p_called, p_name), 100, p_exact) s WHERE s.object IS NULL;
    EXECUTE format('SELECT last_value || '' '' || is_called FROM %I', p_name) INTO v;
    RETURN format('%s seen, %s moved, %s in trouble: %s', r.seen, r.moved, r.troubled, v);
END $$;
SELECT move(1, false);
SELECT move(1, false);
SELECT move(1, true);
SELECT move(50, true);
SELECT move(20, true);
SELECT 'exact takes our head-room back', move(50, true, true);
SELECT 'exact again', move(50, true, true);
SELECT 'exact, not called', move(51, false, true);
SELECT 'and on', move(60, true);
SELECT 'others use it', nextval('t1'), nextval('t1');
SELECT 'they are ahead enough', move(61, true);
SELECT 'not any more: twice the head-room', move(63, true);
SELECT 'exact does not go below them', move(63, true, true);
SELECT 'exact, beyond them', move(170, true, true);
SELECT 'exact, never called', move(1, false, true);
DROP SEQUENCE t1;
CREATE SEQUENCE t1;
SELECT 'a new one under the old name', move(1, false, true);
SELECT 'never called, exact, another first value', move(900, false, true);
SELECT count(*) FROM rebeco.sequence;
DROP SEQUENCE t1;
CREATE SEQUENCE t1 INCREMENT -3 MINVALUE -1000 MAXVALUE 1000;
SELECT 'falling', move(1000, false);
SELECT move(700, true);
SELECT move(-980, true);
SELECT 'exact', move(-980, true, true);

\echo -- trouble
CREATE TEMP VIEW trouble AS SELECT object, message, hint FROM rebeco.problem WHERE sync = 'one' ORDER BY 1;
SELECT source(5) AS doc \gset
ALTER SEQUENCE t1 MINVALUE -5000 CYCLE;
SELECT object, message, hint FROM rebeco.sequence_set('one', :'doc', 100, false);
SELECT object, message, hint FROM rebeco.sequence_set('one', :'doc', 100, false);
TABLE trouble;
ALTER SEQUENCE t1 RENAME TO t2;
SELECT object, message, hint FROM rebeco.sequence_set('one', :'doc', 100, false);
ALTER SEQUENCE t2 RENAME TO t1;
ALTER SEQUENCE t1 MINVALUE -1000 NO CYCLE;
SELECT seen, troubled FROM rebeco.sequence_set('one', :'doc', 100, false);
TABLE trouble;
SELECT source(-5000, true, 't1') AS doc \gset
SELECT object, message, hint FROM rebeco.sequence_set('one', :'doc', 100, false);
SELECT object, message FROM rebeco.sequence_set('two', :'doc', 100, false);
SELECT seen FROM rebeco.sequence_set('one', '[]', 100, false);
TABLE trouble;
\echo -- of the same column, under another name; and names that have changed places
CREATE TABLE x (a serial, b serial);
SELECT jsonb_agg(e) AS doc FROM jsonb_array_elements(rebeco.sequence_read(ARRAY['x'::regclass::oid], true)) e
 WHERE e ->> 'owner_table' = 'x' \gset
ALTER SEQUENCE x_a_seq RENAME TO tmp; ALTER SEQUENCE x_b_seq RENAME TO x_a_seq; ALTER SEQUENCE tmp RENAME TO x_b_seq;
SELECT e.e ->> 'owner_column', m.seq = pg_get_serial_sequence('x', e.e ->> 'owner_column')::regclass
  FROM rebeco.sequence_match(:'doc') m
  JOIN jsonb_array_elements(:'doc') WITH ORDINALITY e (e, n) ON e.n = m.number ORDER BY 1;
SELECT object, message, hint FROM rebeco.sequence_set('one', :'doc', 100, false);
