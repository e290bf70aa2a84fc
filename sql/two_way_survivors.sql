-- After a truncation at this end in a round: the keys that it has all the same.
-- $1 int: the capture here
-- Result: keys json. Lowest server version: 12.
SELECT rebeco.two_way_survivors($1::int)::text AS keys
