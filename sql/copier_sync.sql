-- How far the sync is that a copier helps with.
-- $1 text: the sync
-- Result: owner bigint, phase, paused, source_system text, source_database bigint, version int (of our
-- objects), consumer text; no row while no daemon has begun it. Lowest server version: 10.
SELECT s.owner, s.phase, s.paused, s.source_system, s.source_database::bigint AS source_database,
       (SELECT pg_catalog.max(v.version) FROM rebeco.version v) AS version, s.consumer
  FROM rebeco.sync s
 WHERE s.name = $1
