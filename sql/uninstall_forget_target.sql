-- Takes a sync away with everything that is kept for it.
-- $1 text: the sync
-- Lowest server version: 10.
WITH commands AS (DELETE FROM rebeco.command c WHERE c.sync = $1)
DELETE FROM rebeco.sync s WHERE s.name = $1
