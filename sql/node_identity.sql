-- Who a server is, so that another one in its place is noticed.
-- Result: system text, timeline bigint, database oid, is_standby boolean, next_xid bigint,
-- version int, server_now timestamptz. Lowest server version: 10.
-- A promoted standby has its new timeline in the names of its WAL files at once, and in the control file
-- only after the next checkpoint.
SELECT s.system_identifier::text AS system,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN c.timeline_id::bigint
            ELSE pg_catalog.format('x%s', pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::bigint
       END AS timeline,
       d.oid::bigint AS database, pg_catalog.pg_is_in_recovery() AS is_standby,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN 0
            ELSE pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) END AS next_xid,
       pg_catalog.current_setting('server_version_num')::int AS version,
       pg_catalog.clock_timestamp() AS server_now
  FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_database d
 WHERE d.datname = pg_catalog.current_database()
