-- Forgets what was kept of materialized views that are gone.
-- $1 text: the sync. Runs at the target. Result: nothing of interest. Lowest server version: 10.
WITH here AS (
    SELECT c.oid, pg_catalog.format('MATERIALIZED VIEW %I.%I', n.nspname, c.relname) AS object
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'm'
), forgotten AS (
    DELETE FROM rebeco.matview m
     WHERE m.sync = $1 AND m.relid NOT IN (SELECT h.oid FROM here h)
)
DELETE FROM rebeco.problem p
 WHERE p.sync = $1 AND p.kind = 'matview' AND p.object NOT IN (SELECT h.object FROM here h)
