-- Makes this sync known at the source as a reader of change logs.
-- $1 text: its consumer name; $2 text: the sync
-- Result: one row when it was not known before and a reader of its name is: consumer text, silent_s bigint (since that has
-- confirmed anything). A target that was made anew leaves one behind. Lowest server version: 10.
WITH added AS (
    INSERT INTO rebeco.consumer (consumer, sync) VALUES ($1, $2) ON CONFLICT (consumer) DO NOTHING RETURNING true
)
SELECT c.consumer, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - coalesce(c.confirmed_at, c.created_at))::bigint AS silent_s
  FROM rebeco.consumer c
 WHERE c.sync = $2 AND c.consumer <> $1 AND EXISTS (SELECT 1 FROM added)
 ORDER BY silent_s DESC LIMIT 1
