-- Which rows of a round were skipped in an earlier one that went through at this end only.
-- $1 int: the capture here; $2 text, $3 text: the round's snapshots here; $4 text: sync; $5 text: source or target, which
-- end this is; $6 text, $7 text: schema and name; $8 json: keys that were decided about in this round, or are left out
-- Result: skipped json, see rebeco.two_way_skipped(). Lowest server version: 12.
SELECT rebeco.two_way_skipped($1::int, $2::txid_snapshot, $3::txid_snapshot, $4, $5, $6, $7, $8::json)::text AS skipped
