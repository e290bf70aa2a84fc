-- Takes the next chunk to copy, largest table first, and keeps others from it until the
-- transaction ends; with the chunks in hand of other streams passed over.
-- $1 text: sync; $2 int[]: tables that may be copied now
-- Result: table_id, number, relation bigint, lower, upper, bytes, filenode. Lowest server version: 10.
SELECT c.table_id, c.number, c.relation::bigint AS relation, c.lower, c.upper, c.bytes, c.filenode
  FROM rebeco.chunk c JOIN rebeco.sync_table t ON t.sync = c.sync AND t.id = c.table_id
 WHERE c.sync = $1 AND c.done_at IS NULL AND t.state = 'copy' AND t.paused IS NULL AND t.id = ANY ($2::int[])
 ORDER BY t.bytes DESC, t.id, c.number
 LIMIT 1
   FOR NO KEY UPDATE OF c SKIP LOCKED
