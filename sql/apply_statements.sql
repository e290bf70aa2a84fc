-- Makes the statements that write the changed rows of tables at the target.
-- $1 json: [{id, schema, name, only, key [names], columns [{name, array, cast, is_key, is_fixed}]}]
--   cast      the target's type to cast a value to, or NULL when assignment will do
--   is_fixed  an identity column that can be inserted but not updated
-- Result: id int, upsert text (one array per column), remove text (one array per key column),
-- clear text (all rows). A row that is already as it should be is not written again.
-- Lowest server version: 10.
SELECT (t.doc ->> 'id')::int AS id,
       format('INSERT INTO %1$I.%2$I AS t (%3$s) OVERRIDING SYSTEM VALUE SELECT %4$s FROM unnest(%5$s) AS u (%6$s) ON CONFLICT (%7$s) DO %8$s',
              t.doc ->> 'schema', t.doc ->> 'name', c.names, c.casts, c.arrays, c.aliases, k.names,
              CASE WHEN c.assignments IS NULL THEN 'NOTHING'
                   ELSE format('UPDATE SET %s WHERE ROW(%s)::record *<> ROW(%s)::record', c.assignments, c.old_values, c.new_values) END) AS upsert,
       format('DELETE FROM %6$s%1$I.%2$I AS t USING unnest(%3$s) AS u (%4$s) WHERE %5$s',
              t.doc ->> 'schema', t.doc ->> 'name', k.arrays, k.aliases, k.match, o.only) AS remove,
       format('DELETE FROM %s%I.%I', o.only, t.doc ->> 'schema', t.doc ->> 'name') AS clear
  FROM json_array_elements($1::json) t (doc)
 CROSS JOIN LATERAL (SELECT CASE WHEN (t.doc ->> 'only')::boolean THEN 'ONLY ' ELSE '' END AS only) o
 CROSS JOIN LATERAL (
        SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.ordinal) AS names,
               string_agg(format('u.c%s%s', c.ordinal, '::' || c.cast), ', ' ORDER BY c.ordinal) AS casts,
               string_agg(format('$%s::%s', c.ordinal, c.array), ', ' ORDER BY c.ordinal) AS arrays,
               string_agg(format('c%s', c.ordinal), ', ' ORDER BY c.ordinal) AS aliases,
               string_agg(format('%I = EXCLUDED.%I', c.name, c.name), ', ' ORDER BY c.ordinal) FILTER (WHERE NOT c.is_key AND NOT c.is_fixed) AS assignments,
               string_agg(format('t.%I', c.name), ', ' ORDER BY c.ordinal) FILTER (WHERE NOT c.is_key AND NOT c.is_fixed) AS old_values,
               string_agg(format('EXCLUDED.%I', c.name), ', ' ORDER BY c.ordinal) FILTER (WHERE NOT c.is_key AND NOT c.is_fixed) AS new_values
          FROM (SELECT e.ordinal, e.doc ->> 'name' AS name, e.doc ->> 'array' AS array, e.doc ->> 'cast' AS cast,
                       (e.doc ->> 'is_key')::boolean AS is_key, (e.doc ->> 'is_fixed')::boolean AS is_fixed
                  FROM json_array_elements(t.doc -> 'columns') WITH ORDINALITY e (doc, ordinal)) c) c
 CROSS JOIN LATERAL (
        SELECT string_agg(format('%I', k.name), ', ' ORDER BY k.ordinal) AS names,
               string_agg(format('$%s::%s', k.ordinal, c.doc ->> 'array'), ', ' ORDER BY k.ordinal) AS arrays,
               string_agg(format('k%s', k.ordinal), ', ' ORDER BY k.ordinal) AS aliases,
               string_agg(format('t.%I = u.k%s%s', k.name, k.ordinal, '::' || (c.doc ->> 'cast')), ' AND ' ORDER BY k.ordinal) AS match
          FROM json_array_elements_text(t.doc -> 'key') WITH ORDINALITY k (name, ordinal)
          JOIN json_array_elements(t.doc -> 'columns') c (doc) ON c.doc ->> 'name' = k.name) k
