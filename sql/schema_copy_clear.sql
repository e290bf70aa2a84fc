-- Forgets what the last run of a stage found.
-- $1 text: the sync; $2 text: the stage. Lowest server version: 10.
DELETE FROM rebeco.schema_object o WHERE o.sync = $1::text AND o.stage = $2::text
