-- What there is to copy of each table, for a copier.
-- $1 text: the sync
-- Result: id, copies boolean (its chunks may be taken), tolerant, chunks, chunks_done, bytes_done, rows_done,
-- snapshot text (in which they are read; NULL: none that lives). Lowest server version: 10.
SELECT t.id, t.state = 'copy' AND t.paused IS NULL AS copies, t.tolerant, c.chunks, c.chunks_done, c.bytes_done, c.rows_done, n.snapshot
  FROM rebeco.sync s
  JOIN rebeco.sync_table t ON t.sync = s.name
  LEFT JOIN rebeco.copy_snapshot n ON n.sync = t.sync AND n.table_id = t.id AND n.owner = s.owner
 CROSS JOIN LATERAL (
        SELECT pg_catalog.count(*) AS chunks, pg_catalog.count(k.done_at) AS chunks_done,
               coalesce(pg_catalog.sum(k.bytes) FILTER (WHERE k.done_at IS NOT NULL), 0)::bigint AS bytes_done,
               coalesce(pg_catalog.sum(k.copied_rows), 0)::bigint AS rows_done
          FROM rebeco.chunk k WHERE k.sync = t.sync AND k.table_id = t.id) c
 WHERE s.name = $1 AND t.state = 'copy'
