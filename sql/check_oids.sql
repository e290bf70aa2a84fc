-- Which tables of the sync the target has.
-- $1 json: {source_relations [{schema, name}]}
-- Result: fact text (oids), value json [oids]. Lowest server version: 10.
SELECT 'oids' AS fact, coalesce(json_agg(c.oid::bigint), '[]') AS value
  FROM jsonb_to_recordset($1::jsonb -> 'source_relations') r (schema text, name text)
  JOIN pg_catalog.pg_namespace n ON n.nspname = r.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = r.name AND c.relkind IN ('r', 'p')
