-- What a chunk is read from, as it is now, whatever snapshot this transaction has.
-- $1 bigint: table or partition; $2 text: a WAL position, NULL: this one
-- Result: name text, quoted (NULL: it is gone), filenode bigint, lsn text: what this transaction sees was written before
-- (NULL on a standby, which has nothing that is not on another server's disk), is_flushed boolean: everything before
-- $2 is on disk. Lowest server version: 12.
SELECT CASE WHEN f.file IS NOT NULL THEN $1::bigint::oid::regclass::text END AS name, f.file AS filenode, w.lsn::text AS lsn,
       CASE WHEN w.lsn IS NOT NULL THEN pg_catalog.pg_current_wal_flush_lsn() >= coalesce($2::pg_lsn, w.lsn) ELSE true END AS is_flushed
  FROM (SELECT rebeco.image_file($1::bigint::oid) AS file) f,
       (SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn() END AS lsn OFFSET 0) w
