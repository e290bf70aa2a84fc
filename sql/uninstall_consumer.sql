-- The name under which a sync reads change logs at its source, and which of its directions are open. Columns that came
-- later than the first version are asked for by name.
-- $1 text: the sync
-- Result: consumer text, direction text, has_logs boolean; no row when the target does not know the sync.
-- Lowest server version: 10.
SELECT s.consumer, pg_catalog.to_jsonb(s) ->> 'direction' AS direction,
       pg_catalog.to_regclass('rebeco.consumer') IS NOT NULL AND pg_catalog.to_regclass('rebeco.consumer_table') IS NOT NULL AS has_logs
  FROM rebeco.sync s WHERE s.name = $1
