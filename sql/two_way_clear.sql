-- Empties a table that was truncated at the other end, except for rows that win against it, those
-- that the other end has all the same, and those that were changed here meanwhile.
-- $1 int: the capture here; $2 json, $3 json: keys of the first two; $4 text: the round's snapshot here. Lowest server version: 12.
SELECT rebeco.two_way_clear($1::int, $2::json, $3::json, $4::txid_snapshot)
