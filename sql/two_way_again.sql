-- Logs keys again that are left out of a round, or that the other end has to get back.
-- $1 int: the capture here; $2, $3 text: the round's snapshots; $4 json: keys, see rebeco.two_way_again()
-- Result: of no interest. Lowest server version: 12.
SELECT rebeco.two_way_again($1::int, $2::txid_snapshot, $3::txid_snapshot, $4::json)
