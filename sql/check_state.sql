-- What an earlier run has left in a database.
-- Result: fact text (state), value json (true when our tables are there and can be read).
-- Lowest server version: 10.
SELECT 'state' AS fact, to_json(count(*) = 3
           AND coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')), false)) AS value
  FROM pg_catalog.pg_namespace n
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r'
   AND c.relname IN ('version', 'sync', 'consumer')
 WHERE n.nspname = 'rebeco'
