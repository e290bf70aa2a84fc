-- The name under which a sync reads change logs at its source.
-- $1 text: the sync
-- Result: consumer text; no row when the target does not know the sync. Lowest server version: 10.
SELECT s.consumer FROM rebeco.sync s WHERE s.name = $1
