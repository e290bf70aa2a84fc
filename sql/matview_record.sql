-- Keeps how a refresh ended: when it was, or what is wrong.
-- $1 text: the sync; $2 oid: the materialized view; $3 text: its label; $4 float8: seconds that it
-- took; $5 text: the error, NULL when it went well; $6 text: what to do, may be NULL. Runs at the
-- target. Result: nothing of interest. Lowest server version: 10.
WITH done AS (
    INSERT INTO rebeco.matview AS m (sync, relid, refreshed_at, seconds)
    SELECT $1, $2,
           pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $4), $4
     WHERE $5::text IS NULL
        ON CONFLICT (sync, relid) DO UPDATE
       SET refreshed_at = excluded.refreshed_at, seconds = excluded.seconds
), mended AS (
    DELETE FROM rebeco.problem p
     WHERE p.sync = $1 AND p.kind = 'matview' AND p.object = 'MATERIALIZED VIEW ' || $3
       AND $5::text IS NULL
)
INSERT INTO rebeco.problem AS p (sync, kind, object, message, hint)
SELECT $1, 'matview', 'MATERIALIZED VIEW ' || $3, $5, $6
 WHERE $5::text IS NOT NULL
    ON CONFLICT (sync, kind, object) DO UPDATE
   SET message = excluded.message, hint = excluded.hint, at = excluded.at
 WHERE p.message <> excluded.message
