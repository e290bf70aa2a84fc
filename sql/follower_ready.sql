-- May this server be read for the copy? A standby of the source once it has replayed past the installation. One that
-- was promoted, a fork of the source or a standby of such has rows of its own: it does not know that this sync reads the table.
-- $1 text: WAL position at the source when capture was installed; $2 text: the consumer; $3 int: the capture
-- Result: is_ready boolean, is_foreign boolean, replayed text. Lowest server version: 10.
SELECT f.is_standby AND f.has_replayed AND h.is_known AS is_ready,
       NOT f.is_standby OR f.has_replayed AND NOT h.is_known AS is_foreign, f.replayed::text AS replayed
  FROM (SELECT pg_catalog.pg_is_in_recovery() AS is_standby, r.replayed, coalesce(r.replayed >= $1::pg_lsn, false) AS has_replayed
          FROM (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() END AS replayed) r) f
 CROSS JOIN LATERAL (
        SELECT CASE WHEN pg_catalog.to_regclass('rebeco.consumer_table') IS NULL THEN false
                    ELSE pg_catalog.query_to_xml(pg_catalog.format('SELECT 1 FROM rebeco.consumer_table WHERE consumer = %L AND capture_id = %s', $2::text, $3::int),
                                                 false, true, '')::text ~ 'row' END AS is_known) h
