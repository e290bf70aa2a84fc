-- The name under which a sync reads change logs at its source, what of them its target has, and which of its directions
-- are open. Columns that came later than the first version are asked for by name.
-- $1 text: the sync
-- Result: consumer text, position text, own text (the positions of tables that are out of step: a JSON object, by their
-- captures), direction text, can_mark boolean (uninstall_mark.sql); no row when the target does not know the sync.
-- Lowest server version: 10.
SELECT s.consumer, s.snapshot::text AS position,
       (SELECT pg_catalog.json_object_agg(t.id, t.snapshot::text)::text FROM rebeco.sync_table t WHERE t.sync = s.name AND t.snapshot IS NOT NULL) AS own,
       pg_catalog.to_jsonb(s) ->> 'direction' AS direction, pg_catalog.to_jsonb(s) -> 'is_leaving' IS NOT NULL AS can_mark
  FROM rebeco.sync s WHERE s.name = $1
