-- Says which tables were asked for when the sync was new, once.
-- $1 text: sync; $2 bigint: our owner number; $3 text: their oids at the source as an array.
-- Lowest server version: 10.
UPDATE rebeco.sync s SET known_tables = $3::oid[] WHERE s.name = $1 AND s.owner = $2::bigint AND s.known_tables IS NULL
