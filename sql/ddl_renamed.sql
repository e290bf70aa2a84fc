-- A table that is called otherwise at the target, where its name at the source is somebody else's: what a migration
-- says of it would be done there to that one.
-- $1 text: sync. Result, at most one row: source text, target text, names of the table. Lowest server version: 10.
SELECT pg_catalog.format('%I.%I', t.source_schema, t.source_name) AS source, pg_catalog.format('%I.%I', t.target_schema, t.target_name) AS target
  FROM rebeco.sync_table t
 WHERE t.sync = $1::text AND (t.source_schema, t.source_name) <> (t.target_schema, t.target_name)
   AND pg_catalog.to_regclass(pg_catalog.format('%I.%I', t.source_schema, t.source_name)) IS NOT NULL
 ORDER BY t.id LIMIT 1
