-- Until the transaction ends, triggers, rules and foreign keys act as for any session.
-- Result: of no interest. Lowest server version: 10.
SELECT pg_catalog.set_config('session_replication_role', 'origin', true)
