-- Takes back, in the same transaction, what was written down about rows of a table: the decision does not count.
-- $1 text: sync; $2 text, $3 text: schema and name; $4 text: the round; $5 json: their keys
-- Result: recalled bigint. Lowest server version: 12.
WITH gone AS (
    DELETE FROM rebeco.conflict c
     WHERE c.sync = $1 AND c.table_schema = $2 AND c.table_name = $3 AND c.batch = $4
       AND (c.key::jsonb IN (SELECT k.v::jsonb FROM pg_catalog.json_array_elements($5::json) k (v))) IS TRUE -- hashed
    RETURNING 1)
SELECT pg_catalog.count(*) AS recalled FROM gone
