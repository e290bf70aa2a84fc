-- Which of the keys that the other end has changed too late are written there by this round.
-- $1 int: the capture here; $2 text, $3 text: the round's snapshots here; $4 json: those keys; $5 json: keys that are left
-- out of the round
-- Result: keys json. Lowest server version: 12.
SELECT rebeco.two_way_keys($1::int, $2::txid_snapshot, $3::txid_snapshot, rebeco.two_way_without($1::int, $4::json, $5::json), false, false)::text AS keys
