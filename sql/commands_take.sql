-- What people ask of this sync and what has no answer yet, oldest first.
-- $1 text: sync. Result: id, verb, table_schema, table_name, key. Lowest server version: 10.
SELECT c.id, c.verb, c.table_schema, c.table_name, c.key
  FROM rebeco.command c WHERE c.sync = $1 AND c.done_at IS NULL ORDER BY c.id LIMIT 100
