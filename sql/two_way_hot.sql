-- Which rows that are changed at the other end all the time were changed at this one in a round.
-- $1 int: the capture here; $2 text, $3 text: the round's snapshots here; $4 json: their keys; $5 json: keys that are left
-- out of the round anyway
-- Result: hot json, see rebeco.two_way_hot(). Lowest server version: 12.
SELECT rebeco.two_way_hot($1::int, $2::txid_snapshot, $3::txid_snapshot, $4::json, $5::json)::text AS hot
