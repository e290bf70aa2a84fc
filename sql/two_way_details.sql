-- Which of these keys were changed at this end in a round, when, and what the rows are; and about how many of them a page is.
-- $1 int: the capture here; $2 text, $3 text: the round's snapshots here; $4 json: keys; $5 int: of how many slices they are one;
-- $6 text: the sync, if the last round did not get through in this direction and `skip` may have been decided, else NULL;
-- $7 bigint: a page ends where it comes to so many bytes
-- Result: details json, done int. Lowest server version: 12.
SELECT p.details::text, p.done FROM rebeco.two_way_page($1::int, $2::txid_snapshot, $3::txid_snapshot, $4::json, $5::int, $6, 'source', $7::bigint) p
