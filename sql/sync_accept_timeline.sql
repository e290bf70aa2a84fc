-- What a way back reads from was promoted, and a person has accepted it: the sync goes on from its position; answers the request.
-- It may have lost what it had noted of that.
-- $1 text: the sync; $2 bigint: the timeline now. Lowest server version: 10.
WITH answered AS (
    UPDATE rebeco.command c SET done_at = pg_catalog.clock_timestamp(), ok = true, answer = 'the way back goes on from where it was'
     WHERE c.sync = $1 AND c.verb = 'accept' AND c.done_at IS NULL
    RETURNING c.id
), forgotten AS (
    UPDATE rebeco.status t SET told = NULL WHERE t.sync = $1 AND EXISTS (SELECT 1 FROM answered)
)
UPDATE rebeco.sync s SET source_timeline = $2::bigint WHERE s.name = $1 AND EXISTS (SELECT 1 FROM answered)
