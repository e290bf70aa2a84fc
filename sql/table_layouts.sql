-- Records how a table that runs looks now at both ends, where its values are right all the same: what it is
-- compared with from here on.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table; $4 text, $5 text: layouts of source and target.
-- Lowest server version: 10.
WITH ours AS MATERIALIZED (SELECT rebeco.sync_check_owner($1, $2::bigint))
UPDATE rebeco.sync_table t SET layout = $4, target_layout = $5 FROM ours WHERE t.sync = $1 AND t.id = $3::int
