-- What kind of tables the source has, and what our role may do with them.
-- $1 json: {oids [tables], foreign [oids of foreign tables that the patterns choose]}
-- Result: code text, object text, detail text. Lowest server version: 12.
WITH RECURSIVE tree AS (
    SELECT t::oid AS relid, true AS is_root FROM jsonb_array_elements_text($1::jsonb -> 'oids') t
    UNION
    SELECT i.inhrelid, false FROM tree t
      JOIN pg_catalog.pg_class p ON p.oid = t.relid AND p.relkind = 'p'
      JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relid
), tables AS MATERIALIZED (
    SELECT c.*, t.is_root, format('%I.%I', n.nspname, c.relname) AS object
      FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.relid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
)
SELECT 'table-not-owned' AS code, t.object, format('the owner is %I, of which role %I is no member',
       pg_get_userbyid(t.relowner), current_user) AS detail
  FROM tables t WHERE NOT pg_has_role(t.relowner, 'USAGE')
UNION ALL
SELECT 'table-privilege', t.object, format('role %I lacks %s', current_user, string_agg(p.p, ', ' ORDER BY p.p))
  FROM tables t, unnest('{SELECT,TRIGGER}'::text[]) p (p)
 WHERE NOT has_table_privilege(t.oid, p.p) GROUP BY t.object
UNION ALL
SELECT 'schema-usage', quote_ident(n.nspname), format('role %I has no USAGE on it', current_user)
  FROM pg_catalog.pg_namespace n
 WHERE n.oid IN (SELECT t.relnamespace FROM tables t) AND NOT has_schema_privilege(n.oid, 'USAGE')
UNION ALL
SELECT 'unlogged-table', t.object, 'relpersistence is u' FROM tables t WHERE t.relpersistence = 'u'
UNION ALL
SELECT 'foreign-table', format('%I.%I', n.nspname, c.relname), format('on server %I', s.srvname)
  FROM pg_catalog.pg_foreign_table f JOIN pg_catalog.pg_class c ON c.oid = f.ftrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver
 WHERE f.ftrelid IN (SELECT t::oid FROM jsonb_array_elements_text($1::jsonb -> 'foreign') t)
    OR f.ftrelid IN (SELECT t.oid FROM tables t)
UNION ALL
SELECT 'foreign-partition', t.object, 'it is a partition of ' || i.inhparent::regclass::text
  FROM tables t JOIN pg_catalog.pg_inherits i ON i.inhrelid = t.oid WHERE t.relkind = 'f'
UNION ALL
SELECT 'temporary-table', format('%I.%I', n.nspname, c.relname), format('of role %I', pg_get_userbyid(c.relowner))
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 't'
UNION ALL
SELECT 'row-security', t.object,
       CASE WHEN t.relforcerowsecurity THEN 'row security is forced, so it applies to the owner too'
            ELSE format('row security applies to role %I', current_user) END
  FROM tables t WHERE row_security_active(t.oid)
UNION ALL
SELECT 'inheritance', t.object, 'children: ' || string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid)
  FROM tables t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid WHERE t.relkind = 'r' GROUP BY t.object
UNION ALL
SELECT 'partitioned-table', t.object, (SELECT count(*) FROM pg_catalog.pg_inherits i WHERE i.inhparent = t.oid) || ' partitions'
  FROM tables t WHERE t.relkind = 'p' AND t.is_root
UNION ALL
SELECT 'tablespace', t.object, format('in tablespace %I', s.spcname)
  FROM tables t JOIN pg_catalog.pg_tablespace s ON s.oid = t.reltablespace
UNION ALL
SELECT 'invalid-index', t.object, 'index ' || string_agg(quote_ident(c.relname), ', ' ORDER BY c.relname)
  FROM tables t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid AND NOT i.indisvalid
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid GROUP BY t.object
UNION ALL
SELECT 'other-replication', t.object, 'trigger ' || string_agg(quote_ident(g.tgname), ', ' ORDER BY g.tgname)
  FROM tables t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid
  JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname IN ('bucardo', 'londiste', 'pgq', 'pgq_ext')
    OR n.nspname ~ '^_.' AND p.proname = 'logtrigger' -- Slony
    OR g.tgname ~ '^(bucardo_|sym_on_)'
 GROUP BY t.object
