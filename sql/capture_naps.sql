-- Whether a writer has come by since the daemon fell asleep. Costs next to nothing.
-- Result: is_disturbed boolean. Lowest server version: 10.
SELECT coalesce(pg_catalog.pg_sequence_last_value('rebeco.nap'::regclass), 1000) <> 1 AS is_disturbed
