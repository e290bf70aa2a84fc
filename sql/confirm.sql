-- Tells the source what is safely at the target, so that it may prune; this commit also flushes
-- everything before it. Tables out of step keep positions of their own.
-- $1 text: consumer; $2 text: the sync's position; $3 int[], $4 text[]: tables out of step, and
-- where they are.
-- Result: xid bigint, of this transaction. Lowest server version: 10.
WITH own AS (
    SELECT o.id, o.snapshot FROM unnest($3::int[], $4::text[]) o (id, snapshot)
), tables AS (
    UPDATE rebeco.consumer_table t SET snapshot = w.snapshot::txid_snapshot
      FROM (SELECT c.capture_id, o.snapshot FROM rebeco.consumer_table c LEFT JOIN own o ON o.id = c.capture_id WHERE c.consumer = $1) w
     WHERE t.consumer = $1 AND t.capture_id = w.capture_id AND t.snapshot::text IS DISTINCT FROM w.snapshot
)
UPDATE rebeco.consumer SET snapshot = $2::txid_snapshot, confirmed_at = pg_catalog.clock_timestamp() WHERE consumer = $1
RETURNING pg_catalog.txid_current() AS xid
