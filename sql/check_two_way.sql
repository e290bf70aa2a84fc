-- What concerns a two-way sync only, at either end: triggers and rules that would do their work again for rows that
-- arrive, sequences that both ends cannot draw from, keys that both ends may make up.
-- $1 json: {two_way, side, oids [tables]}
-- Result: code text, object text, detail text. Lowest server version: 12.
WITH RECURSIVE x AS (
    SELECT coalesce(($1::jsonb ->> 'two_way')::boolean, false) AS is_on, $1::jsonb ->> 'side' = 'source' AS is_source
), tables AS MATERIALIZED (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS object
      FROM x CROSS JOIN jsonb_array_elements_text($1::jsonb -> 'oids') t
      JOIN pg_catalog.pg_class c ON c.oid = t::oid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE x.is_on
), tree AS ( -- rows of partitions are written by way of their table, and fire the row triggers that are a partition's own
    SELECT t.object, t.oid, false AS is_part FROM tables t
    UNION ALL
    SELECT t.object, i.inhrelid, true FROM tree t
      JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind = 'p'
      JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
), triggers AS MATERIALIZED (
    SELECT t.object, quote_ident(g.tgname) || CASE WHEN t.is_part THEN ' on ' || t.oid::regclass ELSE '' END AS name,
           strpos(pg_get_triggerdef(g.oid), 'rebeco.applying') > 0 AS is_aware
      FROM tree t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')
      JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname <> 'rebeco'
       AND (NOT t.is_part OR g.tgtype & 1 = 1
            AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                             WHERE d.classid = 'pg_catalog.pg_trigger'::regclass AND d.objid = g.oid AND d.refclassid = 'pg_catalog.pg_trigger'::regclass))
), drawn AS MATERIALIZED ( -- which column draws from which sequence: it owns it, or its default names it
    SELECT d.objid AS seq, t.oid AS relid, t.object, d.refobjsubid AS attnum
      FROM tables t JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = t.oid
       AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
      JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.objid
    UNION
    SELECT d.refobjid, t.oid, t.object, a.adnum
      FROM tables t JOIN pg_catalog.pg_attrdef a ON a.adrelid = t.oid
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = a.oid
       AND d.refclassid = 'pg_catalog.pg_class'::regclass
      JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.refobjid
), sequences AS MATERIALIZED (
    SELECT d.object, format('%I.%I', n.nspname, c.relname) AS name, a.attname, s.seqcycle, s.seqcache,
           CASE WHEN NOT EXISTS (SELECT 1 FROM pg_catalog.pg_locks l WHERE l.relation = c.oid AND l.granted
                                    AND l.mode IN ('ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
                 AND has_sequence_privilege(c.oid, 'SELECT')
                THEN (CASE WHEN s.seqincrement < 0 THEN s.seqmin
                           ELSE least(s.seqmax, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 ELSE s.seqmax END) END::numeric
                      - coalesce(pg_sequence_last_value(c.oid), s.seqstart)) / s.seqincrement END AS steps_left
      FROM drawn d JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.seq
      JOIN pg_catalog.pg_class c ON c.oid = d.seq
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = d.relid AND a.attnum = d.attnum
), keys AS MATERIALIZED (
    SELECT DISTINCT ON (i.indrelid) i.indrelid, i.indkey[0:i.indnkeyatts - 1] AS attnums
      FROM tables t
      JOIN pg_catalog.pg_index i ON i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
       AND i.indpred IS NULL AND i.indexprs IS NULL
     WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute n
                        WHERE n.attrelid = i.indrelid AND (NOT n.attnotnull OR n.attgenerated <> '') AND n.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))
       AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint v
                        WHERE v.conrelid = i.indrelid AND v.contype = 'n' AND NOT v.convalidated AND v.conkey[1] = ANY (i.indkey[0:i.indnkeyatts - 1]))
     ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, i.indexrelid
)
SELECT 'two-way-trigger' AS code, t.object, 'trigger ' || string_agg(t.name, ', ' ORDER BY t.name) AS detail
  FROM triggers t WHERE NOT t.is_aware GROUP BY t.object
UNION ALL
SELECT 'two-way-trigger-aware', t.object, 'trigger ' || string_agg(t.name, ', ' ORDER BY t.name)
  FROM triggers t WHERE t.is_aware GROUP BY t.object
UNION ALL
SELECT 'two-way-rule', t.object, 'rule ' || string_agg(quote_ident(r.rulename), ', ' ORDER BY r.rulename)
  FROM tables t JOIN pg_catalog.pg_rewrite r ON r.ev_class = t.oid AND r.ev_type <> '1' AND r.ev_enabled IN ('O', 'A') GROUP BY t.object
UNION ALL
SELECT 'two-way-sequence-cycle', s.name, format('column %I of %s draws from it', s.attname, s.object)
  FROM x, sequences s WHERE x.is_source AND s.seqcycle
UNION ALL
SELECT 'two-way-sequence-short', s.name, format('%s values are left for column %I of %s', trunc(s.steps_left), s.attname, s.object)
  FROM x, sequences s WHERE x.is_source AND NOT s.seqcycle AND s.steps_left < 1000000
UNION ALL
SELECT 'two-way-sequence-cached', s.name, format('CACHE %s; column %I of %s draws from it', s.seqcache, s.attname, s.object)
  FROM x, sequences s WHERE x.is_source AND s.seqcache > 1
UNION ALL
SELECT 'two-way-natural-key', t.object,
       format('key (%s)', (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
                            WHERE a.attrelid = t.oid AND a.attnum = ANY (k.attnums)))
  FROM x, tables t JOIN keys k ON k.indrelid = t.oid
 WHERE x.is_source
   AND NOT EXISTS (SELECT 1 FROM drawn d WHERE d.relid = t.oid AND d.attnum = ANY (k.attnums))
   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = t.oid AND a.attnum = ANY (k.attnums) AND a.atttypid = 'uuid'::regtype)
UNION ALL
-- (What has all columns of the key, or a value that nobody gives twice, is as different as the keys are. Spans may differ and overlap.)
SELECT 'two-way-unique', t.object,
       string_agg(format('%s %I', CASE WHEN i.indisexclusion THEN 'exclusion constraint' ELSE 'unique index' END, r.relname), ', ' ORDER BY r.relname)
  FROM x, tables t JOIN keys k ON k.indrelid = t.oid
  JOIN pg_catalog.pg_index i ON i.indrelid = t.oid AND (i.indisunique OR i.indisexclusion) AND i.indisvalid
  JOIN pg_catalog.pg_class r ON r.oid = i.indexrelid
 WHERE x.is_source
   AND (i.indisexclusion
        OR NOT i.indkey[0:i.indnkeyatts - 1]::smallint[] @> k.attnums::smallint[]
           AND NOT EXISTS (SELECT 1 FROM drawn d WHERE d.relid = t.oid AND d.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))
           AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
                            WHERE a.attrelid = t.oid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) AND a.atttypid = 'uuid'::regtype))
 GROUP BY t.object
