-- Makes a capture merge rows, or end with it. A transaction of its own, with a short lock_timeout.
-- $1 int: the capture; $2 boolean: column by column; $3 json: names of columns that are counters
-- Result: one row. Lowest server version: 12.
SELECT rebeco.merge_set($1::int, $2::boolean, ARRAY(SELECT pg_catalog.json_array_elements_text($3::json)))
