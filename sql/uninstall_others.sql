-- Who else uses our objects in this database: syncs that have it as their target, and readers of
-- its change logs.
-- $1 text: source or target, which of both this end is for our sync; $2 text: the sync;
-- $3 text: its consumer name, NULL when that is not known
-- Result: names text, NULL for nobody. Lowest server version: 10.
SELECT pg_catalog.string_agg(o.name, ', ' ORDER BY o.name) AS names
  FROM (SELECT s.name FROM rebeco.sync s WHERE NOT ($1 = 'target' AND s.name = $2)
        UNION
        SELECT c.sync FROM rebeco.consumer c
         WHERE NOT ($1 = 'source' AND CASE WHEN $3::text IS NULL THEN c.sync = $2 ELSE c.consumer = $3 END)) o (name)
