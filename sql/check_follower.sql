-- Is this a standby of the source, and does it let a long COPY end?
-- $1 json: {source_identity {system, database} (may be missing)}
-- Result: code text, object text, detail text. Lowest server version: 12.
WITH here AS (
    SELECT c.system_identifier::text AS system, d.oid::bigint AS database, quote_ident(d.datname) AS object
      FROM pg_catalog.pg_control_system() c, pg_catalog.pg_database d WHERE d.datname = current_database()
), source AS (
    SELECT * FROM jsonb_to_record($1::jsonb -> 'source_identity') s (system text, database bigint)
)
SELECT 'follower-foreign' AS code, h.object AS object,
       CASE WHEN NOT pg_is_in_recovery() THEN 'it is no standby'
            ELSE 'it is a standby of another server, or another database' END AS detail
  FROM here h LEFT JOIN source s ON true
 WHERE NOT pg_is_in_recovery() OR s.system <> h.system OR s.database <> h.database
UNION ALL
SELECT 'follower-cancels', h.object,
       format('hot_standby_feedback is off, max_standby_streaming_delay is %s', current_setting('max_standby_streaming_delay'))
  FROM here h
 WHERE pg_is_in_recovery() AND NOT current_setting('hot_standby_feedback')::boolean
   AND current_setting('max_standby_streaming_delay') <> '-1'
