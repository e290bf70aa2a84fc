-- Is there a sync to help with at all?
-- Result: is_installed boolean. Lowest server version: 10.
SELECT pg_catalog.to_regclass('rebeco.copy_snapshot') IS NOT NULL AS is_installed
