-- Says that the daemon sleeps: the next writer sends NOTIFY rebeco_wake. After this, and in a new
-- statement, look once more for changes. Transactions that run at that moment may have written before and
-- send nothing when they commit: sleep deeply only when that snapshot has none of them
-- (txid_snapshot_xip is empty), else poll on.
-- Result: notifies boolean; false where prepared transactions are possible: there nobody sends
-- NOTIFY, and the daemon has to look at capture_await now and then; xid bigint: of this transaction.
-- The order matters: setval takes that xid while it holds the sequence, so that whoever has read the value before has a smaller one,
-- and is seen to run after this has ended; asked for before, it would not be. Lowest server version: 10.
SELECT pg_catalog.setval('rebeco.nap', 1) IS NOT NULL AND current_setting('max_prepared_transactions') = '0' AS notifies,
       pg_catalog.txid_current() AS xid
