-- The first of the dropped partitions of a captured table of which this reader owes keys.
-- $1 text: the consumer; $2 int: the capture
-- Result: at most one row: id bigint, name text, bounds text (what its rows fulfil), key_columns text, an array,
-- after text (json: the last key that was logged; NULL: none). Lowest server version: 12.
SELECT g.id, g.name, g.bounds, c.key_columns::text AS key_columns, g.after::text AS after
  FROM rebeco.partition_gone g JOIN rebeco.capture c ON c.id = g.capture_id
 WHERE g.consumer = $1 AND g.capture_id = $2::int
 ORDER BY g.id LIMIT 1
