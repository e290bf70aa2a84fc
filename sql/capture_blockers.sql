-- Who keeps a table, or one of its partitions, from being captured: after a lock timeout.
-- $1 oid: the table
-- Result: pid int (NULL: a prepared transaction), who text, state text, age_s bigint (of its
-- transaction), lock text, relation text; the longest transaction first. State and age of other
-- roles' sessions are NULL unless we may see them. Lowest server version: 10.
WITH RECURSIVE tree AS (
    SELECT $1::oid AS oid
    UNION ALL
    SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
)
SELECT l.pid,
       coalesce(nullif(concat_ws(' ', nullif(a.application_name, ''), 'as ' || a.usename), ''),
                'prepared transaction ' || x.gid, 'unknown session') AS who,
       coalesce(a.state, CASE WHEN x.gid IS NOT NULL THEN 'prepared' END) AS state,
       extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, x.prepared))::bigint AS age_s,
       l.mode AS lock, l.relation::regclass::text AS relation
  FROM pg_catalog.pg_locks l
  JOIN tree ON tree.oid = l.relation
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
  LEFT JOIN pg_catalog.pg_locks own ON l.pid IS NULL AND own.pid IS NULL AND own.locktype = 'transactionid'
                                 AND own.virtualtransaction = l.virtualtransaction
  LEFT JOIN pg_catalog.pg_prepared_xacts x ON x.transaction = own.transactionid
 WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
 ORDER BY age_s DESC NULLS LAST, l.pid
