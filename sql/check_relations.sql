-- The tables of the sync as the source has them, for the target to compare with its own.
-- $1 json: {oids [tables]}
-- Result: fact text (relations), value json [{schema, name, key [names], columns [{name, type (as
-- text; a type of an extension without its schema), not_null, generated, expression, needs_value}], triggers [{name,
-- enabled}], rules [{name, enabled}], foreign_keys [names],
-- actions [names of foreign keys, and what they do on delete and on update]}]. Lowest server version: 12.
WITH tables AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname
      FROM jsonb_array_elements_text($1::jsonb -> 'oids') o
      JOIN pg_catalog.pg_class c ON c.oid = o::oid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
), types AS MATERIALIZED (
    SELECT y.atttypid, y.atttypmod,
           CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                              WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.deptype = 'e'
                                AND d.objid = CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE t.oid END)
                THEN regexp_replace(format_type(y.atttypid, y.atttypmod), '^("([^"]|"")*"|[^".]+)\.', '')
                ELSE format_type(y.atttypid, y.atttypmod) END AS name
      FROM (SELECT DISTINCT a.atttypid, a.atttypmod FROM tables t
              JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped) y
      JOIN pg_catalog.pg_type t ON t.oid = y.atttypid
), columns AS MATERIALIZED (
    SELECT a.attrelid, json_agg(json_build_object('name', a.attname, 'type', y.name, 'not_null', a.attnotnull,
                                                  'generated', a.attgenerated <> '',
                                                  'expression', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(e.adbin, e.adrelid) END,
                                                  'needs_value', (a.attnotnull OR d.typnotnull) AND NOT a.atthasdef AND a.attidentity = ''
                                                                 AND d.typdefault IS NULL) ORDER BY a.attnum) AS list
      FROM tables t
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN types y ON y.atttypid = a.atttypid AND y.atttypmod = a.atttypmod
      JOIN pg_catalog.pg_type d ON d.oid = a.atttypid
      LEFT JOIN pg_catalog.pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
     GROUP BY a.attrelid
), keys AS MATERIALIZED (
    SELECT DISTINCT ON (i.indrelid) i.indrelid,
           (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])) AS list
      FROM tables t
      JOIN pg_catalog.pg_index i ON i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
       AND i.indpred IS NULL AND i.indexprs IS NULL
     WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute n
                        WHERE n.attrelid = i.indrelid AND (NOT n.attnotnull OR n.attgenerated <> '')
                          AND n.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))
       AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint v
                        WHERE v.conrelid = i.indrelid AND v.contype = 'n' AND NOT v.convalidated AND v.conkey[1] = ANY (i.indkey[0:i.indnkeyatts - 1]))
     ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, i.indexrelid
)
SELECT 'relations' AS fact, coalesce(json_agg(json_build_object(
           'schema', t.nspname, 'name', t.relname, 'key', coalesce(k.list, '[]'), 'columns', coalesce(c.list, '[]'),
           'triggers', coalesce((SELECT json_agg(json_build_object('name', g.tgname, 'enabled', g.tgenabled))
                                   FROM pg_catalog.pg_trigger g
                                  WHERE g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgname !~ '^rebeco_'), '[]'),
           'rules', coalesce((SELECT json_agg(json_build_object('name', r.rulename, 'enabled', r.ev_enabled)) FROM pg_catalog.pg_rewrite r
                               WHERE r.ev_class = t.oid AND r.ev_type <> '1'), '[]'),
           'foreign_keys', coalesce((SELECT json_agg(f.conname) FROM pg_catalog.pg_constraint f
                                      WHERE f.conrelid = t.oid AND f.contype = 'f' AND coalesce(to_jsonb(f) ->> 'conenforced', 'true') = 'true'), '[]'),
           'actions', coalesce((SELECT json_agg(concat(f.conname, ' ', f.confdeltype, f.confupdtype)) FROM pg_catalog.pg_constraint f
                                 WHERE f.conrelid = t.oid AND f.contype = 'f' AND coalesce(to_jsonb(f) ->> 'conenforced', 'true') = 'true'), '[]'))), '[]') AS value
  FROM tables t
  LEFT JOIN columns c ON c.attrelid = t.oid
  LEFT JOIN keys k ON k.indrelid = t.oid
