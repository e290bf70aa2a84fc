-- Which of several syncs is furthest behind with the change logs: they are kept for it.
-- Result, at most one row, none where one sync reads alone: sync text, behind_s bigint (since it
-- confirmed anything), tables bigint (that it reads). Lowest server version: 10.
SELECT o.sync, o.behind_s, o.tables
  FROM (SELECT r.sync, r.consumer, pg_catalog.count(*) AS tables,
               pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - coalesce(r.confirmed_at, r.created_at))::bigint AS behind_s,
               pg_catalog.min(coalesce(pg_catalog.txid_snapshot_xmin(coalesce(t.snapshot, r.snapshot)), 0)) AS needs
          FROM rebeco.consumer r JOIN rebeco.consumer_table t ON t.consumer = r.consumer
         GROUP BY r.sync, r.consumer, r.confirmed_at, r.created_at) o
 WHERE (SELECT pg_catalog.count(*) FROM rebeco.consumer) > 1
 ORDER BY o.needs, o.behind_s DESC LIMIT 1
