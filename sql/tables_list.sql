-- The tables of a sync, as they stand.
-- $1 text: the sync
-- Result: id, source_oid, source_schema, source_name, target_schema, target_name, state, snapshot
-- (NULL: in step), paused, what, detail, hint, tolerant, bytes, rows, bytes_done, rows_done,
-- chunks, chunks_done, layout,
-- target_layout, log (which change log the position is about), is_emptied boolean (a crash of this server has emptied the
-- table, or a partition, because it is unlogged), copy_asked boolean (somebody has asked for it to be copied again),
-- is_lossy boolean (changes may be missing), back_since (see table_add.sql),
-- label: its name at the source, as people write it. Lowest server version: 10.
SELECT t.id, t.source_oid::bigint AS source_oid, t.source_schema, t.source_name, t.target_schema, t.target_name,
       t.state, t.snapshot::text AS snapshot, t.paused, t.paused_what, t.paused_detail, t.paused_hint, t.tolerant,
       t.bytes, t.rows, coalesce(c.bytes_done, 0) AS bytes_done, coalesce(c.rows_done, 0) AS rows_done,
       coalesce(c.chunks, 0) AS chunks, coalesce(c.chunks_done, 0) AS chunks_done, t.layout, t.target_layout, t.log::bigint AS log,
       a.table_id IS NULL AND EXISTS (SELECT 1 FROM rebeco.tree(pg_catalog.to_regclass(pg_catalog.format('%I.%I', t.target_schema, t.target_name))) r (oid)
                                        JOIN pg_catalog.pg_class c ON c.oid = r.oid WHERE c.relpersistence = 'u') AS is_emptied, t.copy_asked, t.is_lossy,
       t.back_since::text AS back_since, pg_catalog.format('%I.%I', t.source_schema, t.source_name) AS label
  FROM rebeco.sync_table t
  LEFT JOIN rebeco.target_alive a ON a.sync = t.sync AND a.table_id = t.id
  LEFT JOIN LATERAL (
        SELECT sum(k.bytes) FILTER (WHERE k.done_at IS NOT NULL)::bigint AS bytes_done,
               sum(k.copied_rows)::bigint AS rows_done,
               count(*) AS chunks, count(k.done_at) AS chunks_done
          FROM rebeco.chunk k WHERE k.sync = t.sync AND k.table_id = t.id) c ON true
 WHERE t.sync = $1
 ORDER BY t.id
