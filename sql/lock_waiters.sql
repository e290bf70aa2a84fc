-- Which of our sessions keep somebody waiting who wants a table for himself: whoever comes after him waits, too.
-- $1 int[]: our sessions. Result: pid int, what text (the table), waiting int (a session). Lowest server version: 12.
WITH locks AS MATERIALIZED (
    SELECT l.relation, l.pid, l.mode, l.granted FROM pg_catalog.pg_locks l
     WHERE l.locktype = 'relation'
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
)
SELECT h.pid, pg_catalog.min(h.relation::regclass::text) AS what, pg_catalog.min(w.pid) AS waiting
  FROM locks w JOIN locks h ON h.relation = w.relation AND h.granted AND h.pid = ANY ($1::int[])
 WHERE NOT w.granted AND w.mode = 'AccessExclusiveLock'
 GROUP BY h.pid
