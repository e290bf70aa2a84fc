-- Which rows of this end refer to rows that were removed at the other one, and what becomes of both.
-- $1 json: tables; $2 text: the round's snapshot here; $3 json: rows that are known to be needed
-- Result: orphans json, see rebeco.two_way_orphans(). Lowest server version: 12.
SELECT rebeco.two_way_orphans($1::json, $2::txid_snapshot, $3::json)::text AS orphans
