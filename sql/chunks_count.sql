-- What is done of each table's copy.
-- $1 text: sync; $2 int: only this table, NULL: all. Result: table_id, chunks_done, bytes_done, rows_done, snapshot text (from where the
-- table's changes are read). Lowest server version: 10.
SELECT c.table_id, pg_catalog.count(c.done_at) AS chunks_done,
       coalesce(pg_catalog.sum(c.bytes) FILTER (WHERE c.done_at IS NOT NULL), 0)::bigint AS bytes_done,
       coalesce(pg_catalog.sum(c.copied_rows), 0)::bigint AS rows_done, t.snapshot::text AS snapshot
  FROM rebeco.chunk c JOIN rebeco.sync_table t ON t.sync = c.sync AND t.id = c.table_id
 WHERE c.sync = $1 AND ($2::int IS NULL OR c.table_id = $2::int) GROUP BY c.table_id, t.sync, t.id
