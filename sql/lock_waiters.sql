-- Which of our sessions keep somebody waiting: who wants a table for himself (whoever comes after him waits, too), or who works
-- CONCURRENTLY on an index or a partition, and waits for the end of each transaction that may not know of it.
-- $1 int[]: our sessions. Result: pid int, what text (he waits for), waiting int (a session). Lowest server version: 12.
WITH locks AS MATERIALIZED (
    SELECT l.relation, l.virtualxid, l.pid, l.mode, l.granted FROM pg_catalog.pg_locks l
     WHERE l.locktype = 'virtualxid' OR l.locktype = 'relation'
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
)
SELECT h.pid, 'a lock on ' || pg_catalog.min(h.relation::regclass::text) AS what, pg_catalog.min(w.pid) AS waiting
  FROM locks w JOIN locks h ON h.relation = w.relation AND h.granted AND h.pid = ANY ($1::int[])
 WHERE NOT w.granted AND w.mode = 'AccessExclusiveLock'
 GROUP BY h.pid
UNION ALL
SELECT h.pid, 'the end of what was begun before its work on ' || coalesce(pg_catalog.min(o.relation::regclass::text), 'an index'),
       pg_catalog.min(w.pid)
  FROM locks w JOIN locks h ON h.virtualxid = w.virtualxid AND h.granted AND h.pid = ANY ($1::int[])
  LEFT JOIN locks o ON o.pid = w.pid AND o.granted AND o.mode = 'ShareUpdateExclusiveLock'
 WHERE NOT w.granted
 GROUP BY h.pid
