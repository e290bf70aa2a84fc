-- Writes pieces of large objects, and how far that is. At the target.
-- $1 text: the sync; $2 bigint: our owner number; $3 oid[], $4 bigint[], $5 bytea[], $6 boolean[], $7 text[],
-- $8 text[]: what large_objects_read gave; $9 bigint, $10 bigint: object and place to go on from
-- Result: copied bigint, bytes bigint. Lowest server version: 10.
SELECT c.copied, c.bytes
  FROM rebeco.large_objects_write($1, $2::bigint, $3::oid[], $4::bigint[], $5::bytea[], $6::boolean[], $7::text[], $8::text[],
                                  $9::bigint, $10::bigint) c
