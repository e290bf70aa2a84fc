-- Whether the database's own collation has changed below it, as after an upgrade of the system.
-- Result: code text, object text, detail text. Lowest server version: 15.
SELECT 'collation-version' AS code, quote_ident(d.datname) AS object,
       format('recorded %s, the operating system has %s', d.datcollversion,
              pg_catalog.pg_database_collation_actual_version(d.oid)) AS detail
  FROM pg_catalog.pg_database d
 WHERE d.datname = current_database() AND d.datcollversion IS NOT NULL
   AND d.datcollversion IS DISTINCT FROM pg_catalog.pg_database_collation_actual_version(d.oid)
