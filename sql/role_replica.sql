-- Until the transaction ends, triggers, rules and foreign keys do not act.
-- Result: of no interest. Lowest server version: 10.
SELECT pg_catalog.set_config('session_replication_role', 'replica', true)
