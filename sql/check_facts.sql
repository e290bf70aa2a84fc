-- What the other end must know of this one: version, encoding, locale, extensions.
-- $1 json: {oids [tables]}
-- Result: fact text (database), value json {version, version_text, encoding, collate, ctype,
-- provider, locale, rules (ICU's, from 16 on), locale_version, extensions [{name, version, schema, used (by a column or an
-- index of these tables)}], collations [names in pg_catalog], types [{schema, name}: built in, or
-- written in C by the users]}. Lowest server version: 12.
WITH RECURSIVE tree AS (
    SELECT t::oid AS relid FROM jsonb_array_elements_text($1::jsonb -> 'oids') t
    UNION
    SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relid
), columns AS MATERIALIZED (
    SELECT a.atttypid, a.attcollation FROM tree t
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relid AND a.attnum > 0 AND NOT a.attisdropped
), types AS (
    SELECT c.atttypid AS oid FROM columns c
    UNION
    SELECT unnest(ARRAY[t.typelem, t.typbasetype]) FROM types y JOIN pg_catalog.pg_type t ON t.oid = y.oid
), used AS (
    SELECT d.refobjid AS oid FROM types y
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = y.oid AND d.deptype = 'e'
    UNION
    SELECT d.refobjid FROM tree t JOIN pg_catalog.pg_index i ON i.indrelid = t.relid
     CROSS JOIN LATERAL unnest(i.indclass::oid[]) o (opclass)
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_opclass'::regclass AND d.objid = o.opclass AND d.deptype = 'e'
)
SELECT 'database' AS fact, json_build_object(
           'version', current_setting('server_version_num')::int,
           'version_text', current_setting('server_version'),
           'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype,
           'provider', coalesce(j.doc ->> 'datlocprovider', 'c'),
           'locale', coalesce(j.doc ->> 'datlocale', j.doc ->> 'daticulocale'),
           'rules', j.doc ->> 'daticurules',
           'locale_version', j.doc ->> 'datcollversion',
           'extensions', coalesce((SELECT json_agg(json_build_object('name', e.extname, 'version', e.extversion, 'schema', n.nspname,
                                                            'used', e.oid IN (SELECT u.oid FROM used u)))
                                     FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
                                    WHERE e.extname <> 'plpgsql'), '[]'),
           'collations', coalesce((SELECT json_agg(DISTINCT k.collname)
                                     FROM columns c JOIN pg_catalog.pg_collation k ON k.oid = c.attcollation
                                    WHERE k.collnamespace = 'pg_catalog'::regnamespace), '[]'),
           'types', coalesce((SELECT json_agg(json_build_object('schema', n.nspname, 'name', t.typname))
                                FROM types y JOIN pg_catalog.pg_type t ON t.oid = y.oid
                                JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
                               WHERE NOT (t.typelem <> 0 AND t.typlen = -1) AND t.typtype IN ('b', 'r', 'm')
                                 AND (n.nspname = 'pg_catalog' OR t.typtype = 'b')
                                 AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                                                  WHERE d.classid = 'pg_catalog.pg_type'::regclass
                                                    AND d.objid = t.oid AND d.deptype = 'e')), '[]')) AS value
  FROM pg_catalog.pg_database d, LATERAL (SELECT to_jsonb(d) AS doc) j
 WHERE d.datname = current_database()
