-- After the batch's transaction: are the tables still what they were in its snapshot? A table that
-- was rewritten or truncated after the snapshot looked empty in it, and one whose columns were
-- renamed was read under its new names. And is everything that the snapshot saw safe on disk?
-- $1 bigint[]: tables; $2 int[]: their captures; $3 text: WAL position when the snapshot was taken
-- Result, always at least one row: id int (NULL without tables), stamp text, is_flushed boolean.
-- Lowest server version: 10.
SELECT t.id, CASE WHEN t.id IS NOT NULL THEN rebeco.table_stamp(t.relation::oid) END AS stamp, f.is_flushed
  FROM (SELECT pg_catalog.pg_current_wal_flush_lsn() >= $3::pg_lsn AS is_flushed) f
  LEFT JOIN unnest($1::bigint[], $2::int[]) t (relation, id) ON true
