-- Takes a sync away with everything that is kept for it, also as a reader of change logs if it is a
-- two-way sync.
-- $1 text: the sync
-- Lowest server version: 10.
WITH commands AS (DELETE FROM rebeco.command c WHERE c.sync = $1),
     back AS (DELETE FROM rebeco.consumer c WHERE c.sync = $1 || ' back')
DELETE FROM rebeco.sync s WHERE s.name = $1
