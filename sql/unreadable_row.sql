-- Which row of a table's changes the source cannot read.
-- $1 text: the statement that reads them; $2 bigint, $3 bigint[]: its parameters
-- Result: row text, NULL for none. Lowest server version: 10.
SELECT rebeco.unreadable_row($1, $2::bigint, $3::bigint[]) AS row
