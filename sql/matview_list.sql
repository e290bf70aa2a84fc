-- The materialized views of a sync, in an order in which each comes after those that it reads (it
-- reaches all that these reach, and itself).
-- $1 text: the sync; $2 int[]: ids of its tables that have changed since we asked last. Runs at the
-- target. Result: one row each: relid; label; refresh, the statements that refresh it;
-- refreshed_s, how many seconds ago the last refresh of ours began (NULL: never); changed, a table
-- below is among $2; stale, a batch was applied since that refresh, or may have been: the server's clock was set back.
--
-- CONCURRENTLY, which does not hold up readers, takes what the server asks for: data in it, and a
-- unique index on plain columns without a condition. Else readers wait while it is refreshed; so
-- that they do not wait for it to begin as well, behind a long query of one of them, it gives up
-- soon where somebody may be reading. A function in it may count on the search_path that the role
-- has by itself (before PostgreSQL 17, which pins it), so for its duration that is put back.
-- Lowest server version: 10.
SELECT c.oid AS relid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS label,
       pg_catalog.format('SELECT %s, pg_catalog.set_config(%L, %L, true); '
                         'REFRESH MATERIALIZED VIEW %s%I.%I', d.settings, 'lock_timeout',
                         CASE WHEN NOT c.relispopulated THEN '60s'
                              WHEN k.quietly THEN '30s' ELSE '1s' END,
                         CASE WHEN k.quietly THEN 'CONCURRENTLY ' ELSE '' END,
                         n.nspname, c.relname) AS refresh,
       CASE WHEN m.refreshed_at IS NOT NULL
            THEN greatest(0, extract(epoch FROM pg_catalog.clock_timestamp() - m.refreshed_at)) END AS refreshed_s,
       r.changed,
       m.refreshed_at IS NULL OR s.applied_at IS NULL OR s.applied_at >= m.refreshed_at
       OR m.refreshed_at > pg_catalog.clock_timestamp() AS stale
  FROM (SELECT x.relid, pg_catalog.count(*) FILTER (WHERE x.kind = 'm') AS place,
               pg_catalog.bool_or(t.id IS NOT NULL
                                  OR (x.object IS NULL AND pg_catalog.cardinality($2::int[]) > 0))
                   AS changed
          FROM rebeco.matview_reach($1) x
          LEFT JOIN pg_catalog.pg_class tc ON tc.oid = x.object
          LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = tc.relnamespace
          LEFT JOIN rebeco.sync_table t
            ON t.sync = $1 AND t.target_schema = tn.nspname AND t.target_name = tc.relname
               AND t.id = ANY ($2::int[])
         GROUP BY x.relid) r
  JOIN pg_catalog.pg_class c ON c.oid = r.relid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (
       SELECT c.relispopulated AND EXISTS (
                  SELECT FROM pg_catalog.pg_index i
                    JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
                    JOIN pg_catalog.pg_am a ON a.oid = ic.relam AND a.amname = 'btree'
                   WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
                     AND i.indpred IS NULL AND i.indexprs IS NULL) AS quietly) k
 CROSS JOIN (
       SELECT pg_catalog.string_agg(pg_catalog.format('pg_catalog.set_config(%L, %L, true)', g.name,
                                                      g.reset_val), ', ' ORDER BY g.name) AS settings
         FROM pg_catalog.pg_settings g
        WHERE g.name IN ('search_path', 'max_parallel_workers_per_gather')) d
  LEFT JOIN rebeco.matview m ON m.sync = $1 AND m.relid = c.oid
  LEFT JOIN rebeco.sync s ON s.name = $1
 ORDER BY r.place, n.nspname, c.relname
