-- Which database this is, whatever address it is reached at.
-- Result: fact text (identity), value json {system, database, started}. Some hosted servers refuse it.
-- Lowest server version: 9.6.
SELECT 'identity' AS fact,
       json_build_object('system', c.system_identifier::text, 'database', d.oid::bigint,
                         'started', extract(epoch FROM pg_postmaster_start_time())::text) AS value
  FROM pg_catalog.pg_control_system() c, pg_catalog.pg_database d
 WHERE d.datname = current_database()
