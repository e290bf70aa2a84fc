-- This end has a migration: in its transaction, before its statements.
-- $1 text: its run. Result: xid text, the transaction. Lowest server version: 10.
INSERT INTO rebeco.ddl_done (run) VALUES ($1) RETURNING pg_catalog.txid_current()::text AS xid
