-- Which version of our objects a database holds, 0 for none; after schema_lock.sql.
-- Result: version int. Lowest server version: 10.
SELECT CASE WHEN pg_catalog.to_regclass('rebeco.version') IS NULL THEN 0
            ELSE coalesce((pg_catalog.xpath('/row/v/text()', pg_catalog.query_to_xml(
                     'SELECT max(version) AS v FROM rebeco.version', false, true, '')))[1]::text::int, 0)
       END AS version
