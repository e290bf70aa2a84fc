-- Who holds the lock that only the session that applies may hold, and a text that changes as long as
-- that daemon lives: when its pulse was last felt, by this server.
-- $1 text: the sync
-- Result: pid int, address text (NULL: hidden), since text, pulse text (NULL: none; hidden: of a role whose
-- sessions are not shown to us); no row when nobody holds it now. Lowest server version: 11.
SELECT h.pid, pg_catalog.host(a.client_addr) AS address,
       pg_catalog.to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS since,
       (SELECT CASE WHEN pg_catalog.count(*) > 0 THEN coalesce(pg_catalog.max(b.state_change)::text, 'hidden') END
          FROM pg_catalog.pg_locks p JOIN pg_catalog.pg_stat_activity b ON b.pid = p.pid
         WHERE p.locktype = 'advisory' AND p.granted AND p.objsubid = 1 AND p.database = h.database
           AND (p.classid::bigint << 32 | p.objid::bigint) = pg_catalog.hashtextextended('rebeco pulse ' || $1, 0)) AS pulse
  FROM pg_catalog.pg_locks h LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid
 WHERE h.locktype = 'advisory' AND h.granted AND h.objsubid = 1
   AND h.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
   AND (h.classid::bigint << 32 | h.objid::bigint) = pg_catalog.hashtextextended('rebeco ' || $1, 0)
