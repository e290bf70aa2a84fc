-- The rows that a sync has left out at this end, because it refused them. An older version may have made the table:
-- columns that came later are asked for by name.
-- $1 text: the sync
-- Result: label text (of a table), rows bigint, keys text (of some). Lowest server version: 10.
SELECT pg_catalog.format('%I.%I', s.table_schema, s.table_name) AS label,
       pg_catalog.sum(coalesce((pg_catalog.to_jsonb(s) ->> 'copies')::bigint, 1))::bigint AS rows,
       pg_catalog.string_agg(CASE s.ordinal WHEN 11 THEN '...' ELSE pg_catalog.left(s.key, 200) END, ', ' ORDER BY s.id)
           FILTER (WHERE s.ordinal <= 11) AS keys
  FROM (SELECT k.*, pg_catalog.row_number() OVER (PARTITION BY k.table_schema, k.table_name ORDER BY k.id) AS ordinal
          FROM rebeco.skipped k WHERE k.sync = $1 AND k.settled_at IS NULL) s
 GROUP BY s.table_schema, s.table_name
 ORDER BY 1
