-- Tables at the target that are not empty. Those that somebody has locked now are left out.
-- $1 json: {oids [tables]}
-- Result: code text, object text, detail text. Lowest server version: 10.
WITH RECURSIVE tree AS (
    SELECT t::oid AS relid FROM jsonb_array_elements_text($1::jsonb -> 'oids') t
    UNION
    SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relid
), sizes AS (
    SELECT format('%I.%I', n.nspname, c.relname) AS object,
           CASE WHEN NOT EXISTS (SELECT 1 FROM pg_catalog.pg_locks l
                                  WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock' AND l.granted)
                THEN pg_relation_size(c.oid) END AS bytes
      FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.relid AND c.relkind = 'r'
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
)
SELECT 'target-not-empty' AS code, s.object, pg_size_pretty(s.bytes) AS detail FROM sizes s WHERE s.bytes > 0
