-- The change logs, each with a statement that drops it: one by one, since dropping hundreds of
-- tables at once needs more locks than a server may have room for.
-- Result, a row per table: label text, statement text. Lowest server version: 10.
SELECT c.oid::regclass::text AS label,
       pg_catalog.format('DROP TABLE IF EXISTS %s CASCADE', c.oid::regclass) AS statement
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'rebeco' AND c.relkind = 'r' AND c.relname ~ '^log_[0-9]+_[01]$'
 ORDER BY c.oid
