-- All tables of the users, each as one JSON object; partitions are part of their root. Waits for no lock
-- on a table: an index that is built at the target may take an hour. A size needs a lock, so that it is
-- estimated where somebody holds the table.
-- $1 boolean: with sizes
-- Result: document json {oid, schema, name, kind, bytes, rows, shape, layout, key_index, key_immediate,
-- foreign_part (a partition of it, in any depth, that is a foreign table), key [names], only (read without children), has_rules, acts_on_arrivals (text, NULL: nothing), is_referenced, has_actions, references [oids], masters [oids], has_side_cascade,
-- foreign_keys (the stamp of all), columns [{name, type, full_type, definition, cast, output,
-- input, input_more, array, element_oid, array_oid, copy_binary, copy_cast, equals, is_bitwise,
-- not_null, needs_value, generated, identity}]}.
--   has_actions  foreign keys that point here do more than refuse the end of a row, or refuse it at once
--   references   the tables that its foreign keys point to
--   masters      those of them whose rows change or remove rows here by other columns than their key
--   has_side_cascade  rows elsewhere go with rows here by columns that are not the key, and others may with those
--   definition   what ADD COLUMN says of it: the DEFAULT that rows from before have as a value; '...' for an expression,
--                of which the server (from 17 on) makes text only with a lock on the table. NOT NULL only with one of them:
--                the server refuses it where rows would be without a value
--   cast         what the value is read as: NULL for itself, 'text', or a domain's base type
--   output       the type's own function, to be called before the cast to text, and
--   input, input_more  the function and its arguments behind the text, where a cast between the two
--                does something else (text to regclass finds no number); NULL: the cast will do
--   array        the type of an array of such values, for unnest
--   copy_cast    what is copied as text instead: an xml value's output leaves its encoding away
--   equals       the operator that finds equal keys
-- An empty tsquery cannot be read in binary by any server, so that it is not among the plain ones.
-- A modifier of -1 and not NULL gives bpchar and "bit": as casts, character and bit are one wide.
--   needs_value  a row cannot be inserted without one: it may not be NULL, and nothing makes one
--   is_bitwise   equal values are equal bytes, so an equal key need not be written again
-- Lowest server version: 12. Needs the functions of schema/005_shape.sql.
WITH foreign_keys AS MATERIALIZED (
    SELECT coalesce(pg_catalog.pg_partition_root(f.conrelid), f.conrelid)::oid AS child,
           coalesce(pg_catalog.pg_partition_root(f.confrelid), f.confrelid)::oid AS parent, f.confdeltype <> 'a' AS acts,
           CASE WHEN f.confdeltype NOT IN ('a', 'r') OR f.confupdtype NOT IN ('a', 'r')
                THEN f.conindid IS DISTINCT FROM (SELECT min(y.index_oid) FROM rebeco.table_key(
                         coalesce(pg_catalog.pg_partition_root(f.confrelid), f.confrelid)) y) END AS rules, f.conindid AS by_index,
           f.confdeltype = 'c' AND EXISTS (SELECT 1 FROM pg_catalog.pg_constraint m WHERE m.contype = 'f' AND m.confrelid = f.conrelid AND rebeco.is_enforced(m)) AS goes_on
      FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND rebeco.is_enforced(f)
), held AS MATERIALIZED (
    SELECT l.relation FROM pg_catalog.pg_locks l
     WHERE $1::boolean AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
)
SELECT json_build_object(
    'oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
    'only', c.relkind = 'r', 'has_rules', c.relhasrules, 'acts_on_arrivals', CASE WHEN c.relhastriggers OR c.relhasrules THEN rebeco.acts_on_arrivals(c.oid) END,
    'is_referenced', pointed.acts IS NOT NULL, 'has_actions', coalesce(pointed.acts, false), 'references', coalesce(points.parents, '[]'), 'masters', coalesce(points.masters, '[]'), 
    'has_side_cascade', EXISTS (SELECT 1 FROM foreign_keys y WHERE y.parent = c.oid AND y.goes_on AND y.by_index IS DISTINCT FROM k.index_oid),
    'foreign_keys', stamp.all_of_them,
    'bytes', size.bytes, 'rows', size.rows, 'foreign_part', size.foreign_part,
    'shape', rebeco.table_shape(c.oid), 'layout', rebeco.table_layout(c.oid),
    'key_index', k.index_oid::bigint, 'key_immediate', k.is_immediate, 'key', coalesce(k.names, '[]'),
    'columns', coalesce(a.columns, '[]')) AS document
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (
        WITH RECURSIVE tree AS (
            SELECT c.oid
            UNION ALL
            SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid WHERE c.relkind = 'p'
        )
        SELECT coalesce(pg_catalog.sum(CASE WHEN l.relkind = 'f' THEN 0 WHEN l.oid IN (SELECT h.relation FROM held h) THEN l.relpages * pg_catalog.current_setting('block_size')::bigint
                                            WHEN $1::boolean THEN pg_catalog.pg_table_size(l.oid) ELSE 0 END), 0)::bigint AS bytes,
               coalesce(pg_catalog.sum(l.reltuples) FILTER (WHERE l.reltuples > 0 AND l.relkind = 'r'), 0)::bigint AS rows,
               min(l.oid::regclass::text) FILTER (WHERE l.relkind = 'f') AS foreign_part
          FROM tree t JOIN pg_catalog.pg_class l ON l.oid = t.oid
         WHERE l.relkind IN ('r', 'f')) size
 CROSS JOIN (SELECT rebeco.foreign_keys_stamp() AS all_of_them OFFSET 0) stamp
  LEFT JOIN (SELECT k.parent, pg_catalog.bool_or(k.acts) AS acts FROM foreign_keys k GROUP BY k.parent) pointed ON pointed.parent = c.oid
  LEFT JOIN (SELECT k.child, json_agg(DISTINCT k.parent::bigint) AS parents,
                    json_agg(DISTINCT k.parent::bigint) FILTER (WHERE k.rules) AS masters FROM foreign_keys k GROUP BY k.child) points ON points.child = c.oid
  LEFT JOIN LATERAL (
        SELECT min(x.index_oid) AS index_oid, bool_and(x.is_immediate) AS is_immediate,
               json_agg(x.column_name ORDER BY x.ordinal) AS names
          FROM rebeco.table_key(c.oid) x) k ON true
 CROSS JOIN (SELECT '{bool,bytea,char,name,int8,int2,int4,text,oid,json,jsonb,float4,float8,money,bpchar,varchar,date,time,timestamp,timestamptz,timetz,interval,bit,varbit,numeric,uuid,inet,cidr,macaddr,macaddr8,point,lseg,box,path,polygon,line,circle,tsvector,pg_lsn}'::name[] AS names) f
  LEFT JOIN LATERAL (
        SELECT json_agg(json_build_object(
                   'name', a.attname,
                   'type', rebeco.type_name(a.atttypid, a.atttypmod),
                   'full_type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                   'definition', pg_catalog.concat(rebeco.type_name(a.atttypid, a.atttypmod), v.value,
                        CASE WHEN v.value IS NOT NULL AND a.attnotnull AND a.attidentity = '' THEN ' NOT NULL' END),
                   'cast', CASE WHEN w.plain AND t.typtype = 'd' THEN pg_catalog.format_type(b.oid, -1)
                                WHEN NOT w.plain THEN 'text' END,
                   'output', CASE WHEN NOT w.plain AND EXISTS (SELECT 1 FROM pg_catalog.pg_cast k
                                         WHERE k.castsource = b.oid AND k.casttarget = 25 AND k.castmethod = 'f')
                                  THEN b.typoutput::regproc::text END,
                   'input', CASE WHEN NOT w.plain AND EXISTS (SELECT 1 FROM pg_catalog.pg_cast k
                                        WHERE k.castsource = 25 AND k.casttarget = b.oid AND k.castmethod = 'f')
                                 THEN b.typinput::regproc::text END,
                   'input_more', CASE WHEN (SELECT f.pronargs FROM pg_catalog.pg_proc f WHERE f.oid = b.typinput) > 1
                                      THEN pg_catalog.format(', %s, -1', CASE WHEN b.typelem <> 0 THEN b.typelem ELSE b.oid END) ELSE '' END,
                   'array', pg_catalog.format_type(CASE WHEN w.plain THEN b.typarray ELSE 1009 END, -1),
                   'element_oid', CASE WHEN w.plain THEN b.oid ELSE 25 END::bigint,
                   'array_oid', CASE WHEN w.plain THEN b.typarray ELSE 1009 END::bigint,
                   'copy_binary', w.plain OR b.typtype = 'e' OR e.plain,
                   'copy_cast', CASE WHEN b.oid = 'xml'::regtype THEN 'text' END,
                   'equals', CASE WHEN b.typnamespace = 'pg_catalog'::regnamespace THEN '=' ELSE coalesce(rebeco.type_equals(b.oid), '=') END,
                   'is_bitwise', b.typname = ANY ('{int2,int4,int8,uuid,bool,oid,date,time,timestamp,timestamptz,bytea,name,text,varchar}'::name[])
                                 AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_collation o WHERE o.oid = a.attcollation AND NOT o.collisdeterministic),
                   'not_null', a.attnotnull, 'needs_value', (a.attnotnull OR rebeco.type_refuses_null(t.oid))
                        AND NOT a.atthasdef AND t.typdefault IS NULL AND a.attidentity = '',
                   'generated', a.attgenerated, 'identity', a.attidentity)
               ORDER BY a.attnum) AS columns
          FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
          JOIN pg_catalog.pg_type b ON b.oid = rebeco.base_type(t.oid)
          LEFT JOIN pg_catalog.pg_type l ON l.oid = b.typelem AND b.typcategory = 'A'
         CROSS JOIN LATERAL (SELECT b.typnamespace = 'pg_catalog'::regnamespace AND b.typname = ANY (f.names) AS plain) w
         CROSS JOIN LATERAL (SELECT CASE WHEN a.attgenerated <> '' THEN ' GENERATED ALWAYS AS (...)' || CASE a.attgenerated WHEN 's' THEN ' STORED' ELSE '' END
                                         WHEN a.attidentity = 'a' THEN ' GENERATED ALWAYS AS IDENTITY'
                                         WHEN a.attidentity <> '' THEN ' GENERATED BY DEFAULT AS IDENTITY'
                                         WHEN a.atthasmissing AND pg_catalog.length(a.attmissingval::text) <= 100
                                         THEN ' DEFAULT ' || pg_catalog.quote_literal((a.attmissingval::text::text[])[1])
                                         WHEN a.atthasdef THEN ' DEFAULT ...' END AS value) v -- that rows from before get
         CROSS JOIN LATERAL (SELECT coalesce(l.typnamespace = 'pg_catalog'::regnamespace AND l.typname = ANY (f.names), false) AS plain) e
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) a ON true
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'rebeco')
   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype = 'e')
