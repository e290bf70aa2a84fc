-- The tables of a sync, by their names at the source: those that have a part in it, and those that wait
-- for a person before they can have one.
-- $1 text: the sync
-- Result: source_schema text, source_name text. Lowest server version: 10.
SELECT t.source_schema, t.source_name
  FROM rebeco.sync_table t
 WHERE t.sync = $1
 UNION
SELECT e.doc ->> 'schema', e.doc ->> 'name'
  FROM rebeco.status s CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(s.doc -> 'tables') e (doc)
 WHERE s.sync = $1 AND e.doc ->> 'schema' <> ''
 ORDER BY 1, 2
