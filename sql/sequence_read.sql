-- Reads all sequences of a sync at once.
-- $1 oid[]: its tables at the source; $2 boolean: the sync takes everything, so unowned sequences
-- of any schema too. Runs at the source. Result: one row: sequences, a JSON array in the order of
-- names, which the target gets as it stands (sequence_set). Lowest server version: 10.
SELECT rebeco.sequence_read($1, $2) AS sequences
