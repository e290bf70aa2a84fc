-- Where the source's WAL is now: what is installed lies before it.
-- Result: lsn text. Lowest server version: 10.
SELECT pg_catalog.pg_current_wal_insert_lsn()::text AS lsn
