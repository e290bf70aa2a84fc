-- A table is gone at both ends, or left the sync: nothing of it is kept.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table. Lowest server version: 10.
WITH ours AS MATERIALIZED (SELECT rebeco.sync_check_owner($1, $2::bigint))
DELETE FROM rebeco.sync_table t USING ours WHERE t.sync = $1 AND t.id = $3::int
