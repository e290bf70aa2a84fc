-- Which of several syncs is furthest behind with the change logs: they are kept for it.
-- $1 text: our consumer name, NULL: not known yet; $2 text: our sync
-- Result, at most one row, none where one sync reads alone: sync text (what people are shown), behind_s bigint (since it
-- confirmed anything), tables bigint (that it reads), is_namesake boolean (not ours, but called alike).
-- Lowest server version: 10.
SELECT CASE WHEN o.is_namesake THEN pg_catalog.format('%s (another one, consumer %s)', o.sync, o.consumer) ELSE o.sync END AS sync,
       o.behind_s, o.tables, o.is_namesake
  FROM (SELECT r.sync, r.consumer, pg_catalog.count(*) AS tables,
               coalesce(r.sync = $2 AND r.consumer <> $1, false) AS is_namesake,
               pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - coalesce(r.confirmed_at, r.created_at))::bigint AS behind_s,
               pg_catalog.min(coalesce(pg_catalog.txid_snapshot_xmin(coalesce(t.snapshot, r.snapshot)), 0)) AS needs
          FROM rebeco.consumer r JOIN rebeco.consumer_table t ON t.consumer = r.consumer
         GROUP BY r.sync, r.consumer, r.confirmed_at, r.created_at) o
 WHERE (SELECT pg_catalog.count(*) FROM rebeco.consumer) > 1
 ORDER BY o.needs, o.behind_s DESC LIMIT 1
