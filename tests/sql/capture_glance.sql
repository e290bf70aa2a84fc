-- What the glance at all captures takes for a change: not that a log was rotated.
\i tests/sql/capture_helpers.psql
\set glance `cat sql/capture_glance.sql`
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE u (id int PRIMARY KEY, v text);
SELECT test.capture('t'), test.capture('u');
:glance \gset before_
INSERT INTO t VALUES (1, 'a');
SELECT rebeco.log_rotate(c.id, 0) FROM rebeco.capture c WHERE c.relid = 't'::regclass;
:glance \gset rotated_
SELECT :'before_stamp' = :'rotated_stamp' AS same_after_rotation, test.state('t');
DO $$ BEGIN EXECUTE (SELECT replace(pg_get_functiondef(format('rebeco.capture_%s()', c.id)::regprocedure), 'BEGIN', '/* touched */ BEGIN') FROM rebeco.capture c WHERE c.relid = 't'::regclass); END $$;
:glance \gset touched_
SELECT :'rotated_stamp' = :'touched_stamp' AS same_after_replacement;
ALTER TABLE u DISABLE TRIGGER USER;
:glance \gset disabled_
SELECT :'touched_stamp' = :'disabled_stamp' AS same_after_disabling;
