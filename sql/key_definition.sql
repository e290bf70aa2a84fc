-- The statement that makes a table's key at the target what it is at the source. An index that is
-- no constraint is written anew with the target's name in front of pg_get_indexdef's own words.
-- The server may still be at work on it for a session of ours that is gone: that is awaited, and enough.
-- $1 bigint: the index at the source; $2 text, $3 text: schema and name at the target
-- Result: name text, definition text. Lowest server version: 11.
SELECT i.relname AS name,
       pg_catalog.format('DO %L', pg_catalog.format($f$
BEGIN
    LOCK TABLE %1$s IN SHARE ROW EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT 1 FROM rebeco.table_key(%2$L::pg_catalog.regclass)) THEN
        EXECUTE %3$L;
    END IF;
END$f$, r.name, r.name, d.definition)) AS definition
  FROM pg_catalog.pg_class i
  JOIN pg_catalog.pg_index x ON x.indexrelid = i.oid
  JOIN pg_catalog.pg_class t ON t.oid = x.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.oid AND k.contype IN ('p', 'u')
 CROSS JOIN LATERAL (SELECT pg_catalog.format('%I.%I', $2::text, $3::text) AS name) r
 CROSS JOIN LATERAL (
       SELECT CASE WHEN k.oid IS NOT NULL
            THEN pg_catalog.format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', $2::text, $3::text, k.conname,
                     pg_catalog.pg_get_constraintdef(k.oid))
            ELSE pg_catalog.format('CREATE UNIQUE INDEX %I ON %I.%I USING ', i.relname, $2::text, $3::text)
                 || pg_catalog.substr(pg_catalog.pg_get_indexdef(i.oid), pg_catalog.length(
                        pg_catalog.format('CREATE UNIQUE INDEX %I ON %s%I.%I USING ', i.relname,
                            CASE WHEN t.relkind = 'p' THEN 'ONLY ' ELSE '' END, n.nspname, t.relname)) + 1)
       END AS definition) d
 WHERE i.oid = $1::bigint::oid
