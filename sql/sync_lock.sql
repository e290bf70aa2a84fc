-- Takes the lock that only the session that applies may hold. It ends with the session.
-- $1 text: the sync. Result: is_ours boolean. Lowest server version: 11.
SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('rebeco ' || $1, 0)) AS is_ours
