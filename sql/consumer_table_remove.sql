-- This sync no longer reads a table; when nobody else does, its capture is removed.
-- $1 text: consumer; $2 int: capture. Lowest server version: 11.
WITH gone AS (
    DELETE FROM rebeco.consumer_table t WHERE t.consumer = $1 AND t.capture_id = $2::int RETURNING t.capture_id
)
SELECT rebeco.capture_remove(g.capture_id) FROM gone g
 WHERE NOT EXISTS (SELECT 1 FROM rebeco.consumer_table o WHERE o.capture_id = g.capture_id AND o.consumer <> $1)
