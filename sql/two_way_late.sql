-- What was changed at this end after the snapshot of a round, and is committed by now.
-- $1 int[]: captures here; $2 text: the snapshot; $3 json: {"capture": rows that the round merges here}
-- Result: late json, empty mostly. Lowest server version: 12.
SELECT rebeco.two_way_late($1::int[], $2::txid_snapshot, $3::json)::text AS late
