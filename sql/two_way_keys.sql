-- The keys that were changed at this end in a round.
-- $1 int: the capture here; $2 text, $3 text: the round's snapshots here; $4 json: keys to choose from, NULL:
-- all; $5 boolean: with all that were changed here; $6 boolean: with all that are given; $7 int, $8 int:
-- which slice of how many, of all that were changed here
-- Result: keys json. Lowest server version: 12.
SELECT rebeco.two_way_keys($1::int, $2::txid_snapshot, $3::txid_snapshot, $4::json, $5::boolean, $6::boolean, $7::int, $8::int)::text AS keys
