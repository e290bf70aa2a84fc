-- What is wrong with the captures that a sync reads. A partition that was attached with rows in it, or
-- detached, is here too: no row was written, so no batch looks at it; and one that was dropped, while its keys are owed.
-- $1 int[]: the captures; $2 text: the consumer
-- Result: id int, problem text (in words), is_lossy boolean (changes may be missing), is_left boolean
-- (the capture is gone, or somebody took this sync off its readers: the log may be emptied), owes boolean (nothing is
-- wrong but that keys of a dropped partition are to be logged).
-- Lowest server version: 10.
SELECT t.id, coalesce(s.problem, format('partition %s was dropped', g.name), 'the sync is not known as a reader of its change log any more') AS problem,
       s.is_lossy, c.id IS NULL OR o.consumer IS NULL AS is_left,
       s.problem IS NULL AND g.name IS NOT NULL AS owes
  FROM unnest($1::int[]) t (id)
  LEFT JOIN rebeco.capture c ON c.id = t.id
  LEFT JOIN rebeco.consumer_table o ON o.capture_id = t.id AND o.consumer = $2
 CROSS JOIN LATERAL rebeco.capture_state(t.id) s
  LEFT JOIN LATERAL (SELECT min(x.name) AS name FROM rebeco.partition_gone x WHERE x.consumer = $2 AND x.capture_id = t.id) g ON true
 WHERE (s.problem IS NOT NULL OR o.consumer IS NULL OR g.name IS NOT NULL)
   AND (c.id IS NULL OR EXISTS (SELECT 1 FROM pg_catalog.pg_class r WHERE r.oid = c.relid))
