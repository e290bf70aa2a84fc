-- How many changes there are in the change logs here that a sync has not brought to its other end, as a statement.
-- $1 text: the sync, as a reader of these logs; $2 text: its consumer name, NULL when that is not known; $3 text: the
-- pair, whose own changes do not count
-- Result: statement text, which gives a bigint; NULL: nothing is kept. Lowest server version: 10.
SELECT 'SELECT pg_catalog.sum(k.n)::bigint FROM (' || pg_catalog.string_agg(pg_catalog.format(
           'SELECT pg_catalog.count(*) FROM rebeco.%I l WHERE NOT coalesce(pg_catalog.txid_visible_in_snapshot(l.xid, %L), false) AND pg_catalog.to_jsonb(l) ->> ''origin'' IS DISTINCT FROM %L',
           r.relname, coalesce(t.snapshot, c.snapshot), $3::text), ' UNION ALL ') || ') k (n)' AS statement
  FROM rebeco.consumer c
  JOIN rebeco.consumer_table t ON t.consumer = c.consumer
  JOIN pg_catalog.pg_class r ON r.relnamespace = pg_catalog.to_regnamespace('rebeco')
   AND r.relname IN ('log_' || t.capture_id || '_0', 'log_' || t.capture_id || '_1') AND pg_catalog.pg_relation_size(r.oid) > 0
 WHERE CASE WHEN $2::text IS NULL THEN c.sync = $1 ELSE c.consumer = $2 END
