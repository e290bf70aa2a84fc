-- Which captures this sync reads, as the source knows them.
-- $1 text: consumer. Result: id int, relation bigint, records text, two_way boolean (read for a two-way sync). Lowest server version: 10.
SELECT t.capture_id AS id, c.relid::bigint AS relation, c.records, t.two_way
  FROM rebeco.consumer_table t JOIN rebeco.capture c ON c.id = t.capture_id WHERE t.consumer = $1
