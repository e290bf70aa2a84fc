-- Which of these rows may arrive at this end later than what was changed with them.
-- $1 int: the capture here; $2 json: what sql/two_way_hot.sql says at the other end
-- Result: hot json, those that may. Lowest server version: 12.
SELECT rebeco.two_way_may_wait($1::int, $2::json)::text AS hot
