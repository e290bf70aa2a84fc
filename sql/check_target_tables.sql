-- Which of the sync's tables the target lacks, and what stands in the way of writing the others.
-- $1 json: {source_relations (see check_relations.sql), mode: auto|expect|copy, creates (tables are
--   made by us), replica_role (triggers and foreign keys can be switched off), known (the sync has run), two_way}
-- Result: code text, object text, detail text. Lowest server version: 12.
WITH x AS (
    SELECT $1::jsonb ->> 'mode' AS mode, ($1::jsonb ->> 'creates')::boolean AS creates,
           coalesce(($1::jsonb ->> 'replica_role')::boolean, false) AS replica_role,
           coalesce(($1::jsonb ->> 'known')::boolean, false) AS known
), source AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb -> 'source_relations')
             s (schema text, name text, key jsonb, triggers jsonb, rules jsonb, foreign_keys jsonb, actions jsonb, fires boolean, required jsonb)
), tables AS MATERIALIZED (
    SELECT format('%I.%I', s.schema, s.name) AS object, s.*, c.oid, c.relkind, c.relowner,
           coalesce(c.relkind IN ('r', 'p'), false) AS is_table
      FROM source s
      LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema
      LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.name
), triggers AS (
    SELECT t.object, t.fires, g.tgname::text AS name, g.tgenabled::text AS enabled
      FROM tables t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid
     WHERE NOT g.tgisinternal AND g.tgname !~ '^rebeco_'
    UNION
    SELECT t.object, t.fires, g.name, g.enabled
      FROM x, tables t CROSS JOIN jsonb_to_recordset(t.triggers) g (name text, enabled text)
     WHERE x.creates AND t.oid IS NULL
), rules AS (
    SELECT t.object, t.fires, r.rulename::text AS name, r.ev_enabled::text AS enabled
      FROM tables t JOIN pg_catalog.pg_rewrite r ON r.ev_class = t.oid AND r.ev_type <> '1' WHERE t.is_table
    UNION
    SELECT t.object, t.fires, r.name, r.enabled
      FROM x, tables t CROSS JOIN jsonb_to_recordset(t.rules) r (name text, enabled text)
     WHERE x.creates AND t.oid IS NULL
), there AS (
    SELECT f.conrelid, f.conname, f.confdeltype, f.confupdtype FROM pg_catalog.pg_constraint f
     WHERE f.contype = 'f' AND coalesce(to_jsonb(f) ->> 'conenforced', 'true') = 'true'
), foreign_keys AS (
    SELECT t.object, f.conname::text AS name
      FROM tables t JOIN there f ON f.conrelid = t.oid
    UNION
    SELECT t.object, f FROM x, tables t CROSS JOIN jsonb_array_elements_text(t.foreign_keys) f
     WHERE x.creates AND t.oid IS NULL
)
SELECT 'target-table-missing' AS code, t.object,
       CASE x.mode WHEN 'expect' THEN 'the target has no such table, and schema is "expect"'
                   ELSE 'the target has other tables of this sync, but not this one' END AS detail
  FROM x, tables t WHERE t.oid IS NULL AND NOT x.creates
UNION ALL
SELECT 'target-column-required', t.object,
       format('column %s is not in tables.columns, and needs a value in the table as it will be made', string_agg(quote_ident(r), ', ' ORDER BY r))
  FROM x, tables t CROSS JOIN jsonb_array_elements_text(t.required) r WHERE t.oid IS NULL AND x.creates GROUP BY t.object
UNION ALL
SELECT 'target-table-exists', t.object, 'schema is "copy", and the target has this table'
  FROM x, tables t WHERE t.is_table AND x.mode = 'copy'
UNION ALL
SELECT 'target-not-a-table', t.object,
       CASE t.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table'
                      WHEN 'S' THEN 'a sequence' WHEN 'i' THEN 'an index' ELSE 'a relation of kind ' || t.relkind::text END
  FROM tables t WHERE t.oid IS NOT NULL AND NOT t.is_table
