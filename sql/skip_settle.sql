-- Rows that were left out have changed with this batch, and are right at the target when none is left.
-- $1 text: sync; $2 int: table; $3 text[]: hashes of their keys; $4 bigint[], $5 bigint[]: how many copies of
-- them were left out before it, and are after it; $4 is NULL where the table has a key.
-- Result: of no interest. Lowest server version: 10.
SELECT rebeco.skip_settle($1, $2::int, $3::text[], $4::bigint[], $5::bigint[])
