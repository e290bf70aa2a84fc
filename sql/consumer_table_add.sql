-- Installs capture on a table, in one transaction with the position from which the sync reads it.
-- Any position not later than the start of the copy is right: what is not logged from then on was
-- committed before the triggers came, and the copy sees it.
-- $1 bigint: the table; $2 bigint: its key's index; $3 text: auto, row or statement;
-- $4 text: the consumer
-- Result: id int, snapshot text. Lowest server version: 11.
WITH installed AS MATERIALIZED (
    SELECT rebeco.capture_install($1::bigint::oid, $2::bigint::oid, $3) AS id
)
INSERT INTO rebeco.consumer_table AS t (consumer, capture_id, snapshot)
SELECT $4, i.id, pg_catalog.txid_current_snapshot() FROM installed i
ON CONFLICT (consumer, capture_id) DO UPDATE SET snapshot = EXCLUDED.snapshot
RETURNING t.capture_id AS id, t.snapshot::text AS snapshot
