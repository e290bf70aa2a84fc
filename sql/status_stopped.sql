-- Publishes why the daemon cannot lead, and leaves what else is noted with the status.
-- $1 text: sync; $2 text: the document as JSON. Lowest server version: 10.
INSERT INTO rebeco.status AS t (sync, at, doc) SELECT s.name, pg_catalog.clock_timestamp(), $2::jsonb FROM rebeco.sync s WHERE s.name = $1
ON CONFLICT (sync) DO UPDATE SET at = EXCLUDED.at, doc = EXCLUDED.doc
