-- Which of the source's large objects are to be read. At the target; removes those that are gone.
-- $1 text: the sync; $2 bigint: our owner number; $3 bigint, $4 bigint: the numbers that this is about;
-- $5 oid[]: those that the source has among these
-- Result: oids oid[], count text. Lowest server version: 10.
SELECT p.oids, pg_catalog.cardinality(p.oids)::text AS count
  FROM rebeco.large_objects_page($1, $2::bigint, $3::bigint, $4::bigint, $5::oid[]) p (oids)
