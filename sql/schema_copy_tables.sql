-- The users' tables with what decides whether they belong to the sync: their own name, of a
-- partition the name of its topmost parent, and the names of the tables that inherit from them.
-- Result, ordered by oid: oid bigint, what text, schema text, name text, pattern text.
--   table      the table itself; pattern is for pg_dump's --exclude-table
--   partition  the same for a partition, which cannot be chosen by its own name
--   match      one more name: the table belongs to the sync when one of its matches does
--   sequence   pattern of a sequence that the table owns
-- Lowest server version: 10.
WITH RECURSIVE relations AS (
    SELECT c.oid, n.nspname, c.relname, c.relispartition,
           pg_catalog.concat('"', pg_catalog.replace(n.nspname, '"', '""'), '"."',
                             pg_catalog.replace(c.relname, '"', '""'), '"') AS pattern
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
       AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'rebeco')
       AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                          AND d.objid = c.oid AND d.deptype = 'e')
), ancestors AS (
    SELECT r.oid, h.inhparent AS other FROM relations r JOIN pg_catalog.pg_inherits h ON h.inhrelid = r.oid
     UNION
    SELECT a.oid, h.inhparent FROM ancestors a JOIN pg_catalog.pg_inherits h ON h.inhrelid = a.other
)
SELECT r.oid::bigint AS oid, CASE WHEN r.relispartition THEN 'partition' ELSE 'table' END AS what,
       r.nspname AS schema, r.relname AS name, r.pattern
  FROM relations r
UNION ALL
SELECT r.oid::bigint, 'match', r.nspname, r.relname, NULL
  FROM relations r
 WHERE NOT r.relispartition
UNION ALL
SELECT r.oid::bigint, 'match', p.nspname, p.relname, NULL
  FROM relations r
  JOIN ancestors a ON a.oid = r.oid
  JOIN relations p ON p.oid = a.other
 WHERE r.relispartition AND NOT p.relispartition
UNION ALL
SELECT p.oid::bigint, 'match', r.nspname, r.relname, NULL
  FROM relations r
  JOIN ancestors a ON a.oid = r.oid
  JOIN relations p ON p.oid = a.other
 WHERE NOT r.relispartition
UNION ALL
SELECT r.oid::bigint, 'sequence', NULL, NULL,
       pg_catalog.concat('"', pg_catalog.replace(n.nspname, '"', '""'), '"."',
                         pg_catalog.replace(s.relname, '"', '""'), '"')
  FROM relations r
  JOIN pg_catalog.pg_depend d ON d.refobjid = r.oid AND d.deptype IN ('a', 'i')
   AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
 ORDER BY 1, 2 DESC
