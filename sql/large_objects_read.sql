-- Reads pieces of large objects. At the source.
-- $1 oid[]: the objects; $2 bigint: the first that is not read yet; $3 bigint: where in it;
-- $4 int: about how many bytes
-- Result: oids oid[], places bigint[], pieces bytea[], is_last boolean[], refusals text[], abouts text[],
-- next_oid text, next_place text (NULL: all are read). Lowest server version: 10.
SELECT r.oids, r.places, r.pieces, r.is_last, r.refusals, r.abouts,
       r.next_oid::text AS next_oid, r.next_place::text AS next_place
  FROM rebeco.large_objects_read($1::oid[], $2::bigint, $3::bigint, $4::int) r
