-- What the daemon has answered so far, and whether it is there.
-- $1 text: the requests' ids as an array; $2 text: the sync
-- Result, a row per request: label text (NULL: the whole sync), is_done boolean, ok boolean,
-- answer text, is_held boolean. Lowest server version: 11.
SELECT c.table_schema || '.' || c.table_name AS label, c.done_at IS NOT NULL AS is_done, c.ok, c.answer,
       EXISTS (SELECT 1 FROM pg_catalog.pg_locks l
                 JOIN pg_catalog.pg_database d ON d.oid = l.database AND d.datname = pg_catalog.current_database()
                CROSS JOIN LATERAL (SELECT pg_catalog.hashtextextended('rebeco ' || $2, 0)) k (key)
                WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
                  AND l.classid::bigint = (k.key >> 32) & 4294967295
                  AND l.objid::bigint = k.key & 4294967295) AS is_held
  FROM rebeco.command c
 WHERE c.id = ANY ($1::bigint[])
 ORDER BY c.id
