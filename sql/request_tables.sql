-- The tables of a sync, by their names at the source.
-- $1 text: the sync
-- Result: source_schema text, source_name text. Lowest server version: 10.
SELECT t.source_schema, t.source_name
  FROM rebeco.sync_table t
 WHERE t.sync = $1
 ORDER BY t.source_schema, t.source_name
