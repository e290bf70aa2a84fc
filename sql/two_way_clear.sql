-- Empties a table that was truncated at the other end, except for rows that win against it, and those
-- that the other end has all the same.
-- $1 int: the capture here; $2 json, $3 json: keys of both. Lowest server version: 12.
SELECT rebeco.two_way_clear($1::int, $2::json, $3::json)
