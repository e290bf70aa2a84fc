-- Which columns of conflict.counters cannot be counters, and why.
-- $1 json: {counters [{schema, name, columns [names]}]}, from check_merge.c
-- Result: code text, object text, detail text. Lowest server version: 12.
SELECT 'counter-column' AS code, pg_catalog.concat_ws('.', t.schema, t.name, n.name) AS object,
       CASE WHEN a.attnum IS NULL THEN 'there is no such column'
            WHEN k.is_key THEN 'it is a column of the primary key'
            WHEN a.attgenerated <> '' THEN 'it is a generated column'
            WHEN k.refers THEN 'it is a column of a foreign key'
            ELSE pg_catalog.format('it is of type %s', pg_catalog.format_type(a.atttypid, a.atttypmod)) END AS detail
  FROM pg_catalog.json_to_recordset($1::json -> 'counters') t (schema text, name text, columns json)
 CROSS JOIN LATERAL pg_catalog.json_array_elements_text(t.columns) n (name)
  JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.to_regclass(pg_catalog.format('%I.%I', t.schema, t.name))
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attname = n.name AND a.attnum > 0 AND NOT a.attisdropped
 CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_index i
                        WHERE i.indrelid = r.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)) AS is_key,
               EXISTS (SELECT 1 FROM pg_catalog.pg_constraint f
                        WHERE f.conrelid = r.oid AND f.contype = 'f' AND a.attnum = ANY (f.conkey)) AS refers) k
 CROSS JOIN LATERAL (
        WITH RECURSIVE down AS (
            SELECT y.oid, y.typtype, y.typbasetype FROM pg_catalog.pg_type y WHERE y.oid = a.atttypid
            UNION ALL
            SELECT y.oid, y.typtype, y.typbasetype FROM down d JOIN pg_catalog.pg_type y ON y.oid = d.typbasetype WHERE d.typtype = 'd')
        SELECT EXISTS (SELECT 1 FROM down WHERE oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)) AS counts) y
 WHERE a.attnum IS NULL OR k.is_key OR a.attgenerated <> '' OR k.refers OR NOT y.counts
 ORDER BY 2
