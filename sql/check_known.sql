-- Whether this sync has run before, and who else uses our objects in this database.
-- $1 json: {sync, version (of the objects that this program installs)}
-- Result: code text, object text, detail text; the code sync-known is for the program only.
-- Lowest server version: 10. Needs schema/001_state.sql.
SELECT 'sync-known' AS code, s.name AS object, s.phase AS detail
  FROM rebeco.sync s WHERE s.name = $1::jsonb ->> 'sync'
UNION ALL
SELECT 'captured-already', quote_ident(c.sync), 'changes are captured for it since ' || c.created_at::date
  FROM rebeco.consumer c WHERE c.sync <> $1::jsonb ->> 'sync'
UNION ALL
SELECT 'state-newer', 'rebeco', format('version %s, this program knows version %s', v.version, $1::jsonb ->> 'version')
  FROM (SELECT max(v.version) AS version FROM rebeco.version v) v
 WHERE v.version > ($1::jsonb ->> 'version')::int
