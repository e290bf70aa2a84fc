-- Tables at the source without a key that identifies a row, and why each unique index is none; and
-- tables without a column that could be copied.
-- $1 json: {oids [tables], two_way}
-- Result: code text, object text, detail text. Lowest server version: 12.
WITH tables AS MATERIALIZED (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS object,
           EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS has_columns
      FROM jsonb_array_elements_text($1::jsonb -> 'oids') t
      JOIN pg_catalog.pg_class c ON c.oid = t::oid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
), indexes AS MATERIALIZED (
    SELECT i.indrelid, c.relname,
           concat_ws(', ',
               CASE WHEN NOT i.indisvalid THEN 'it is invalid' END,
               CASE WHEN i.indpred IS NOT NULL THEN 'it is partial' END,
               CASE WHEN i.indexprs IS NOT NULL THEN 'it is on an expression' END,
               'may be NULL: ' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                                     FROM pg_catalog.pg_attribute a
                                    WHERE a.attrelid = i.indrelid AND a.attnum > 0
                                      AND (NOT a.attnotnull OR EXISTS (SELECT 1 FROM pg_catalog.pg_constraint v
                                               WHERE v.conrelid = a.attrelid AND v.contype = 'n' AND NOT v.convalidated AND v.conkey[1] = a.attnum))
                                      AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])),
               'generated: ' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                                   FROM pg_catalog.pg_attribute a
                                  WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND a.attgenerated <> ''
                                    AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))) AS why_not
      FROM tables t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid AND i.indisunique
      JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
)
SELECT CASE WHEN ($1::jsonb ->> 'two_way')::boolean THEN 'two-way-no-key' ELSE 'no-key' END AS code, t.object,
       coalesce('unique indexes, but none will do: '
                || string_agg(format('%I (%s)', i.relname, i.why_not), '; ' ORDER BY i.relname)
                       FILTER (WHERE i.relname IS NOT NULL),
                'it has no unique index') AS detail
  FROM tables t LEFT JOIN indexes i ON i.indrelid = t.oid
 WHERE t.has_columns
 GROUP BY t.oid, t.object
HAVING coalesce(bool_and(i.why_not <> ''), true)
UNION ALL
SELECT 'no-columns', t.object, 'there is none that is not generated'
  FROM tables t
 WHERE NOT t.has_columns
