-- Columns that the tables of both ends do not have in common.
-- $1 json: {source_relations (see check_relations.sql)}
-- Result: code text, object text, detail text. Lowest server version: 12.
WITH source AS MATERIALIZED (
    SELECT c.oid, format('%I.%I', s.schema, s.name) AS object, a.name::name, a.type, a.not_null, a.generated, a.expression
      FROM jsonb_to_recordset($1::jsonb -> 'source_relations') s (schema text, name text, columns jsonb)
      JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.name AND c.relkind IN ('r', 'p')
     CROSS JOIN LATERAL jsonb_to_recordset(s.columns) a (name text, type text, not_null boolean, generated boolean, expression text)
), here AS MATERIALIZED (
    SELECT o.oid, o.object, a.attname, a.attnum, a.attnotnull, a.attgenerated <> '' AS generated,
           a.atthasdef OR a.attidentity <> '' AS has_default, a.atttypid, a.atttypmod,
           CASE WHEN a.attgenerated <> '' THEN pg_get_expr(e.adbin, e.adrelid) END AS expression
      FROM (SELECT DISTINCT s.oid, s.object FROM source s) o
      JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_catalog.pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
), types AS MATERIALIZED (
    SELECT y.atttypid, y.atttypmod,
           CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                              WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.deptype = 'e'
                                AND d.objid = CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE t.oid END)
                THEN regexp_replace(format_type(y.atttypid, y.atttypmod), '^("([^"]|"")*"|[^".]+)\.', '')
                ELSE format_type(y.atttypid, y.atttypmod) END AS name
      FROM (SELECT DISTINCT h.atttypid, h.atttypmod FROM here h) y
      JOIN pg_catalog.pg_type t ON t.oid = y.atttypid
), pairs AS MATERIALIZED (
    SELECT coalesce(s.object, h.object) AS object, coalesce(s.name, h.attname) AS name,
           s.name IS NOT NULL AS at_source, h.attname IS NOT NULL AS at_target,
           s.type AS source_type, y.name AS target_type, s.not_null AS source_not_null, h.attnotnull AS target_not_null,
           s.generated AS source_generated, h.generated AS target_generated, h.has_default,
           s.expression AS source_expression, h.expression AS target_expression
      FROM source s FULL JOIN here h ON h.oid = s.oid AND h.attname = s.name
      LEFT JOIN types y ON y.atttypid = h.atttypid AND y.atttypmod = h.atttypmod
)
SELECT 'target-column-missing' AS code, p.object,
       'column ' || string_agg(quote_ident(p.name) || ' ' || p.source_type, ', ' ORDER BY p.name) AS detail
  FROM pairs p WHERE NOT p.at_target AND NOT p.source_generated GROUP BY p.object
UNION ALL
SELECT 'target-column-type', p.object,
       'column ' || string_agg(format('%I is %s at the target, %s at the source', p.name, p.target_type, p.source_type), ', ' ORDER BY p.name)
  FROM pairs p WHERE p.target_type <> p.source_type GROUP BY p.object
UNION ALL
SELECT 'target-column-generated', p.object, 'column ' || string_agg(quote_ident(p.name), ', ' ORDER BY p.name)
  FROM pairs p WHERE p.source_generated <> p.target_generated GROUP BY p.object
UNION ALL
SELECT 'target-column-expression', p.object,
       'column ' || string_agg(format('%I is %s at the target, %s at the source', p.name, p.target_expression, p.source_expression), ', ' ORDER BY p.name)
  FROM pairs p WHERE p.source_expression <> p.target_expression GROUP BY p.object
UNION ALL
SELECT 'target-column-not-null', p.object, 'column ' || string_agg(quote_ident(p.name), ', ' ORDER BY p.name)
  FROM pairs p WHERE p.target_not_null AND NOT p.source_not_null GROUP BY p.object
UNION ALL
SELECT CASE WHEN p.target_not_null AND NOT p.has_default THEN 'target-column-required' ELSE 'target-column-extra' END,
       p.object, 'column ' || string_agg(quote_ident(p.name), ', ' ORDER BY p.name)
  FROM pairs p WHERE NOT p.at_source GROUP BY p.object, p.target_not_null AND NOT p.has_default
