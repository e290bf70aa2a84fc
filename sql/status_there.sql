-- Whether there is anything to write the status into.
-- Result: is_there boolean. Lowest server version: 10.
SELECT pg_catalog.to_regclass('rebeco.status') IS NOT NULL AS is_there
