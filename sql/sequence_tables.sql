-- Which tables of the source belong to a sync: for reading their sequences there.
-- $1 text: the sync. Runs at the target. Result: one row: tables, an array of their oids.
-- Lowest server version: 10.
SELECT COALESCE(pg_catalog.array_agg(t.source_oid ORDER BY t.source_oid), '{}') AS tables
  FROM rebeco.sync_table t
 WHERE t.sync = $1
