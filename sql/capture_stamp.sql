-- Whether captures missed nothing: asked in each batch, in its own snapshot.
-- $1 int[]: the captures
-- Result: id int, problem text, is_lossy boolean; only for captures that are not intact.
--   is_lossy   changes may be missing: install it again and copy the table again; when false,
--              capture_repair mends it
-- Lowest server version: 11.
SELECT c.id, s.problem, s.is_lossy
  FROM unnest($1::int[]) c (id) CROSS JOIN LATERAL rebeco.capture_state(c.id) s
 WHERE s.problem IS NOT NULL
