-- Takes back what is no problem any more.
-- $1 text: the sync
-- Result: remaining bigint, how many objects are missing. Lowest server version: 10.
WITH mended AS (
    DELETE FROM rebeco.problem p
     WHERE p.sync = $1::text AND p.kind = 'schema'
       AND NOT EXISTS (SELECT 1 FROM rebeco.schema_object o
                        WHERE o.sync = p.sync AND o.label = p.object AND o.failed)
)
SELECT pg_catalog.count(*) AS remaining FROM rebeco.schema_object o WHERE o.sync = $1::text AND o.failed
