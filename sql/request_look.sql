-- Whether Rebeco is installed here, and whether a daemon works on the sync: who does holds an
-- advisory lock (see sync_lock.sql). Names none of our tables, since they may not be there.
-- $1 text: the sync
-- Result: is_installed boolean, is_held boolean. Lowest server version: 11.
SELECT pg_catalog.to_regclass('rebeco.command') IS NOT NULL
           AND pg_catalog.to_regclass('rebeco.sync') IS NOT NULL AS is_installed,
       EXISTS (SELECT 1 FROM pg_catalog.pg_locks l
                 JOIN pg_catalog.pg_database d ON d.oid = l.database AND d.datname = pg_catalog.current_database()
                CROSS JOIN LATERAL (SELECT pg_catalog.hashtextextended('rebeco ' || $1, 0)) k (key)
                WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
                  AND l.classid::bigint = (k.key >> 32) & 4294967295
                  AND l.objid::bigint = k.key & 4294967295) AS is_held
