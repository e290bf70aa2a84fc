-- Tries the rows of a table without a key again that are left out.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table; $4 text, $5 text: its schema and name at the
-- target; $6 text[]: its columns; $7 boolean: its triggers are to fire
-- Result: key_hash text, error text (NULL: they are at the target now). Lowest server version: 10.
SELECT r.key_hash, r.error FROM rebeco.skip_retry($1, $2::bigint, $3::int, $4, $5, $6::text[], $7::boolean) r
