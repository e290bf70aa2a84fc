-- Records an object that could not be created, for people.
-- $1 text: the sync; $2 text: the object; $3 text: the server's words; $4 text: what to do
-- Lowest server version: 10.
INSERT INTO rebeco.problem (sync, kind, object, message, hint)
VALUES ($1::text, 'schema', $2::text, $3::text, $4::text)
    ON CONFLICT (sync, kind, object) DO UPDATE
    SET message = excluded.message, hint = excluded.hint, at = pg_catalog.clock_timestamp()
