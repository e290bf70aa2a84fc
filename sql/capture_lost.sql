-- What is wrong with the captures that a sync reads. A partition that was attached with rows in it, or
-- detached, is here too: no row was written, so no batch looks at it.
-- $1 int[]: the captures; $2 text: the consumer
-- Result: id int, problem text (in words), is_lossy boolean (changes may be missing), is_left boolean
-- (the capture is gone, or somebody took this sync off its readers: the log may be emptied).
-- Lowest server version: 10.
SELECT t.id, coalesce(s.problem, 'the sync is not known as a reader of its change log any more') AS problem,
       s.is_lossy, c.id IS NULL OR o.consumer IS NULL AS is_left
  FROM unnest($1::int[]) t (id)
  LEFT JOIN rebeco.capture c ON c.id = t.id
  LEFT JOIN rebeco.consumer_table o ON o.capture_id = t.id AND o.consumer = $2
 CROSS JOIN LATERAL rebeco.capture_state(t.id) s
 WHERE (s.problem IS NOT NULL OR o.consumer IS NULL)
   AND (c.id IS NULL OR EXISTS (SELECT 1 FROM pg_catalog.pg_class r WHERE r.oid = c.relid))
