-- Who keeps old change logs from being emptied: transactions that wrote to a segment that is no
-- longer written, or read it, and have not ended.
-- Result: pid int (NULL: a prepared transaction), who text, state text, age_s bigint (of its
-- transaction), ids int[] (of captures), bytes bigint (of their old segments); the oldest first.
-- Lowest server version: 10.
SELECT l.pid,
       coalesce(nullif(concat_ws(' ', nullif(max(a.application_name), ''), 'as ' || max(a.usename)), ''),
                'prepared transaction ' || max(x.gid), 'unknown session') AS who,
       coalesce(max(a.state), CASE WHEN max(x.gid) IS NOT NULL THEN 'prepared' END) AS state,
       extract(epoch FROM clock_timestamp() - min(coalesce(a.xact_start, x.prepared)))::bigint AS age_s,
       array_agg(o.id ORDER BY o.id) AS ids, sum(o.bytes)::bigint AS bytes
  FROM (SELECT c.id, r.relid, pg_catalog.pg_relation_size(r.relid) AS bytes
          FROM rebeco.capture c
         CROSS JOIN LATERAL (SELECT to_regclass('rebeco.log_' || c.id || '_' || 1 - c.segment) AS relid) r) o
  JOIN (SELECT DISTINCT k.relation, k.pid, k.virtualtransaction
          FROM pg_catalog.pg_locks k JOIN pg_catalog.pg_database d ON d.oid = k.database AND d.datname = current_database()
         WHERE k.locktype = 'relation' AND k.granted AND k.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()) l ON l.relation = o.relid
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
  LEFT JOIN pg_catalog.pg_locks own ON l.pid IS NULL AND own.pid IS NULL AND own.locktype = 'transactionid'
                                 AND own.virtualtransaction = l.virtualtransaction
  LEFT JOIN pg_catalog.pg_prepared_xacts x ON x.transaction = own.transactionid
 WHERE o.bytes > 0
 GROUP BY l.pid, l.virtualtransaction
 ORDER BY age_s DESC NULLS LAST, l.pid
