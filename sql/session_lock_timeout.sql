-- Bounds every wait for a lock in this session.
-- $1 text: milliseconds. Lowest server version: 10.
SELECT pg_catalog.set_config('lock_timeout', $1, false)
