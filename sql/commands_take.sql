-- What people ask of this sync and what has no answer yet, oldest first. Those that wait for something already are left out:
-- where nothing ends their waiting, they would hide the request that does.
-- $1 text: sync; $2 bigint[]: ids that are left out. Result: id, verb, table_schema, table_name, key. Lowest server version: 10.
SELECT c.id, c.verb, c.table_schema, c.table_name, c.key
  FROM rebeco.command c WHERE c.sync = $1 AND c.done_at IS NULL AND c.id <> ALL ($2::bigint[]) ORDER BY c.id LIMIT 100
