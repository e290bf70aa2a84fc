-- Publishes what the daemon says of itself.
-- $1 text: sync; $2 text: the document as JSON. Lowest server version: 10.
INSERT INTO rebeco.status (sync, at, doc) VALUES ($1, pg_catalog.clock_timestamp(), $2::jsonb)
ON CONFLICT (sync) DO UPDATE SET at = EXCLUDED.at, doc = EXCLUDED.doc
