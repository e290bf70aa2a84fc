-- Records that a table runs again, from the position that it has.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table; $4 text, $5 text: layouts of
-- source and target; $6 text, $7 text, $8 text, $9 text: schema and name at the source and at the target, which
-- may be others than before. Lowest server version: 10.
SELECT rebeco.table_resume($1, $2::bigint, $3::int, $4, $5, $6, $7, $8, $9)
