-- The tables of the users at the source, from which the sync's patterns choose. Partitions are part
-- of their root; temporary tables, ours and those of extensions are not the users'.
-- $1 json: {schema: the schema that holds our objects}
-- Result: oid bigint, schema text, name text, kind text (r, p, or f for a foreign table).
-- Lowest server version: 10.
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', $1::jsonb ->> 'schema')
   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname
