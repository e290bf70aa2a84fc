-- When the rows of a round were changed at this end, for the other one, which passes them on.
-- $1 int: the capture here; $2 text, $3 text: the round's snapshots here
-- Result, some rows: times json, see rebeco.chain_times(). Lowest server version: 12.
SELECT c.times::text AS times FROM rebeco.chain_times($1::int, $2::txid_snapshot, $3::txid_snapshot) c (times)
