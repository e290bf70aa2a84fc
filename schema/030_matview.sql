-- Materialized views at the target: when each was refreshed by us.

CREATE TABLE rebeco.matview (
    sync text NOT NULL REFERENCES rebeco.sync ON DELETE CASCADE,
    relid oid NOT NULL,
    refreshed_at timestamptz NOT NULL,  -- when the last refresh that ended well began
    seconds double precision NOT NULL,  -- how long it took
    PRIMARY KEY (sync, relid)
);

-- The materialized views of a sync, each with all that it reads: through views, other materialized
-- views, functions whose body the server knows, partitions and inheritance. A function whose body
-- is only a text may read anything: `object` is NULL then, once.
--
-- Left out are those of extensions, and those that read another sync's tables and none of this one's.
CREATE FUNCTION rebeco.matview_reach(p_sync text)
    RETURNS TABLE (relid oid, object oid, kind "char")
    LANGUAGE sql STABLE SET search_path TO pg_catalog, pg_temp AS $$
    WITH RECURSIVE reach (relid, class, object) AS (
        SELECT c.oid, 'pg_class'::regclass::oid, c.oid
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'm' AND n.nspname <> 'rebeco' AND n.nspname !~ '^pg_'
           AND NOT EXISTS (SELECT FROM pg_depend e
                            WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                              AND e.deptype = 'e')
        UNION
        SELECT r.relid, o.class, o.object
          FROM reach r
          CROSS JOIN LATERAL (
               SELECT d.refclassid, d.refobjid
                 FROM pg_rewrite w
                 JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                WHERE r.class = 'pg_class'::regclass AND w.ev_class = r.object AND w.ev_type = '1'
               UNION ALL
               SELECT d.refclassid, d.refobjid
                 FROM pg_depend d
                WHERE r.class = 'pg_proc'::regclass AND d.classid = r.class AND d.objid = r.object
               UNION ALL
               SELECT r.class, i.inhrelid
                 FROM pg_inherits i
                WHERE r.class = 'pg_class'::regclass AND i.inhparent = r.object
               UNION ALL
               SELECT r.class, i.inhparent
                 FROM pg_inherits i
                WHERE r.class = 'pg_class'::regclass AND i.inhrelid = r.object) o (class, object)
         WHERE o.class IN ('pg_class'::regclass, 'pg_proc'::regclass)
    ), found AS (
        SELECT r.relid, r.object, c.relkind AS kind
          FROM reach r
          JOIN pg_class c ON c.oid = r.object
         WHERE r.class = 'pg_class'::regclass
        UNION
        SELECT r.relid, NULL, NULL
          FROM reach r
          JOIN pg_proc p ON p.oid = r.object
         WHERE r.class = 'pg_proc'::regclass AND p.provolatile <> 'i'
           AND to_jsonb(p) ->> 'prosqlbody' IS NULL
           AND NOT EXISTS (SELECT FROM pg_depend e
                            WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid
                              AND e.deptype = 'e')
    ), tables AS (
        SELECT f.relid, bool_or(t.sync = p_sync) AS ours
          FROM found f
          JOIN pg_class c ON c.oid = f.object
          JOIN pg_namespace n ON n.oid = c.relnamespace
          JOIN rebeco.sync_table t ON t.target_schema = n.nspname AND t.target_name = c.relname
         GROUP BY 1
    )
    SELECT f.relid, f.object, f.kind
      FROM found f
      LEFT JOIN tables t ON t.relid = f.relid
     WHERE t.ours IS NOT FALSE
$$;
