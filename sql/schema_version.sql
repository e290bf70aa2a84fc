-- Which version of our objects a database holds, 0 for none; after schema_lock.sql.
-- Result: version int; stranger text: a relation of somebody else's in a schema with the name of ours.
-- Lowest server version: 10.
SELECT CASE WHEN pg_catalog.to_regclass('rebeco.version') IS NULL THEN 0
            ELSE coalesce((pg_catalog.xpath('/row/v/text()', pg_catalog.query_to_xml(
                     'SELECT max(version) AS v FROM rebeco.version', false, true, '')))[1]::text::int, 0)
       END AS version,
       (SELECT pg_catalog.min(c.oid::regclass::text COLLATE "C") FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'rebeco' AND pg_catalog.to_regclass('rebeco.version') IS NULL) AS stranger
