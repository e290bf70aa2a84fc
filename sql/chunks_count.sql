-- What is done of each table's copy.
-- $1 text: sync. Result: table_id, chunks_done, bytes_done, rows_done. Lowest server version: 10.
SELECT c.table_id, pg_catalog.count(c.done_at) AS chunks_done,
       coalesce(pg_catalog.sum(c.bytes) FILTER (WHERE c.done_at IS NOT NULL), 0)::bigint AS bytes_done,
       coalesce(pg_catalog.sum(c.copied_rows), 0)::bigint AS rows_done
  FROM rebeco.chunk c WHERE c.sync = $1 GROUP BY c.table_id
