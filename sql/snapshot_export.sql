-- Exports this transaction's snapshot, as the statement that takes it on in another one.
-- Result: statement text, name text. Lowest server version: 10 (on a standby too).
SELECT pg_catalog.format('SET TRANSACTION SNAPSHOT %L', s) AS statement, s AS name
  FROM pg_catalog.pg_export_snapshot() s
