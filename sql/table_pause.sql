-- Records that a table stands still, and from where it will go on.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table; $4 text: reason; $5 text, $6 text,
-- $7 text: what, detail, hint; $8 boolean: somebody has asked for it to be copied again; $9 boolean: changes may be missing. Lowest server version: 10.
SELECT rebeco.table_pause($1, $2::bigint, $3::int, $4, $5, $6, $7), rebeco.table_ask($1, $3::int, $8::boolean), rebeco.table_lose($1, $3::int, $9::boolean)
