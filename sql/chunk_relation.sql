-- What a chunk is read from, as it is now, whatever snapshot this transaction has.
-- $1 bigint: table or partition
-- Result: name text, quoted (NULL: it is gone), filenode bigint. Lowest server version: 10.
SELECT CASE WHEN pg_catalog.pg_relation_filenode($1::bigint::oid) IS NOT NULL THEN $1::bigint::oid::regclass::text END AS name,
       pg_catalog.pg_relation_filenode($1::bigint::oid)::bigint AS filenode
