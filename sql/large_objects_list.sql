-- The next large objects of the source, in the order of their numbers.
-- $1 bigint: the first number that counts
-- Result: oids oid[], last text (up to where nothing is left out), has_more text (t or f). Lowest server version: 10.
SELECT coalesce(pg_catalog.array_agg(o.oid ORDER BY o.oid), '{}') AS oids,
       CASE WHEN pg_catalog.count(*) = 1000 THEN pg_catalog.max(o.oid::bigint) ELSE 4294967295 END::text AS last,
       CASE WHEN pg_catalog.count(*) = 1000 THEN 't' ELSE 'f' END AS has_more
  FROM (SELECT m.oid FROM pg_catalog.pg_largeobject_metadata m
         WHERE m.oid >= least($1::bigint, 4294967295)::oid AND m.oid::bigint >= $1::bigint
         ORDER BY m.oid LIMIT 1000) o
