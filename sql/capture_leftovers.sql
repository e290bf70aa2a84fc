-- Which tables have triggers of ours, found without any state of ours: for uninstall.
-- Result: relation text, statement text (drops these triggers; one table per transaction, with a
-- short lock_timeout). Lowest server version: 10.
SELECT t.tgrelid::regclass::text AS relation,
       string_agg(format('DROP TRIGGER IF EXISTS %I ON %s', t.tgname, t.tgrelid::regclass), '; ' ORDER BY t.tgname) AS statement
  FROM pg_catalog.pg_trigger t
  JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
  LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = t.tgrelid
  LEFT JOIN pg_catalog.pg_trigger u ON u.tgrelid = i.inhparent AND u.tgname = t.tgname AND u.tgfoid = t.tgfoid
 WHERE p.pronamespace = to_regnamespace('rebeco') AND p.proname ~ '^capture_[0-9]+$'
   AND (u.oid IS NULL OR t.tgtype & 1 = 0)
 GROUP BY t.tgrelid
 ORDER BY t.tgrelid
