-- Answers a request, and wakes whoever waits for it.
-- $1 bigint: its id; $2 boolean: done as asked; $3 text: answer. Lowest server version: 10.
WITH answered AS (
    UPDATE rebeco.command SET done_at = pg_catalog.clock_timestamp(), ok = $2::boolean, answer = $3
     WHERE id = $1::bigint AND done_at IS NULL RETURNING sync
), old AS (
    DELETE FROM rebeco.command WHERE done_at < pg_catalog.clock_timestamp() - interval '7 days'
)
SELECT pg_catalog.pg_notify('rebeco_answer', a.sync) FROM answered a
