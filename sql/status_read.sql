-- What the daemon of a sync last said of itself, and whether it is there.
-- $1 text: the sync
-- Result: phase text, is_paused boolean, doc text (NULL: it has said nothing yet), age_s text (of
-- that), is_held boolean; no row when the sync is not known here. Lowest server version: 11.
SELECT s.phase, s.paused AS is_paused, t.doc::text AS doc,
       CASE WHEN t.at IS NOT NULL
            THEN greatest(0, extract(epoch FROM pg_catalog.clock_timestamp() - t.at))::numeric(20, 3)::text END AS age_s,
       EXISTS (SELECT 1 FROM pg_catalog.pg_locks l
                 JOIN pg_catalog.pg_database d ON d.oid = l.database AND d.datname = pg_catalog.current_database()
                CROSS JOIN LATERAL (SELECT pg_catalog.hashtextextended('rebeco ' || s.name, 0)) k (key)
                WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
                  AND l.classid::bigint = (k.key >> 32) & 4294967295
                  AND l.objid::bigint = k.key & 4294967295) AS is_held
  FROM rebeco.sync s
  LEFT JOIN rebeco.status t ON t.sync = s.name
 WHERE s.name = $1
