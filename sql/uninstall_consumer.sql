-- The name under which a sync reads change logs at its source, and which of its directions are open. Columns that came
-- later than the first version are asked for by name.
-- $1 text: the sync
-- Result: consumer text, direction text, can_mark boolean (uninstall_mark.sql); no row when the target does not know the sync.
-- Lowest server version: 10.
SELECT s.consumer, pg_catalog.to_jsonb(s) ->> 'direction' AS direction,
       pg_catalog.to_jsonb(s) -> 'is_leaving' IS NOT NULL AS can_mark
  FROM rebeco.sync s WHERE s.name = $1
