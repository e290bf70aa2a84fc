-- The statements that create the source's extensions elsewhere, in the order of their creation and
-- in the schemas that they have here: other objects name them with it.
-- $1 json: [{id, oid}, ...]: dump id and extension
-- Result: statements text, a json for rebeco.schema_run(). Lowest server version: 10.
SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('id', e.id, 'text',
           pg_catalog.concat(
               CASE WHEN n.nspname !~ '^pg_' AND d.objid IS NULL
                    THEN pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I; ', n.nspname) END,
               pg_catalog.format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I', x.extname, n.nspname)))
           ORDER BY x.oid), '[]')::text AS statements
  FROM pg_catalog.json_to_recordset($1::json) AS e (id int, oid bigint)
  JOIN pg_catalog.pg_extension x ON x.oid = e.oid::oid
  JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
  LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
   AND d.objid = n.oid AND d.deptype = 'e'
