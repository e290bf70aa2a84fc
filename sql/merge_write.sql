-- Writes rows of which both ends' changes are kept.
-- $1 int: the capture here; $2 json: keys with what is to be done, see rebeco.merge_row(); $3 boolean: remove the
-- rows and put them in again; $4 boolean: once more in this transaction, so that the sums are there
-- Result: rows bigint. Lowest server version: 12.
SELECT rebeco.merge_write($1::int, $2::json, $3::boolean, $4::boolean) AS rows
