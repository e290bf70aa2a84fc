-- Makes the statements that read the changed rows of tables at the source.
-- $1 json: [{id, schema, name, only, two_way, records, where, key [names], columns [{name, cast, output, copy_cast, equals}]}]
--   where   an expression over the table's columns, NULL for all rows: where it does not hold there is no row
-- Result: id int, statement text. Each statement takes $1 bigint (log rows from this transaction
-- id on), $2 bigint[] (and of these) and $3 boolean (only keys without a row), and gives: is_there
-- boolean, then the columns. A key without a row gives is_there NULL and NULL for all but the key. Where the
-- log has no keys, $3 means something else, and rows with is_there NULL are to be removed: see
-- schema/060_image.sql. In a two-way sync it takes $4 json: keys that are not read, and it
-- leaves out what the sync itself has applied there. The lateral LIMIT 1 and the
-- settings of the reading session leave one plan only: keys first, then the table's key index.
-- A domain is compared as its base type, which the log has: for enums, arrays and ranges the server finds
-- no operator between the two.
-- Lowest server version: 12.
SELECT (t.doc ->> 'id')::int AS id,
       format($f$SELECT r.is_there, %1$s
  FROM (SELECT DISTINCT %2$s
          FROM (SELECT %2$s FROM rebeco.log_%3$s_0 WHERE op IS NULL AND (xid >= $1::bigint OR xid = ANY ($2::bigint[]))%8$s
                UNION ALL
                SELECT %2$s FROM rebeco.log_%3$s_1 WHERE op IS NULL AND (xid >= $1::bigint OR xid = ANY ($2::bigint[]))%8$s) l) k
  LEFT JOIN LATERAL (SELECT true AS is_there, %4$s FROM %5$s x WHERE %6$s LIMIT 1) r ON true
 WHERE (NOT $3::boolean OR r.is_there IS NULL)%7$s$f$,
              c.output, k.names, t.doc ->> 'id', c.input, w.rows, k.match,
              CASE WHEN (t.doc ->> 'two_way')::boolean
                   THEN left_out.condition END,
              CASE WHEN (t.doc ->> 'two_way')::boolean
                   THEN ' AND (origin IS NULL OR origin <> pg_catalog.current_setting(''rebeco.origin''))' END) AS statement
  FROM json_array_elements($1::json) t (doc)
 CROSS JOIN LATERAL (
        SELECT format(CASE WHEN t.doc ->> 'where' IS NULL THEN '%s%I.%I' ELSE E'(SELECT * FROM %s%I.%I WHERE (%s\n))' END,
                      CASE WHEN (t.doc ->> 'only')::boolean THEN 'ONLY ' ELSE '' END,
                      t.doc ->> 'schema', t.doc ->> 'name', t.doc ->> 'where') AS rows) w
 CROSS JOIN LATERAL (
        SELECT string_agg(format('k%s', k.ordinal), ', ' ORDER BY k.ordinal) AS names,
               string_agg(format('x.%I%s %s k.k%s', k.name, b.cast, c.doc ->> 'equals', k.ordinal), ' AND ' ORDER BY k.ordinal) AS match
          FROM json_array_elements_text(t.doc -> 'key') WITH ORDINALITY k (name, ordinal)
          JOIN json_array_elements(t.doc -> 'columns') c (doc) ON c.doc ->> 'name' = k.name
          LEFT JOIN LATERAL (
                SELECT '::' || format_type(rebeco.base_type(a.atttypid), -1) AS cast
                  FROM pg_attribute a JOIN pg_type d ON d.oid = a.atttypid AND d.typtype = 'd'
                 WHERE a.attrelid = to_regclass(format('%I.%I', t.doc ->> 'schema', t.doc ->> 'name')) AND a.attname = k.name) b ON true) k
 CROSS JOIN LATERAL (
        SELECT string_agg(format('x.%I AS c%s', c.doc ->> 'name', c.ordinal), ', ' ORDER BY c.ordinal) AS input,
               string_agg(format(CASE WHEN key.ordinal IS NULL THEN '%4$s(r.c%1$s)%3$s'
                                      ELSE '%4$s(coalesce(r.c%1$s, k.k%2$s))%3$s' END,
                                 c.ordinal, key.ordinal,
                                 CASE WHEN c.doc ->> 'cast' IS NOT NULL THEN '::' || (c.doc ->> 'cast') ELSE '' END,
                                 c.doc ->> 'output'),
                          ', ' ORDER BY c.ordinal) AS output
          FROM json_array_elements(t.doc -> 'columns') WITH ORDINALITY c (doc, ordinal)
          LEFT JOIN json_array_elements_text(t.doc -> 'key') WITH ORDINALITY key (name, ordinal)
            ON key.name = c.doc ->> 'name') c
 CROSS JOIN LATERAL (
        -- Compared as a whole, if one operator does for all columns: then the server looks them up in a hash table.
        SELECT CASE WHEN count(DISTINCT c.equals) = 1
                    THEN format(' AND NOT ((%s) %s ANY (SELECT %s FROM json_array_elements($4::json) e (v)))',
                                string_agg(format('k.k%s', c.ordinal), ', ' ORDER BY c.ordinal), min(c.equals),
                                string_agg(rebeco.from_text(format('e.v ->> %s', c.ordinal - 1), c.type), ', ' ORDER BY c.ordinal))
                    ELSE format(' AND NOT EXISTS (SELECT 1 FROM json_array_elements($4::json) e (v) WHERE %s)',
                                string_agg(format('k.k%s %s %s', c.ordinal, c.equals, rebeco.from_text(format('e.v ->> %s', c.ordinal - 1), c.type)), ' AND ' ORDER BY c.ordinal)) END AS condition
          FROM rebeco.capture a, unnest(a.key_types, a.key_equals) WITH ORDINALITY c (type, equals, ordinal)
         WHERE a.id = (t.doc ->> 'id')::int) left_out
 WHERE t.doc ->> 'records' = 'key'
UNION ALL
SELECT (t.doc ->> 'id')::int, rebeco.image_read_statement(t.doc)
  FROM json_array_elements($1::json) t (doc)
 WHERE t.doc ->> 'records' <> 'key'
