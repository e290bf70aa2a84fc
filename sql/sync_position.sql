-- Where the sync is, and who owns it.
-- $1 text: the sync. Result: snapshot text (NULL: none yet), owner bigint. Lowest server version: 10.
SELECT s.snapshot::text AS snapshot, s.owner FROM rebeco.sync s WHERE s.name = $1
