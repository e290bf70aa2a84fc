-- Installs capture on a table, in one transaction with the position from which the sync reads it.
-- Any position not later than the start of the copy is right: what is not logged from then on was
-- committed before the triggers came, and the copy sees it. Where another sync reads the table, its
-- form of capture stays: two syncs with different wishes would make it anew in turns for ever.
-- $1 bigint: the table; $2 bigint: its key's index; $3 text: auto, row or statement;
-- $4 text: the consumer; $5 text: what the log holds: key, image or nothing. Nothing is in any log, so
-- that another sync's log will do. $6 boolean: for a two-way sync; $7 text: the position to read from, where the
-- table was captured by then, NULL: now
-- Result: id int, snapshot text, log bigint: which change log the position is about, form text: row,
-- statement or mixed. When that log was made anew, by whomever, nothing can be said about what is missing, and the
-- table is copied again.
-- Of what is copied no key of a dropped partition is owed any more. Lowest server version: 11.
WITH installed AS MATERIALIZED (
    SELECT CASE WHEN $5 = 'nothing' AND o.id IS NOT NULL AND rebeco.capture_is_intact(o.id) IS NULL THEN o.id
                ELSE rebeco.capture_install($1::bigint::oid, $2::bigint::oid, coalesce(o.form, $3), $5, $6::boolean) END AS id
      FROM (SELECT 1) here
      LEFT JOIN LATERAL (SELECT c.id, CASE c.form WHEN 'row' THEN 'row' ELSE 'auto' END AS form
                           FROM rebeco.capture c JOIN rebeco.consumer_table o ON o.capture_id = c.id
                          WHERE c.relid = $1::bigint::oid AND o.consumer <> $4 LIMIT 1) o ON true
),
settled AS (
    DELETE FROM rebeco.partition_gone g USING installed i WHERE g.consumer = $4 AND g.capture_id = i.id
)
INSERT INTO rebeco.consumer_table AS t (consumer, capture_id, snapshot, two_way)
SELECT $4, i.id, coalesce($7::txid_snapshot, pg_catalog.txid_current_snapshot()), $6::boolean FROM installed i
 WHERE rebeco.two_way_may_capture(i.id, $4, $6::boolean)
ON CONFLICT (consumer, capture_id) DO UPDATE SET snapshot = EXCLUDED.snapshot, two_way = EXCLUDED.two_way
RETURNING t.capture_id AS id, t.snapshot::text AS snapshot, rebeco.log_oid(t.capture_id)::bigint AS log,
          rebeco.capture_form(t.capture_id) AS form