UNION ALL
SELECT 'target-table-privilege', t.object, format('role %I lacks %s', current_user, string_agg(p.p, ', ' ORDER BY p.p))
  FROM tables t, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) p (p)
 WHERE t.is_table AND NOT has_table_privilege(t.oid, p.p) GROUP BY t.object
UNION ALL
SELECT 'target-schema-privilege', quote_ident(n.nspname), format('role %I lacks %s', current_user, string_agg(p.p, ', '))
  FROM x, pg_catalog.pg_namespace n, unnest('{USAGE,CREATE}'::text[]) p (p)
 WHERE n.nspname IN (SELECT s.schema FROM source s) AND NOT has_schema_privilege(n.oid, p.p)
   AND (x.creates OR p.p = 'USAGE') GROUP BY n.nspname
UNION ALL
SELECT 'target-key-missing', t.object,
       format('no plain unique index on (%s)', (SELECT string_agg(quote_ident(k), ', ') FROM jsonb_array_elements_text(t.key) k))
  FROM x, tables t
 WHERE t.is_table AND jsonb_array_length(t.key) > 0
   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_index i
                    WHERE i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
                      AND i.indpred IS NULL AND i.indexprs IS NULL
                      AND (SELECT jsonb_agg(a.attname ORDER BY a.attname) FROM pg_catalog.pg_attribute a
                            WHERE a.attrelid = t.oid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))
                          = (SELECT jsonb_agg(k::name ORDER BY k::name) FROM jsonb_array_elements_text(t.key) k))
UNION ALL
SELECT 'target-trigger', g.object, string_agg(format('%I (%s)', g.name,
       CASE g.enabled WHEN 'A' THEN 'fires always' WHEN 'R' THEN 'fires for replication' ELSE 'enabled' END), ', ' ORDER BY g.name)
  FROM x, triggers g
 WHERE NOT coalesce(g.fires, false) AND (g.enabled IN ('A', 'R') OR g.enabled = 'O' AND NOT x.replica_role) GROUP BY g.object
UNION ALL
SELECT 'target-foreign-key', f.object, string_agg(quote_ident(f.name), ', ' ORDER BY f.name)
  FROM x, foreign_keys f WHERE NOT x.replica_role GROUP BY f.object
UNION ALL
SELECT 'target-foreign-key-early', t.object, string_agg(quote_ident(f.conname), ', ' ORDER BY f.conname)
  FROM x, tables t JOIN there f ON f.conrelid = t.oid
 WHERE NOT x.replica_role AND NOT x.known GROUP BY t.object
UNION ALL
SELECT 'target-foreign-key-acts', t.object, string_agg(quote_ident(f.conname), ', ' ORDER BY f.conname)
  FROM x, tables t JOIN there f ON f.conrelid = t.oid
 WHERE NOT x.replica_role AND (f.confdeltype NOT IN ('a', 'r') OR f.confupdtype NOT IN ('a', 'r'))
   AND NOT t.actions @> to_jsonb(concat(f.conname, ' ', f.confdeltype, f.confupdtype)) GROUP BY t.object
UNION ALL
SELECT 'target-rule', r.object, 'rule ' || string_agg(quote_ident(r.name), ', ' ORDER BY r.name)
  FROM x, rules r
 WHERE NOT coalesce(($1::jsonb ->> 'two_way')::boolean, false) -- check_two_way.sql has those
   AND (coalesce(r.fires, false) OR r.enabled IN ('A', 'R') OR r.enabled = 'O' AND NOT x.replica_role) GROUP BY r.object
UNION ALL
SELECT 'row-security', t.object, format('row security applies to role %I', current_user)
  FROM tables t WHERE t.is_table AND row_security_active(t.oid)
UNION ALL
SELECT 'target-subscription', t.object, string_agg(DISTINCT format('subscription %I%s', u.subname,
       CASE WHEN u.pid IS NULL THEN ', not running now' END), ', ')
  FROM tables t JOIN pg_catalog.pg_subscription_rel r ON r.srrelid = t.oid
  JOIN pg_catalog.pg_stat_subscription u ON u.subid = r.srsubid AND u.relid IS NULL GROUP BY t.object
