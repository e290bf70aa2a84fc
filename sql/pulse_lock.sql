-- Marks this session as the pulse of the daemon that leads a sync.
-- $1 text: the sync. Result: is_ours boolean. Lowest server version: 11.
SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('rebeco pulse ' || $1, 0)) AS is_ours
