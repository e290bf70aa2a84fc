-- Ends all sessions of the daemon that holds a sync's lock, here: what they have in hand is rolled
-- back. Needs no more than their role.
-- $1 text: the sync. Result: ended bigint. Lowest server version: 11.
SELECT pg_catalog.count(*) FILTER (WHERE pg_catalog.pg_terminate_backend(s.pid)) AS ended
  FROM (SELECT DISTINCT l.pid
          FROM pg_catalog.pg_locks l
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_catalog.pg_backend_pid()
           AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
           AND (l.classid::bigint << 32 | l.objid::bigint) IN (pg_catalog.hashtextextended('rebeco ' || $1, 0),
                                                               pg_catalog.hashtextextended('rebeco pulse ' || $1, 0),
                                                               pg_catalog.hashtextextended('rebeco session ' || $1, 0))) s
