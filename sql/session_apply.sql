-- Makes a session one that writes replicated rows: not captured in a two-way sync, replica role where
-- the role may, and plans that never depend on statistics (they are stale by nature here).
-- $1 boolean: foreign keys stay on, also where they might be switched off
-- Result: has_replica_role boolean. Lowest server version: 10.
SELECT CASE WHEN $1::boolean THEN false ELSE rebeco.session_replica_role() END AS has_replica_role,
       pg_catalog.set_config('rebeco.applying', 'on', false),
       pg_catalog.set_config('enable_seqscan', 'off', false),
       pg_catalog.set_config('enable_hashjoin', 'off', false),
       pg_catalog.set_config('enable_mergejoin', 'off', false)
