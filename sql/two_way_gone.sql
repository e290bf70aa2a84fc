-- What was removed at this end in a round.
-- $1 json: tables; $2 text: the round's snapshot here
-- Result: gone json, see rebeco.two_way_gone(). Lowest server version: 12.
SELECT rebeco.two_way_gone($1::json, $2::txid_snapshot)::text AS gone
