-- Empties a table at the target, because it is copied again.
-- $1 text, $2 text: schema and name; $3 boolean: in a two-way sync, where that is not sent back;
-- $4 text: the pair of syncs, as in sql/session_apply.sql; $5 bigint: the table, and no other one with its name
-- Result: emptied text, a snapshot. Lowest server version: 10.
SELECT rebeco.table_empty($1, $2, $3::boolean, $4, $5::bigint::oid) AS emptied
