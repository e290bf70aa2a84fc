-- The source has changed and a person has accepted it: the sync begins anew, under another consumer's name,
-- so that nothing of what the source may still know of it counts; answers the request.
-- $1 text: the sync; $2 text, $3 bigint, $4 bigint: system, timeline and database of the source;
-- $5 text, $6 bigint: system and database of this target (not used). Lowest server version: 10.
WITH answered AS (
    UPDATE rebeco.command c SET done_at = pg_catalog.clock_timestamp(), ok = true, answer = 'every table is copied again from this source'
     WHERE c.sync = $1 AND c.verb = 'accept' AND c.done_at IS NULL
    RETURNING c.id
)
UPDATE rebeco.sync s
   SET source_system = $2, source_timeline = $3::bigint, source_database = $4::bigint::oid,
       former_consumer = s.consumer, replaces = true, phase = 'new', known_tables = NULL,
       consumer = pg_catalog.md5($1 || pg_catalog.clock_timestamp()::text || pg_catalog.random()::text || $5 || $6),
       snapshot = NULL, snapshot_at = NULL, consistent_since = NULL
 WHERE s.name = $1 AND EXISTS (SELECT 1 FROM answered)
