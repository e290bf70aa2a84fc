-- Finds where the copy of the large objects stands, or begins one. At the target.
-- $1 text: the sync; $2 bigint: our owner number; $3 text: the scope that is asked for, NULL: none;
-- $4 bigint: the request, NULL: none; $5 boolean: the sync follows by now
-- Result: scope text, next_oid bigint, next_place bigint, copied bigint, bytes bigint, ended boolean,
-- is_final boolean, here bigint, refused bigint (objects that are at the target, and that are not; NULL
-- while it goes on). Lowest server version: 10.
SELECT c.scope, c.next_oid, c.next_place, c.copied, c.bytes, c.ended_at IS NOT NULL AS ended,
       c.is_final, l.here, l.refused
  FROM rebeco.large_objects_begin($1, $2::bigint, $3, $4::bigint, $5::boolean) c
  LEFT JOIN LATERAL (SELECT pg_catalog.count(*) FILTER (WHERE o.is_done) AS here, pg_catalog.count(o.refused) AS refused
                       FROM rebeco.large_object o WHERE o.sync = c.sync) l ON c.ended_at IS NOT NULL
