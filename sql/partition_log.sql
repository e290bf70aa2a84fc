-- Logs a page of the keys of a dropped partition.
-- $1 text: the consumer; $2 bigint: which partition, of partition_gone.sql; $3 json: keys; $4 json: the last one, NULL: this is the last page;
-- $5 text: in a two-way sync the position of what the other end has, else NULL
-- Result: logged bigint, so far (NULL: nothing is owed any more). Lowest server version: 12.
SELECT rebeco.partition_log($1, $2::bigint, $3::json, $4::json, $5::txid_snapshot) AS logged
