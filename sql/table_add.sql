-- Adds a table to the sync, to be copied, and plans its chunks; or plans the copy anew for one that
-- is there. Fails when another daemon has taken the sync.
-- $1 text: sync; $2 bigint: our owner number; $3 int: id; $4 text, $5 text, $6 bigint: schema, name
-- and oid at the source; $7 text, $8 text: schema and name at the target; $9 text: snapshot;
-- $10 bigint, $11 bigint: bytes and rows; $12 json: chunks [{relation, filenode, lower, upper, bytes}];
-- $13 boolean: rows of an earlier copy may be there, so that rows may come twice; $14 text, $15 text: layouts
-- of source and target; $16 bigint: the change log that the snapshot is about; $17 text: a snapshot of the target
-- from when the table was emptied there, NULL: it was not
-- Rows that were left out are copied with the others.
-- The old chunks must be gone before the new ones come: what nobody reads is run last, so it is read.
-- Result: one row: back_since text, from where the way back of a two-way sync reads the table. Lowest server version: 10.
WITH ours AS MATERIALIZED (SELECT rebeco.sync_check_owner($1, $2::bigint)),
dropped AS (
    DELETE FROM rebeco.chunk c USING ours WHERE c.sync = $1 AND c.table_id = $3::int
    RETURNING c.number
),
added AS (
    INSERT INTO rebeco.sync_table AS t (sync, id, source_schema, source_name, source_oid, target_schema, target_name, snapshot, bytes, rows, tolerant, layout, target_layout, log, back_since)
    SELECT $1, $3::int, $4, $5, $6::bigint::oid, $7, $8, $9::txid_snapshot, $10::bigint, $11::bigint, $13::boolean, $14, $15, $16::bigint::oid, coalesce($17::txid_snapshot, pg_catalog.txid_current_snapshot())
      FROM ours CROSS JOIN (SELECT pg_catalog.count(*) FROM dropped) d
    ON CONFLICT (sync, id) DO UPDATE SET source_schema = EXCLUDED.source_schema, source_name = EXCLUDED.source_name,
           source_oid = EXCLUDED.source_oid, target_schema = EXCLUDED.target_schema, target_name = EXCLUDED.target_name,
           snapshot = EXCLUDED.snapshot, bytes = EXCLUDED.bytes, rows = EXCLUDED.rows, tolerant = EXCLUDED.tolerant, layout = EXCLUDED.layout, target_layout = EXCLUDED.target_layout, log = EXCLUDED.log, back_since = EXCLUDED.back_since,
           state = 'copy', paused = NULL, paused_what = NULL, paused_detail = NULL, paused_hint = NULL, copy_asked = false, is_lossy = false,
           copy_started_at = NULL, copied_at = NULL
    RETURNING t.sync, t.id, t.back_since
),
alive AS (
    INSERT INTO rebeco.target_alive (sync, table_id) SELECT a.sync, a.id FROM added a ON CONFLICT DO NOTHING
),
settled AS (
    UPDATE rebeco.skipped k SET settled_at = pg_catalog.clock_timestamp()
      FROM ours WHERE k.sync = $1 AND k.table_id = $3::int AND k.settled_at IS NULL
),
unclear AS (
    UPDATE rebeco.sync SET consistent_since = NULL FROM ours WHERE name = $1
)
SELECT a.back_since::text AS back_since, rebeco.chunks_add(a.sync, a.id, $12::json) FROM added a
