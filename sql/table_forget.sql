-- A table is gone at both ends, or left the sync: nothing of it is kept.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table. Lowest server version: 10.
WITH ours AS MATERIALIZED (SELECT rebeco.sync_check_owner($1, $2::bigint)),
settled AS (
    UPDATE rebeco.skipped k SET settled_at = pg_catalog.clock_timestamp()
      FROM ours WHERE k.sync = $1 AND k.table_id = $3::int AND k.settled_at IS NULL
)
DELETE FROM rebeco.sync_table t USING ours WHERE t.sync = $1 AND t.id = $3::int
