-- Rows that were left out have changed, and are right at the target with this batch.
-- $1 text: sync; $2 int: table; $3 text[]: hashes of their keys. Lowest server version: 10.
UPDATE rebeco.skipped SET settled_at = pg_catalog.clock_timestamp()
 WHERE sync = $1 AND table_id = $2::int AND settled_at IS NULL AND key_hash = ANY ($3::text[])
