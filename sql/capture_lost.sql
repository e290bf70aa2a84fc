-- Captures with something wrong, of tables that are there. A partition that was attached with rows in
-- it, or detached, is here too: no row was written, so no batch looks at it.
-- Result: id int, problem text (in words), is_lossy boolean (changes may be missing).
-- Lowest server version: 10.
SELECT c.id, s.problem, s.is_lossy
  FROM rebeco.capture c
  JOIN pg_catalog.pg_class r ON r.oid = c.relid
 CROSS JOIN LATERAL rebeco.capture_state(c.id) s
 WHERE s.problem IS NOT NULL
