-- Changes when a table or column of the users does, or comes or goes.
-- Result: stamp text. Lowest server version: 10.
SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*),
           pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', a.attrelid, a.attnum, a.xmin, c.xmin, c.relname))::bigint),
           (SELECT pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', i.indexrelid, i.xmin))::bigint)
              FROM pg_catalog.pg_index i WHERE i.indexrelid >= 16384)) AS stamp
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
 WHERE a.attrelid >= 16384 AND a.attnum > 0 AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
   AND c.relnamespace <> 'rebeco'::regnamespace
