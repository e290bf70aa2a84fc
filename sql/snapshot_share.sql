-- Tells other processes in which snapshot a table's chunks are read.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table; $4 text: the snapshot's name.
-- Lowest server version: 10.
INSERT INTO rebeco.copy_snapshot (sync, table_id, owner, snapshot)
SELECT $1, $3::int, $2::bigint, $4 FROM rebeco.sync s WHERE s.name = $1 AND s.owner = $2::bigint
ON CONFLICT (sync, table_id) DO UPDATE SET owner = EXCLUDED.owner, snapshot = EXCLUDED.snapshot
