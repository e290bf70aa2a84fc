-- Makes a session one that writes replicated rows: replica role where the role may, and plans that
-- never depend on statistics (they are stale by nature here).
-- $1 boolean: in a two-way sync, where what it writes is not captured, and foreign keys stay on
-- $2 text: the name of the pair that the two directions of such a sync are, by which their own writes are
-- known; or NULL
-- Result: has_replica_role boolean. Lowest server version: 10.
SELECT CASE WHEN $1::boolean THEN false ELSE rebeco.session_replica_role() END AS has_replica_role,
       CASE WHEN $1::boolean THEN pg_catalog.set_config('rebeco.applying', 'on', false) END,
       CASE WHEN $1::boolean THEN pg_catalog.set_config('rebeco.applying_depth', '0', false) END,
       CASE WHEN $1::boolean THEN pg_catalog.set_config('rebeco.origin', $2, false) END,
       pg_catalog.set_config('enable_seqscan', 'off', false),
       pg_catalog.set_config('enable_hashjoin', 'off', false),
       pg_catalog.set_config('enable_mergejoin', 'off', false)
