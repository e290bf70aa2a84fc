-- Who else uses our objects in this database: syncs that have it as their target, and readers of
-- its change logs. A two-way sync is both at either end, under its name and as "name back".
-- $1 text: source or target, which of both this end is for our sync; $2 text: the sync;
-- $3 text: its consumer name, NULL when that is not known
-- Result: names text, NULL for nobody. Lowest server version: 10.
SELECT pg_catalog.string_agg(o.name, ', ' ORDER BY o.name) AS names
  FROM (SELECT s.name FROM rebeco.sync s WHERE s.name <> CASE $1 WHEN 'target' THEN $2 ELSE $2 || ' back' END
        UNION
        SELECT c.sync FROM rebeco.consumer c
         WHERE NOT CASE WHEN $1 = 'target' THEN c.sync = $2 || ' back'
                        WHEN $3::text IS NULL THEN c.sync = $2 ELSE c.consumer = $3 END) o (name)
