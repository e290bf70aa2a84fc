-- The end of the batch: the snapshot of this transaction, first thing in it.
-- Result: until text, taken_at text, insert_lsn text, has_running boolean (a transaction was
-- writing at that moment that is older than the last one which has ended), epoch double precision (the server's clock). Lowest server version: 10.
SELECT s.s::text AS until, pg_catalog.clock_timestamp()::text AS taken_at,
       pg_catalog.pg_current_wal_insert_lsn()::text AS insert_lsn,
       pg_catalog.txid_snapshot_xmin(s.s) < pg_catalog.txid_snapshot_xmax(s.s) AS has_running,
       extract(epoch FROM pg_catalog.clock_timestamp()) AS epoch
  FROM (SELECT pg_catalog.txid_current_snapshot() AS s) s
