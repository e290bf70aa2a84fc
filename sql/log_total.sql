-- How much the change logs hold, and who keeps them from being emptied the longest.
-- Result: bytes bigint, held_by text (NULL: nobody), held_s bigint. Lowest server version: 10.
SELECT coalesce(pg_catalog.sum(pg_catalog.pg_relation_size(c.oid)), 0)::bigint AS bytes,
       o.held_by, o.held_s
  FROM pg_catalog.pg_class c
  LEFT JOIN (SELECT pg_catalog.format('%s%s%s', coalesce('process ' || a.pid, 'prepared transaction'), ' of ' || a.usename,
                        ' (' || nullif(a.application_name, '') || ')') AS held_by,
                    pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.xact_start)::bigint AS held_s
               FROM pg_catalog.pg_stat_activity a
              WHERE a.xact_start < pg_catalog.clock_timestamp() - interval '1 minute' AND a.datname = pg_catalog.current_database()
              ORDER BY a.xact_start LIMIT 1) o ON true
 WHERE c.relnamespace = pg_catalog.to_regnamespace('rebeco') AND c.relkind = 'r' AND c.relname ~ '^log_[0-9]+_[01]$'
 GROUP BY o.held_by, o.held_s
