-- What was decided at this end in its last round with conflicts, for the other one.
-- $1 text: sync. Result: records json. Lowest server version: 12.
SELECT rebeco.conflicts_recent($1)::text AS records
