-- What the source has that a copy of the schema does not bring along, for people.
-- Result: grants bool, default_privileges bool, settings text (those of the database and of roles in
-- it), extension_schemas text (schemas that hold extensions besides the usual ones).
-- Lowest server version: 10.
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
                WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'rebeco')
                  AND a.grantee <> c.relowner) AS grants,
       EXISTS (SELECT 1 FROM pg_catalog.pg_default_acl) AS default_privileges,
       (SELECT pg_catalog.string_agg(DISTINCT v.setting, '; ')
          FROM pg_catalog.pg_db_role_setting s
          JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = pg_catalog.current_database()
         CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) v (setting)) AS settings,
       (SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(n.nspname), ', ')
          FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
         WHERE n.nspname NOT IN ('pg_catalog', 'public')) AS extension_schemas
