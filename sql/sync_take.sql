-- Makes the sync's row, or takes it over: the owner's number rises, so that whoever held it before
-- can no longer write.
-- $1 text: the sync; $2 text, $3 bigint, $4 bigint: system, timeline and database of the source;
-- $5 text, $6 bigint: system and database of this target
-- Result: the row as it was agreed on before this source was looked at: owner, phase, paused,
-- snapshot, consumer, source_system, source_timeline, source_database, target_system,
-- target_database, snapshot_xmax, is_consistent, is_accepted (a person wants the source as it is now),
-- replaces, former_consumer, direction, direction_since, known_tables oid[], is_leaving,
-- told (what the source is known to have noted). Lowest server version: 10.
INSERT INTO rebeco.sync AS s (name, consumer, owner, source_system, source_timeline, source_database, target_system, target_database)
VALUES ($1, pg_catalog.md5($1 || pg_catalog.clock_timestamp()::text || pg_catalog.random()::text || $5), 1, $2, $3::bigint, $4::bigint::oid, $5, $6::bigint::oid)
ON CONFLICT (name) DO UPDATE SET owner = s.owner + 1
RETURNING s.owner, s.phase, s.paused, s.snapshot, s.consumer, s.source_system, s.source_timeline,
          s.source_database::bigint AS source_database, s.target_system, s.target_database::bigint AS target_database,
          pg_catalog.txid_snapshot_xmax(s.snapshot) AS snapshot_xmax, s.consistent_since IS NOT NULL AS is_consistent,
          EXISTS (SELECT 1 FROM rebeco.command c WHERE c.sync = s.name AND c.verb = 'accept' AND c.done_at IS NULL) AS is_accepted,
          s.replaces, s.former_consumer, s.direction, s.direction_since, s.known_tables, s.is_leaving,
          (SELECT t.told FROM rebeco.status t WHERE t.sync = s.name AND t.told_as = s.consumer) AS told
