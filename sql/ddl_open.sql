-- Begins a migration, or finds the one that was begun with the same text and is not finished.
-- $1 text: sync; $2 text: the file
-- Result: run text (NULL: another one must be finished first), other text (how that one stands).
-- Lowest server version: 10.
SELECT o.run, o.other FROM rebeco.ddl_open($1, $2) o
