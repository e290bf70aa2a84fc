-- Sequences at the source that cannot be read or are nearly used up, and number columns whose
-- sequence is near the end of the column's type. A sequence that somebody has locked now is left
-- out: reading it would wait.
-- $1 json: {schema, oids [tables]}
-- Result: code text, object text, detail text. Lowest server version: 12.
WITH sequences AS MATERIALIZED (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS object, s.seqmin, s.seqmax, s.seqincrement, s.seqcycle,
           has_sequence_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE') AS can_read,
           CASE WHEN has_sequence_privilege(c.oid, 'SELECT')
                 AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_locks l
                                  WHERE l.relation = c.oid AND l.granted
                                    AND l.mode IN ('ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
                THEN pg_sequence_last_value(c.oid) END AS last
      FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_'
       AND n.nspname NOT IN ('information_schema', $1::jsonb ->> 'schema')
       AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), columns AS (
    SELECT format('%I.%I', n.nspname, c.relname) AS object, a.attname, a.atttypid, s.last,
           CASE a.atttypid WHEN 'int2'::regtype THEN 32767 ELSE 2147483647 END AS maximum
      FROM sequences s
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.oid
       AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
      JOIN pg_catalog.pg_class c ON c.oid = d.refobjid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype) AND s.last IS NOT NULL
)
SELECT 'sequence-privilege' AS code, s.object, format('role %I has no SELECT on it', current_user) AS detail
  FROM sequences s WHERE NOT s.can_read
UNION ALL
SELECT 'sequence-near-limit', s.object, format('at %s of %s', s.last, CASE WHEN s.seqincrement > 0 THEN s.seqmax ELSE s.seqmin END)
  FROM sequences s
 WHERE NOT s.seqcycle AND s.last IS NOT NULL
   AND CASE WHEN s.seqincrement > 0 THEN s.last::numeric - s.seqmin ELSE s.seqmax - s.last::numeric END
       > 0.8 * (s.seqmax::numeric - s.seqmin)
UNION ALL
SELECT 'key-near-limit', c.object, format('column %I %s is at %s of %s', c.attname, c.atttypid::regtype, c.last, c.maximum)
  FROM columns c WHERE c.last > 0.8 * c.maximum
