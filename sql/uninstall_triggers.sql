-- The tables that have triggers of ours, each with a statement that drops these in one transaction.
-- Ours are those whose function is in the schema rebeco, and those that are named like ours and have a
-- function whose text is ours, should the schema have been renamed. The triggers that partitions have
-- from their parent go with the parent's. Those of change logs go with these.
-- Result, a row per table: label text, statement text. Lowest server version: 10.
SELECT t.tgrelid::regclass::text AS label,
       pg_catalog.format('DO %L', 'BEGIN ' || pg_catalog.string_agg(
           pg_catalog.format('DROP TRIGGER IF EXISTS %I ON %s;', t.tgname, t.tgrelid::regclass), ' ' ORDER BY t.tgname)
           || ' END') AS statement
  FROM pg_catalog.pg_trigger t
  JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_catalog.pg_class r ON r.oid = t.tgrelid AND r.relnamespace <> n.oid
 WHERE NOT t.tgisinternal
   AND (n.nspname = 'rebeco'
        OR (t.tgname ~ '^rebeco_(insert|update|delete|row|truncate)(_[0-9]+)?(_applied)?$'
            AND p.proname ~ '^capture_[0-9]+$' AND pg_catalog.strpos(p.prosrc, 'rebeco.log_') > 0))
   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid
                      AND d.refclassid = 'pg_trigger'::regclass)
 GROUP BY t.tgrelid
 ORDER BY 1
