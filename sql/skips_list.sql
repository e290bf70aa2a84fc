-- The rows that are left out now.
-- $1 text: sync. Result: table_id int, key text, error text, key_hash text, row_hash text, skipped_at text,
-- skipped_by text, copies bigint (0 where there is a key). Lowest server version: 10.
SELECT s.table_id, s.key, s.error, s.key_hash, s.row_hash, s.skipped_at::text AS skipped_at, s.skipped_by, coalesce(s.copies, 0) AS copies
  FROM rebeco.skipped s WHERE s.sync = $1 AND s.settled_at IS NULL ORDER BY s.id
