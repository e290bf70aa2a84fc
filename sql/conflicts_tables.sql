-- The tables of a sync in which conflicts are on record.
-- $1 text: the sync. Result: table_schema text, table_name text. Lowest server version: 12.
SELECT DISTINCT c.table_schema, c.table_name FROM rebeco.conflict c WHERE c.sync = $1
