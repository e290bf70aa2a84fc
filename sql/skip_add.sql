-- Records that a row is left out.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table; $4 text, $5 text: its schema and name at the
-- source; $6 text: key; $7 text: row; $8 text: write or delete; $9 text: error; $10 text: sqlstate;
-- $11 text, $12 text: hashes of key and row; $13 bigint: the request; $14 text: without a key, the row's image in hexadecimal; $15 boolean: it has none
-- Result: number bigint. Lowest server version: 10.
SELECT rebeco.skip_add($1, $2::bigint, s, $13::bigint) AS number
  FROM pg_catalog.jsonb_populate_record(NULL::rebeco.skipped, pg_catalog.jsonb_build_object('table_id', $3::int,
           'table_schema', $4::text, 'table_name', $5::text, 'key', $6::text, 'row', $7::text, 'operation', $8::text,
           'error', $9::text, 'sqlstate', $10::text, 'key_hash', $11::text, 'row_hash', $12::text,
           'image', '\x' || $14::text, 'copies', CASE WHEN $15::boolean THEN 0 END)) s
