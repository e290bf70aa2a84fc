-- What the target as a whole lacks to hold what the source has.
-- $1 json: {source_database, source_identity, target_identity (may be missing)}
-- Result: code text, object text, detail text. Lowest server version: 13.
WITH s AS (
    SELECT * FROM jsonb_to_record($1::jsonb -> 'source_database')
           s (version int, version_text text, encoding text, "collate" text, ctype text, provider text,
              locale text, rules text, locale_version text, extensions jsonb, collations jsonb, types jsonb)
), t AS (
    SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS version_text,
           pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS "collate", d.datctype AS ctype,
           coalesce(j.doc ->> 'datlocprovider', 'c') AS provider,
           coalesce(j.doc ->> 'datlocale', j.doc ->> 'daticulocale') AS locale, j.doc ->> 'daticurules' AS rules,
           quote_ident(d.datname) AS object
      FROM pg_catalog.pg_database d, LATERAL (SELECT to_jsonb(d) AS doc) j
     WHERE d.datname = current_database()
), locales AS (
    SELECT t.object, l.s, l.t, s.rules AS rules_s, t.rules AS rules_t
      FROM s, t, LATERAL (VALUES (concat_ws(' ', s.collate, s.ctype, s.provider, s.locale),
                                  concat_ws(' ', t.collate, t.ctype, t.provider, t.locale))) l (s, t)
), identities AS (
    SELECT s.system = t.system AND s.database = t.database AS same_database, s.started = t.started AS same_server
      FROM jsonb_to_record($1::jsonb -> 'source_identity') s (system text, database bigint, started text),
           jsonb_to_record($1::jsonb -> 'target_identity') t (system text, database bigint, started text)
), extensions AS (
    SELECT e.name, e.version, e.schema, e.used, quote_ident(e.name) AS object, a.default_version,
           i.extversion AS installed, n.nspname AS installed_schema, v.is_easy
      FROM s CROSS JOIN jsonb_to_recordset(s.extensions) e (name text, version text, schema text, used boolean)
      LEFT JOIN pg_catalog.pg_available_extensions a ON a.name = e.name
      LEFT JOIN LATERAL (SELECT bool_and(y.trusted OR NOT y.superuser) AS is_easy
                           FROM pg_catalog.pg_available_extension_versions y
                          WHERE y.name = a.name AND y.version = a.default_version) v ON true
      LEFT JOIN pg_catalog.pg_extension i ON i.extname = e.name
      LEFT JOIN pg_catalog.pg_namespace n ON n.oid = i.extnamespace
), versions AS (
    SELECT e.object, e.version, coalesce(e.installed, e.default_version) AS here
      FROM extensions e
     WHERE e.version ~ '^[0-9]+(\.[0-9]+)*$' AND coalesce(e.installed, e.default_version) ~ '^[0-9]+(\.[0-9]+)*$'
)
SELECT 'target-older' AS code, t.object, format('the target is PostgreSQL %s, the source %s', t.version_text, s.version_text) AS detail
  FROM s, t WHERE t.version / 10000 < s.version / 10000
UNION ALL
SELECT CASE WHEN 'SQL_ASCII' IN (s.encoding, t.encoding) THEN 'encoding-unchecked'
            WHEN t.encoding = 'UTF8' THEN 'encoding-differs' ELSE 'encoding-unfit' END,
       t.object, format('the target has %s, the source %s', t.encoding, s.encoding)
  FROM s, t WHERE s.encoding <> t.encoding OR s.encoding = 'SQL_ASCII'
UNION ALL
SELECT 'locale-differs', l.object, format('the target has %s, the source %s',
           concat_ws(' with rules ', l.t, l.rules_t), concat_ws(' with rules ', l.s, l.rules_s))
  FROM locales l -- some systems write utf8, others UTF-8
 WHERE replace(lower(l.s), 'utf-8', 'utf8') <> replace(lower(l.t), 'utf-8', 'utf8') OR l.rules_s IS DISTINCT FROM l.rules_t
UNION ALL
SELECT 'collation-missing', quote_ident(c), 'columns of the source use it'
  FROM s, jsonb_array_elements_text(s.collations) c
 WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_collation k, pg_catalog.pg_database d
                    WHERE k.collname = c AND k.collnamespace = 'pg_catalog'::regnamespace
                      AND d.datname = current_database() AND k.collencoding IN (-1, d.encoding))
UNION ALL
SELECT 'type-missing', format('%I.%I', y.schema, y.name), 'columns of the source have this type'
  FROM s, jsonb_to_recordset(s.types) y (schema text, name text)
 WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type p JOIN pg_catalog.pg_namespace n ON n.oid = p.typnamespace
                    WHERE p.typname = y.name AND n.nspname = y.schema)
UNION ALL
SELECT CASE WHEN i.same_server THEN 'same-database' ELSE 'target-is-clone' END, t.object,
       CASE WHEN i.same_server THEN 'both addresses lead to one database'
            ELSE 'both have the same system identifier and database number' END
  FROM t, identities i WHERE i.same_database
UNION ALL
SELECT CASE WHEN e.used THEN 'extension-unavailable' ELSE 'extension-unused' END, e.object, 'version ' || e.version || ' at the source'
  FROM extensions e WHERE e.default_version IS NULL AND e.installed IS NULL
UNION ALL
SELECT 'extension-not-installed', e.object,
       concat(CASE WHEN e.schema NOT IN ('public', 'pg_catalog') THEN format('CREATE SCHEMA IF NOT EXISTS %I; ', e.schema) END,
              format('CREATE EXTENSION %I SCHEMA %I;', e.name, e.schema),
              CASE WHEN NOT e.is_easy THEN ' (a role with more rights may be needed)' END)
  FROM extensions e WHERE e.default_version IS NOT NULL AND e.installed IS NULL
UNION ALL
SELECT 'extension-older', v.object, format('version %s at the target, %s at the source', v.here, v.version)
  FROM versions v WHERE string_to_array(v.here, '.')::int[] < string_to_array(v.version, '.')::int[]
UNION ALL
SELECT 'extension-schema', e.object, format('in schema %I at the target, in %I at the source', e.installed_schema, e.schema)
  FROM extensions e WHERE e.installed_schema <> e.schema
