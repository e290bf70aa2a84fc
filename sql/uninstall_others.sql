-- Who else uses our objects in this database: syncs that have it as their target, and readers of
-- its change logs. A two-way sync is both at either end, under its name and as "name back".
-- $1 text: source or target, which of both this end is for our sync; $2 text: the sync;
-- $3 text: its consumer name, NULL when that is not known
-- Result: names text and list text (of an array), NULL for nobody; is_in_doubt boolean (several readers have the sync's
-- name, and which of them is ours is not known). Lowest server version: 10.
SELECT pg_catalog.string_agg(o.name, ', ' ORDER BY o.name) AS names, pg_catalog.array_agg(o.name)::text AS list,
       $1 <> 'target' AND $3::text IS NULL AND (SELECT pg_catalog.count(*) > 1 FROM rebeco.consumer c WHERE c.sync = $2) AS is_in_doubt
  FROM (SELECT s.name FROM rebeco.sync s WHERE s.name <> CASE $1 WHEN 'target' THEN $2 ELSE $2 || ' back' END
        UNION
        SELECT c.sync FROM rebeco.consumer c
         WHERE NOT CASE WHEN $1 = 'target' THEN c.sync = $2 || ' back'
                        WHEN $3::text IS NULL THEN c.sync = $2 ELSE c.consumer = $3 END) o (name)
