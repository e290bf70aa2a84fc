-- Splits a table into ranges of blocks, about $3 bytes each; each partition is split by itself.
-- Ranges of blocks need a server that scans them without reading the rest (14 and newer); an older
-- one gets one chunk per table or partition.
-- $1 bigint: the table; $2 boolean: may be split, else it is one chunk with all its partitions; $3 bigint: bytes of a chunk
-- Result: chunks json [{relation, filenode, lower, upper, bytes}]. The last range has no end: the table may
-- have grown. Lowest server version: 12.
WITH whole AS (
    SELECT r.oid::bigint AS relation, rebeco.image_file(r.oid) AS filenode,
           (SELECT coalesce(pg_catalog.sum(pg_catalog.pg_table_size(t.relid)), 0)::bigint FROM pg_catalog.pg_partition_tree(r.oid) t) AS all_bytes
      FROM pg_catalog.pg_class r WHERE r.oid = $1::bigint::oid AND r.relkind = 'p' AND NOT $2::boolean
), leaf AS (
    SELECT c.oid::bigint AS relation, pg_catalog.pg_relation_filenode(c.oid)::bigint AS filenode,
           pg_catalog.pg_relation_size(c.oid) AS bytes, pg_catalog.pg_table_size(c.oid) AS all_bytes,
           pg_catalog.current_setting('block_size')::bigint AS block
      FROM pg_catalog.pg_class r
     CROSS JOIN LATERAL (SELECT t.relid FROM pg_catalog.pg_partition_tree(r.oid) t WHERE r.relkind = 'p' AND t.isleaf AND $2::boolean
                          UNION ALL SELECT r.oid WHERE r.relkind = 'r') l
      JOIN pg_catalog.pg_class c ON c.oid = l.relid AND c.relkind = 'r'
     WHERE r.oid = $1::bigint::oid
), split AS (
    SELECT leaf.*, CASE WHEN $2::boolean AND pg_catalog.current_setting('server_version_num')::int >= 140000
                        THEN least(greatest(all_bytes / $3::bigint, 1), greatest(bytes / block, 1), 10000) ELSE 1 END AS parts
      FROM leaf
)
SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
           'relation', s.relation, 'filenode', s.filenode,
           'lower', CASE WHEN p.n > 0 THEN s.bytes / s.block * p.n / s.parts END,
           'upper', CASE WHEN p.n < s.parts - 1 THEN s.bytes / s.block * (p.n + 1) / s.parts END,
           'bytes', s.all_bytes / s.parts) ORDER BY s.all_bytes DESC, s.relation, p.n), '[]') AS chunks
  FROM (SELECT relation, filenode, bytes, all_bytes, block, parts FROM split
        UNION ALL SELECT relation, filenode, 0, all_bytes, 1, 1 FROM whole) s
 CROSS JOIN LATERAL pg_catalog.generate_series(0, s.parts - 1) p (n)
