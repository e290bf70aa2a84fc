-- What a chunk is read from, as it is now, whatever snapshot this transaction has.
-- $1 bigint: table or partition
-- Result: name text, quoted (NULL: it is gone), filenode bigint. Lowest server version: 12.
SELECT CASE WHEN f.file IS NOT NULL THEN $1::bigint::oid::regclass::text END AS name, f.file AS filenode
  FROM (SELECT rebeco.image_file($1::bigint::oid) AS file) f
