-- May this server be read for the copy? A standby once it has replayed past the installation.
-- $1 text: WAL position at the source when capture was installed
-- Result: is_ready boolean. Lowest server version: 10.
SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
            THEN coalesce(pg_catalog.pg_last_wal_replay_lsn() >= $1::pg_lsn, false)
            ELSE true END AS is_ready
