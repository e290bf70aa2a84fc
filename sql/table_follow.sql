-- A table is copied and has its key: its changes are applied from here on.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table. Lowest server version: 10.
SELECT rebeco.table_follow($1, $2::bigint, $3::int)
