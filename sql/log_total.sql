-- How much the change logs hold, and who keeps them from being emptied the longest. Sizes cost time for each log, so that they
-- are only asked for when anything was committed since the last look, or somebody is writing now: who holds a transaction id
-- has a lock on it, and the snapshot does not show the newest of them.
-- $1 text: the moment of the last look, '' for none
-- Result: moment text, bytes bigint (NULL: as it was then), held_by text (NULL: nobody), held_s bigint. Lowest server version: 10.
SELECT n.moment, CASE WHEN n.moment <> $1::text OR EXISTS (
                          SELECT 1 FROM pg_catalog.pg_locks l WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted)
                      THEN (SELECT coalesce(pg_catalog.sum(pg_catalog.pg_relation_size(c.oid)), 0)
                              FROM pg_catalog.pg_class c
                             WHERE c.relnamespace = pg_catalog.to_regnamespace('rebeco') AND c.relkind = 'r' AND c.relname ~ '^log_[0-9]+_[01]$') END::bigint AS bytes,
       o.held_by, o.held_s
  FROM (SELECT pg_catalog.md5(pg_catalog.txid_current_snapshot()::text) AS moment) n
  LEFT JOIN (SELECT pg_catalog.format('%s%s%s', coalesce('process ' || a.pid, 'prepared transaction'), ' of ' || a.usename,
                        ' (' || nullif(a.application_name, '') || ')') AS held_by,
                    pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.xact_start)::bigint AS held_s
               FROM pg_catalog.pg_stat_activity a
              WHERE a.xact_start < pg_catalog.clock_timestamp() - interval '1 minute' AND a.datname = pg_catalog.current_database()
              ORDER BY a.xact_start LIMIT 1) o ON true
