-- Is everything that a snapshot saw safe on the source's disk? A transaction that a crash loses leaves
-- its number to another one, and that one would count as seen.
-- $1 text: WAL position when the snapshot was taken. Result: is_flushed boolean. Lowest server version: 10.
SELECT pg_catalog.pg_current_wal_flush_lsn() >= $1::pg_lsn AS is_flushed
