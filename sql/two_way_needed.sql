-- Which rows of this end cannot go with their parents.
-- $1 json: rows
-- Result: needed json, see rebeco.two_way_needed(). Lowest server version: 12.
SELECT rebeco.two_way_needed($1::json)::text AS needed
