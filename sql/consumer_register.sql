-- Makes this sync known at the source as a reader of change logs.
-- $1 text: its consumer name; $2 text: the sync. Lowest server version: 10.
INSERT INTO rebeco.consumer (consumer, sync) VALUES ($1, $2) ON CONFLICT (consumer) DO NOTHING
