-- Takes a sync away as a reader of change logs, and its way back, if it is a two-way sync.
-- $1 text: the sync; $2 text: its consumer name, NULL when that is not known
-- Lowest server version: 10.
WITH back AS (DELETE FROM rebeco.sync s WHERE s.name = $1 || ' back')
DELETE FROM rebeco.consumer c
 WHERE CASE WHEN $2::text IS NULL THEN c.sync = $1 ELSE c.consumer = $2 END
