-- The statement that makes a table's key at the target what it is at the source. An index that is
-- no constraint is written anew with the target's name in front of pg_get_indexdef's own words.
-- $1 bigint: the index at the source; $2 text, $3 text: schema and name at the target
-- Result: name text, definition text. Lowest server version: 11.
SELECT i.relname AS name,
       CASE WHEN k.oid IS NOT NULL
            THEN pg_catalog.format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', $2::text, $3::text, k.conname,
                     pg_catalog.pg_get_constraintdef(k.oid))
            ELSE pg_catalog.format('CREATE UNIQUE INDEX %I ON %I.%I USING ', i.relname, $2::text, $3::text)
                 || pg_catalog.substr(pg_catalog.pg_get_indexdef(i.oid), pg_catalog.length(
                        pg_catalog.format('CREATE UNIQUE INDEX %I ON %s%I.%I USING ', i.relname,
                            CASE WHEN t.relkind = 'p' THEN 'ONLY ' ELSE '' END, n.nspname, t.relname)) + 1)
       END AS definition
  FROM pg_catalog.pg_class i
  JOIN pg_catalog.pg_index x ON x.indexrelid = i.oid
  JOIN pg_catalog.pg_class t ON t.oid = x.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.oid AND k.contype IN ('p', 'u')
 WHERE i.oid = $1::bigint::oid
