-- How many changes there are in the change logs here that a sync has not brought to its other end, as a statement.
-- $1 text: the sync, as a reader of these logs; $2 text: its consumer name, NULL when that is not known; $3 text: the
-- pair, whose own changes do not count; $4 text, $5 text: what the other end has, as uninstall_consumer.sql says there, NULL
-- when that is not known: then what was confirmed here counts, which may be less; $6 bigint: no more are counted of a log, NULL: all
-- Result: statement text, which gives a bigint; NULL: nothing is kept. Lowest server version: 10.
SELECT 'SELECT pg_catalog.sum(k.n)::bigint FROM (' || pg_catalog.string_agg(pg_catalog.format(
           'SELECT pg_catalog.count(*) FROM (SELECT 1 FROM rebeco.%I l WHERE NOT coalesce(pg_catalog.txid_visible_in_snapshot(l.xid, %L), false) AND pg_catalog.to_jsonb(l) ->> ''origin'' IS DISTINCT FROM %L LIMIT %s) l',
           r.relname, coalesce($5::jsonb ->> t.capture_id::text, $4::text, t.snapshot::text, c.snapshot::text), $3::text, coalesce($6::bigint::text, 'ALL')),
           ' UNION ALL ') || ') k (n)' AS statement
  FROM rebeco.consumer c
  JOIN rebeco.consumer_table t ON t.consumer = c.consumer
 -- Only the logs are asked for their size: a table of the application may be locked.
 CROSS JOIN LATERAL (VALUES ('log_' || t.capture_id || '_0'), ('log_' || t.capture_id || '_1')) r (relname)
 CROSS JOIN LATERAL pg_catalog.to_regclass('rebeco.' || r.relname) g (relid)
 WHERE CASE WHEN $2::text IS NULL THEN c.sync = $1 ELSE c.consumer = $2 END
   AND CASE WHEN g.relid IS NOT NULL THEN pg_catalog.pg_relation_size(g.relid) > 0 END
