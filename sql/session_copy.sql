-- Makes a session one that loads tables: replica role where the role may.
-- $1 boolean: in a two-way sync, where what it writes is not captured
-- $2 text: the pair of syncs, as in sql/session_apply.sql
-- Result: of no interest. Lowest server version: 10.
SELECT rebeco.session_replica_role(),
       CASE WHEN $1::boolean THEN pg_catalog.set_config('rebeco.applying', 'on', false) END,
       CASE WHEN $1::boolean THEN pg_catalog.set_config('rebeco.applying_depth', '0', false) END,
       CASE WHEN $1::boolean THEN pg_catalog.set_config('rebeco.origin', $2, false) END,
       pg_catalog.set_config('maintenance_work_mem',
           greatest(pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')) / 1024, 262144)::text, false)
