-- Which captures this sync reads, as the source knows them.
-- $1 text: consumer. Result: id int, relation bigint, records text, two_way boolean (read for a two-way sync),
-- owes boolean (keys of a dropped partition are to be logged). Lowest server version: 10.
SELECT t.capture_id AS id, c.relid::bigint AS relation, c.records, t.two_way,
       EXISTS (SELECT 1 FROM rebeco.partition_gone g WHERE g.consumer = t.consumer AND g.capture_id = t.capture_id) AS owes
  FROM rebeco.consumer_table t JOIN rebeco.capture c ON c.id = t.capture_id WHERE t.consumer = $1
