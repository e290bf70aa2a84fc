-- Which of these keys were changed at this end in a round, when, and what the rows are.
-- $1 int: the capture here; $2 text, $3 text: the round's snapshots here; $4 json: keys; $5 int: of how many slices they are one;
-- $6 text: the sync, if the last round did not get through in this direction and `skip` may have been decided, else NULL
-- Result: details json. Lowest server version: 12.
SELECT rebeco.two_way_details($1::int, $2::txid_snapshot, $3::txid_snapshot, $4::json, $5::int, $6, 'source')::text AS details
