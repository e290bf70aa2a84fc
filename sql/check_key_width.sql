-- Key columns at the source that have no sequence and, by the planner's statistics, are near the
-- end of their number type.
-- $1 json: {oids [tables]}
-- Result: code text, object text, detail text. Lowest server version: 12.
WITH keys AS MATERIALIZED (
    SELECT n.nspname, c.relname, a.attname, a.atttypid,
           CASE a.atttypid WHEN 'int2'::regtype THEN 32767 ELSE 2147483647 END AS maximum
      FROM jsonb_array_elements_text($1::jsonb -> 'oids') o
      JOIN pg_catalog.pg_class c ON c.oid = o::oid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
     WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype)
       AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
                          AND d.refclassid = 'pg_catalog.pg_class'::regclass
                          AND d.refobjid = c.oid AND d.refobjsubid = a.attnum)
), highest AS (
    SELECT k.*, (SELECT max(v) FROM unnest(s.histogram_bounds::text::bigint[]) v) AS value
      FROM keys k
      JOIN pg_catalog.pg_stats s ON s.schemaname = k.nspname AND s.tablename = k.relname AND s.attname = k.attname
)
SELECT 'key-near-limit' AS code, format('%I.%I', h.nspname, h.relname) AS object,
       format('column %I %s reaches at least %s of %s', h.attname, h.atttypid::regtype, h.value, h.maximum) AS detail
  FROM highest h WHERE h.value > 0.8 * h.maximum
