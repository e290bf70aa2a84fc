-- What the entries of an archive are, said so that the other end can look for the same objects.
-- $1 json: [{id, class, oid, parent, type, label}, ...]: dump id, catalog and object, for the
--          attaching of a partition also its parent, the type's word and a name for people
-- Result: id int, object text (a better name for people), is_ours bool (not to be copied), is_known
-- bool (it can be looked for), document text (json of rebeco.schema_object).
-- A trigger of ours that was dropped after the archive was made is told by its name.
-- The rule of a view is not looked for: a view that was created in two parts has one before its
-- real one comes. Lowest server version: 10.
SELECT e.id, e.type || ' ' || coalesce(i.identity, e.label) AS object,
       coalesce(g.is_ours, e.class = 2620 AND i.identity IS NULL AND e.label ~ ' rebeco_(insert|update|delete|row|truncate)(_[0-9]+)?(_applied)? [^ ]+$') AS is_ours,
       i.identity IS NOT NULL AND pg_catalog.cardinality(a.object_names) > 0 AS is_known,
       pg_catalog.json_build_object(
           'id', e.id, 'kind', CASE WHEN i.identity IS NULL THEN '' ELSE coalesce(a.type, '') END, 'names', coalesce(a.object_names, '{}'),
           'args', coalesce(a.object_args, '{}'), 'parent', coalesce(p.names, x.names),
           'detail', CASE WHEN p.names IS NOT NULL THEN 'attach' WHEN k.contype = 'p' THEN 'primary' ELSE '' END,
           'label', e.type || ' ' || coalesce(i.identity, e.label))::text AS document
  FROM pg_catalog.json_to_recordset($1::json)
       AS e (id int, class bigint, oid bigint, parent bigint, type text, label text)
  LEFT JOIN pg_catalog.pg_rewrite r ON e.class = 2618 AND r.oid = e.oid::oid
  LEFT JOIN pg_catalog.pg_constraint k ON e.class = 2606 AND k.oid = e.oid::oid
  LEFT JOIN LATERAL pg_catalog.pg_identify_object_as_address(
            CASE WHEN e.class <> 0 AND r.rulename IS DISTINCT FROM '_RETURN' THEN e.class::oid END,
            e.oid::oid, 0) a ON true
  LEFT JOIN LATERAL pg_catalog.pg_identify_object(nullif(e.class, 0)::oid, e.oid::oid, 0) i ON true
  LEFT JOIN LATERAL (
        SELECT f.pronamespace = n.oid AS is_ours
          FROM pg_catalog.pg_trigger t
          JOIN pg_catalog.pg_proc f ON f.oid = t.tgfoid
          JOIN pg_catalog.pg_namespace n ON n.nspname = 'rebeco'
         WHERE e.class = 2620 AND t.oid = e.oid::oid) g ON true
  LEFT JOIN LATERAL (
        SELECT ARRAY[n.nspname::text, c.relname::text] AS names
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE e.parent <> 0 AND c.oid = e.parent::oid) p ON true
  LEFT JOIN LATERAL (
        SELECT ARRAY[n.nspname::text, c.relname::text, tn.nspname::text, t.relname::text] AS names
          FROM pg_catalog.pg_inherits h
          JOIN pg_catalog.pg_class c ON c.oid = h.inhparent
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          JOIN pg_catalog.pg_index y ON y.indexrelid = h.inhrelid
          JOIN pg_catalog.pg_class t ON t.oid = y.indrelid
          JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
         WHERE h.inhrelid = CASE e.class WHEN 1259 THEN e.oid::oid WHEN 2606 THEN k.conindid END) x ON true
 ORDER BY e.id
