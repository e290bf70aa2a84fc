-- Captures that may have missed changes, of tables that are there.
-- Result: id int, problem text (in words). Lowest server version: 10.
SELECT c.id, s.problem
  FROM rebeco.capture c
  JOIN pg_catalog.pg_class r ON r.oid = c.relid
 CROSS JOIN LATERAL rebeco.capture_state(c.id) s
 WHERE s.is_lossy AND s.problem IS NOT NULL
