-- Records that a table runs again, from the position that it has.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table; $4 text, $5 text: layouts of
-- source and target. Lowest server version: 10.
SELECT rebeco.table_resume($1, $2::bigint, $3::int, $4, $5)
