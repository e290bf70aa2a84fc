-- Columns at the source that are treated in a special way.
-- $1 json: {oids [tables]}
-- Result: code text, object text, detail text. Lowest server version: 12.
WITH columns AS MATERIALIZED (
    SELECT format('%I.%I', n.nspname, c.relname) AS object, a.attnum, a.attgenerated, a.attidentity,
           quote_ident(a.attname) AS name, format_type(a.atttypid, a.atttypmod) AS type,
           coalesce(e.oid, t.oid) AS base, coalesce(e.typtype, t.typtype) AS typtype
      FROM jsonb_array_elements_text($1::jsonb -> 'oids') o
      JOIN pg_catalog.pg_class c ON c.oid = o::oid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
)
SELECT 'generated-column' AS code, c.object, 'column ' || string_agg(c.name, ', ' ORDER BY c.attnum) AS detail
  FROM columns c WHERE c.attgenerated <> '' GROUP BY c.object
UNION ALL
SELECT 'identity-always', c.object, 'column ' || string_agg(c.name, ', ' ORDER BY c.attnum)
  FROM columns c WHERE c.attidentity = 'a' GROUP BY c.object
UNION ALL
SELECT 'text-copy', c.object, 'column ' || string_agg(c.name || ' ' || c.type, ', ' ORDER BY c.attnum)
  FROM columns c WHERE c.attgenerated = '' AND c.base >= 16384 AND c.typtype <> 'e' GROUP BY c.object
