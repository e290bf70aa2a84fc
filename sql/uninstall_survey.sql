-- What there is of Rebeco in this database, as far as its removal must know. Names none of our
-- tables: they may be gone, all or in part.
-- Result: has_schema boolean; is_ours boolean (the schema is empty, or holds something that we make);
-- has_state boolean (the tables that say who else uses it are there); dependents text: what of the
-- user's depends on our objects and would be dropped with them, NULL for nothing.
-- has_skips boolean (rows that were left out are recorded); has_apart boolean (sequences may be set apart). Lowest server version: 10.
WITH schema AS (
    SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'rebeco'
), relations AS (
    SELECT c.oid, c.relname FROM pg_catalog.pg_class c JOIN schema s ON s.oid = c.relnamespace
), functions AS (
    SELECT p.oid, p.proname FROM pg_catalog.pg_proc p JOIN schema s ON s.oid = p.pronamespace
), inside AS (
    SELECT 'pg_class'::regclass AS classid, r.oid FROM relations r
    UNION ALL
    SELECT 'pg_proc'::regclass, f.oid FROM functions f
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid FROM pg_catalog.pg_type t JOIN schema s ON s.oid = t.typnamespace
), dependents AS (
    SELECT DISTINCT d.classid, d.objid
      FROM inside i
      JOIN pg_catalog.pg_depend d ON d.refclassid = i.classid AND d.refobjid = i.oid AND d.deptype = 'n'
      LEFT JOIN pg_catalog.pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
      LEFT JOIN pg_catalog.pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
      LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
      LEFT JOIN pg_catalog.pg_policy y ON d.classid = 'pg_policy'::regclass AND y.oid = d.objid
      LEFT JOIN pg_catalog.pg_class c
             ON c.oid = coalesce(w.ev_class, a.adrelid, k.conrelid, y.polrelid,
                                 CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid END)
      LEFT JOIN pg_catalog.pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
      LEFT JOIN pg_catalog.pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
     WHERE d.classid <> 'pg_trigger'::regclass
       AND coalesce(c.relnamespace, p.pronamespace, t.typnamespace) NOT IN (SELECT s.oid FROM schema s)
)
SELECT EXISTS (SELECT 1 FROM schema) AS has_schema,
       NOT EXISTS (SELECT 1 FROM inside)
           OR EXISTS (SELECT 1 FROM relations r
                       WHERE r.relname IN ('version', 'sync', 'sync_table', 'capture', 'consumer', 'nap')
                          OR r.relname ~ '^log_[0-9]+_[01]$')
           OR EXISTS (SELECT 1 FROM functions f WHERE f.proname ~ '^capture_') AS is_ours,
       pg_catalog.to_regclass('rebeco.sync') IS NOT NULL
           AND pg_catalog.to_regclass('rebeco.consumer') IS NOT NULL
           AND pg_catalog.to_regclass('rebeco.consumer_table') IS NOT NULL
           AND pg_catalog.to_regclass('rebeco.capture') IS NOT NULL AS has_state,
       pg_catalog.to_regclass('rebeco.skipped') IS NOT NULL AS has_skips,
       pg_catalog.to_regclass('rebeco.two_way_sequence') IS NOT NULL AS has_apart,
       (SELECT pg_catalog.string_agg(o.type || ' ' || o.identity, ', ' ORDER BY o.identity)
          FROM dependents d, pg_catalog.pg_identify_object(d.classid, d.objid, 0) o) AS dependents
