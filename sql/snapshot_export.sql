-- Exports this transaction's snapshot, as the statement that takes it on in another one.
-- Result: statement text. Lowest server version: 10 (on a standby too).
SELECT pg_catalog.format('SET TRANSACTION SNAPSHOT %L', pg_catalog.pg_export_snapshot()) AS statement
