-- What was decided at this end in its last round with conflicts, for the other one: a page of it.
-- $1 text: sync; $2 bigint: how many bytes it may have; $3 text, $4 text: what the page before says, NULL: it is the first
-- Result: records json, round text, before bigint (NULL: this was the last). Lowest server version: 12.
SELECT r.records::text, r.round, r.before FROM rebeco.conflicts_recent($1, $2::bigint, $3, $4::bigint) r
