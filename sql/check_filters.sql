-- Can the source evaluate the conditions of tables.where? The first that it cannot is its error.
-- $1 json: {filters [{schema, name, where}]}
-- Result: code text, object text, detail text: never a row. Lowest server version: 10.
SELECT NULL::text AS code, NULL::text AS object, NULL::text AS detail
  FROM jsonb_to_recordset($1::jsonb -> 'filters') f (schema text, name text, "where" text)
 CROSS JOIN LATERAL (SELECT pg_catalog.query_to_xml(
            pg_catalog.format(E'SELECT 1 FROM %I.%I WHERE (%s\n) LIMIT 0', f.schema, f.name, f."where"), true, false, '') AS answer) q
 WHERE q.answer IS NULL
