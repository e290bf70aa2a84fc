-- Reads a page of the keys of a dropped partition, at the end where its rows still are.
-- $1 text, $2 text: schema and name of the table there; $3 text: what the rows fulfil; $4 text[]: the key; $5 json: the last key of
-- the page before, NULL: none; $6 int: how many at most; in a two-way sync $7 int: the capture there, and $8 text: the other end's position
-- Result: keys text (json), last text (json: the page's last key; NULL: no other page follows). Lowest server version: 12.
SELECT p.keys::text AS keys, p.last::text AS last
  FROM rebeco.partition_keys(format('%I.%I', $1::text, $2::text)::regclass, $3, $4::text[], $5::json, $6::int, $7::int, $8::txid_snapshot) p
