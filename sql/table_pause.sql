-- Records that a table stands still, and from where it will go on.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table; $4 text: reason; $5 text, $6 text,
-- $7 text: what, detail, hint. Lowest server version: 10.
SELECT rebeco.table_pause($1, $2::bigint, $3::int, $4, $5, $6, $7)
