-- The statements that take on exported snapshots.
-- $1 int[]: tables; $2 text[]: the snapshots' names
-- Result: id int, statement text. Lowest server version: 10.
SELECT u.id, pg_catalog.format('SET TRANSACTION SNAPSHOT %L', u.name) AS statement
  FROM ROWS FROM (pg_catalog.unnest($1::int[]), pg_catalog.unnest($2::text[])) u (id, name)
