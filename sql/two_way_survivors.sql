-- After a truncation at this end in a round: the keys that came from the other end after it.
-- $1 int: the capture here; $2 text, $3 text: the round's snapshots here
-- Result: keys json. Lowest server version: 12.
SELECT rebeco.two_way_survivors($1::int, $2::txid_snapshot, $3::txid_snapshot)::text AS keys
