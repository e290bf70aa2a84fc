-- One migration of a sync at a time. The lock ends with the session.
-- $1 text: sync. Result: is_ours boolean. Lowest server version: 11.
SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('rebeco ddl ' || $1, 0)) AS is_ours
