-- Publishes what the daemon says of itself, and notes what the source has noted (schema/103_told.sql).
-- $1 text: sync; $2 text: the document as JSON; $3 text: the position that the source has noted, NULL: none;
-- $4 text: the consumer. Lowest server version: 10.
INSERT INTO rebeco.status (sync, at, doc, told, told_as) VALUES ($1, pg_catalog.clock_timestamp(), $2::jsonb, $3::txid_snapshot, $4)
ON CONFLICT (sync) DO UPDATE SET at = EXCLUDED.at, doc = EXCLUDED.doc, told = EXCLUDED.told, told_as = EXCLUDED.told_as
