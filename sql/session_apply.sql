-- Makes a session one that writes replicated rows: replica role where the role may, and plans that
-- never depend on statistics (they are stale by nature here).
-- Result: has_replica_role boolean. Lowest server version: 10.
SELECT rebeco.session_replica_role() AS has_replica_role,
       pg_catalog.set_config('enable_seqscan', 'off', false),
       pg_catalog.set_config('enable_hashjoin', 'off', false),
       pg_catalog.set_config('enable_mergejoin', 'off', false)
