-- Makes the statements that write the changed rows of tables at the target.
-- $1 json: [{id, schema, name, only, records, on_conflict, key [names], columns [{name, array, cast, input,
-- input_more, copy_cast, equals, is_key, is_fixed}]}]
--   on_conflict   false where the server does not take ON CONFLICT: the key is deferrable, or the table
--                 has rules. Then rows are updated, and those that are not there inserted.
--   cast          the target's type to cast a value to, or NULL when assignment will do
--   input         the function that makes the value of text before that, input_more its further arguments
--   equals        the operator that finds equal keys
--   is_key        equal keys are equal bytes, so that it need not be written again
--   is_fixed      an identity column that can be inserted but not updated: where it differs, the row is
--                 removed first, in the same statement
-- Result: id int, upsert text (one array per column), remove text (one array per key column; per column,
-- where there is no key),
-- clear text (all rows), upsert_large text (one row, one value per column; NULL where there is no key). A row that is already as it should be is not written again.
-- Needs the functions of schema/007_session.sql and schema/060_image.sql. Lowest server version: 10.
SELECT (t.doc ->> 'id')::int AS id, concat('WITH u AS (', w.rows, s.write) AS upsert,
       format('DELETE FROM %s AS t USING unnest(%s) AS u (%s) WHERE %s', w.tree, k.arrays, k.aliases, k.match) AS remove,
       format('DELETE FROM %s', w.tree) AS clear, concat('WITH u AS (', w.one, s.write) AS upsert_large
  FROM json_array_elements($1::json) t (doc)
 CROSS JOIN LATERAL (
        SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.ordinal) AS names,
               string_agg(format('u.c%s', c.ordinal), ', ' ORDER BY c.ordinal) AS values,
               string_agg(format('%s AS c%s', c.value, c.ordinal), ', ' ORDER BY c.ordinal) AS casts,
               string_agg(format('$%s::%s', c.ordinal, c.array), ', ' ORDER BY c.ordinal) AS arrays,
               string_agg(format('pg_catalog.array_append(''{}''::%s, $%s)', c.array, c.ordinal), ', ' ORDER BY c.ordinal) AS singles,
               string_agg(format('c%s', c.ordinal), ', ' ORDER BY c.ordinal) AS aliases,
               string_agg(format('t.%I = u.c%s', c.name, c.ordinal), ' AND ' ORDER BY c.ordinal) FILTER (WHERE c.is_fixed AND NOT c.is_key) AS fixed,
               string_agg(format('%I = u.c%s', c.name, c.ordinal), ', ' ORDER BY c.ordinal) FILTER (WHERE c.is_plain) AS assignments,
               string_agg(format('%I = EXCLUDED.%I', c.name, c.name), ', ' ORDER BY c.ordinal) FILTER (WHERE c.is_plain) AS excluded,
               string_agg(format('t.%I', c.name), ', ' ORDER BY c.ordinal) FILTER (WHERE c.is_plain) AS old_values,
               string_agg(format('u.c%s', c.ordinal), ', ' ORDER BY c.ordinal) FILTER (WHERE c.is_plain) AS new_values,
               string_agg(format('EXCLUDED.%I', c.name), ', ' ORDER BY c.ordinal) FILTER (WHERE c.is_plain) AS excluded_values
          FROM (SELECT e.ordinal, e.doc ->> 'name' AS name, e.doc ->> 'array' AS array,
                       format(CASE WHEN e.doc ->> 'input' IS NULL THEN 'u.c%s%s' ELSE '%3$s(u.c%1$s::cstring%4$s)%2$s' END,
                              e.ordinal, '::' || (e.doc ->> 'cast'), e.doc ->> 'input', e.doc ->> 'input_more') AS value,
                       (e.doc ->> 'is_key')::boolean AS is_key, (e.doc ->> 'is_fixed')::boolean AS is_fixed,
                       NOT (e.doc ->> 'is_key')::boolean AND NOT (e.doc ->> 'is_fixed')::boolean AS is_plain
                  FROM json_array_elements(t.doc -> 'columns') WITH ORDINALITY e (doc, ordinal)) c) c
 CROSS JOIN LATERAL (
        SELECT string_agg(format('%I', k.name), ', ' ORDER BY k.ordinal) AS names,
               string_agg(format('$%s::%s', k.ordinal, c.doc ->> 'array'), ', ' ORDER BY k.ordinal) AS arrays,
               string_agg(format('k%s', k.ordinal), ', ' ORDER BY k.ordinal) AS aliases,
               string_agg(format(CASE WHEN c.doc ->> 'input' IS NULL THEN 't.%1$I%7$s %2$s u.k%3$s%4$s%7$s' ELSE 't.%1$I%7$s %2$s %5$s(u.k%3$s::cstring%6$s)%4$s%7$s' END,
                                 k.name, c.doc ->> 'equals', k.ordinal, '::' || (c.doc ->> 'cast'), c.doc ->> 'input', c.doc ->> 'input_more', b.cast),
                          ' AND ' ORDER BY k.ordinal) AS match,
               string_agg(format('t.%1$I%4$s %2$s u.c%3$s%4$s', k.name, c.doc ->> 'equals', c.ordinal, b.cast), ' AND ' ORDER BY k.ordinal) AS match_u
          FROM json_array_elements_text(t.doc -> 'key') WITH ORDINALITY k (name, ordinal)
          JOIN json_array_elements(t.doc -> 'columns') WITH ORDINALITY c (doc, ordinal) ON c.doc ->> 'name' = k.name
          LEFT JOIN LATERAL ( -- a domain is compared as its base type, as in read_statements.sql
                SELECT '::' || format_type(rebeco.base_type(a.atttypid), -1) AS cast
                  FROM pg_attribute a JOIN pg_type d ON d.oid = a.atttypid AND d.typtype = 'd'
                 WHERE a.attrelid = to_regclass(format('%I.%I', t.doc ->> 'schema', t.doc ->> 'name')) AND a.attname = k.name) b ON true) k
 CROSS JOIN LATERAL (
        SELECT (t.doc ->> 'on_conflict')::boolean AS on_conflict,
               format('%s%I.%I', CASE WHEN (t.doc ->> 'only')::boolean THEN 'ONLY ' ELSE '' END, t.doc ->> 'schema', t.doc ->> 'name') AS tree,
               CASE WHEN c.fixed IS NOT NULL THEN '(SELECT n FROM done) >= 0' END AS after_gone,
               format('SELECT %s FROM unnest(%s) AS u (%s)', c.casts, c.arrays, c.aliases) AS rows,
               format('SELECT %s FROM unnest(%s) AS u (%s)', c.casts, c.singles, c.aliases) AS one) w
 CROSS JOIN LATERAL (
        SELECT concat(')',
                      CASE WHEN c.fixed IS NOT NULL
                           THEN format(', gone AS (DELETE FROM %s AS t USING u WHERE %s AND NOT (%s) AND rebeco.row_may_go(t.tableoid) RETURNING 1), done AS (SELECT pg_catalog.count(*) AS n FROM gone)',
                                       w.tree, k.match_u, c.fixed) END,
                      CASE WHEN NOT w.on_conflict AND c.assignments IS NOT NULL
                           THEN format(', changed AS (UPDATE %s AS t SET %s FROM u WHERE %s AND ROW(%s)::record *<> ROW(%s)::record)',
                                       w.tree, c.assignments, concat_ws(' AND ', k.match_u, c.fixed, w.after_gone), c.old_values, c.new_values) END,
                      format(' INSERT INTO %1$I.%2$I AS t (%3$s) OVERRIDING SYSTEM VALUE SELECT %4$s FROM u',
                             t.doc ->> 'schema', t.doc ->> 'name', c.names, c.values),
                      ' WHERE ' || nullif(concat_ws(' AND ', w.after_gone,
                           CASE WHEN NOT w.on_conflict
                                THEN format('NOT EXISTS (SELECT 1 FROM %s AS t WHERE %s)', w.tree, concat_ws(' AND ', k.match_u, c.fixed)) END), ''),
                      CASE WHEN w.on_conflict
                           THEN format(' ON CONFLICT (%s) DO %s', k.names,
                                CASE WHEN c.assignments IS NULL THEN 'NOTHING'
                                     ELSE format('UPDATE SET %s WHERE ROW(%s)::record *<> ROW(%s)::record',
                                                 c.excluded, c.old_values, c.excluded_values) END) END) AS write) s
 WHERE t.doc ->> 'records' = 'key'
UNION ALL
SELECT (t.doc ->> 'id')::int, i.upsert, i.remove, i.clear, NULL
  FROM json_array_elements($1::json) t (doc)
 CROSS JOIN LATERAL rebeco.image_apply_statements(t.doc) i
 WHERE t.doc ->> 'records' <> 'key'
