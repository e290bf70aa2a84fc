-- How much the change logs hold.
-- Result: id int, bytes bigint (of both segments). Lowest server version: 10.
SELECT c.id, coalesce(sum(pg_catalog.pg_relation_size(to_regclass('rebeco.log_' || c.id || '_' || s.segment))), 0)::bigint AS bytes
  FROM rebeco.capture c CROSS JOIN (VALUES (0), (1)) s (segment)
 GROUP BY c.id
