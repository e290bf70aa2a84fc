-- Changes when a table, a column, a type or a trigger of the users does, or comes or goes. It costs time for each column, so that it is only
-- made when anything was committed since the last look: the same snapshot sees the same rows.
-- $1 text: the moment of the last look
-- Result: moment text, stamp text (NULL: as it was then). Lowest server version: 10.
SELECT n.moment, CASE WHEN n.moment IS DISTINCT FROM $1::text THEN (
           SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*),
                      pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', a.attrelid, a.attnum, a.xmin, c.xmin, c.relname))::bigint),
                      (SELECT pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', i.indexrelid, i.xmin))::bigint)
                         FROM pg_catalog.pg_index i WHERE i.indexrelid >= 16384),
                      (SELECT pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', e.oid, e.enumlabel))::bigint) FROM pg_catalog.pg_enum e),
                      (SELECT pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', t.oid, t.xmin, t.tgenabled))::bigint)
                         FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
                        WHERE NOT t.tgisinternal AND p.pronamespace <> 'rebeco'::regnamespace))
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            WHERE a.attrelid >= 16384 AND a.attnum > 0 AND c.relkind IN ('r', 'p', 'c', 'f') AND c.relpersistence <> 't'
              AND c.relnamespace <> 'rebeco'::regnamespace) END AS stamp
  FROM (SELECT pg_catalog.md5(pg_catalog.txid_current_snapshot()::text) AS moment) n
