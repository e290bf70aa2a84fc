-- What one server and one database say about themselves: version, privileges, connections, limits.
-- $1 json: {side: source|target, minimum: lowest server_version_num, schema, creates (tables are
--   made here), connections (that Rebeco needs), oids [tables]}
-- Result: code text, object text, detail text. Lowest server version: 10.
WITH x AS (
    SELECT $1::jsonb ->> 'side' AS side, ($1::jsonb ->> 'minimum')::int AS minimum,
           $1::jsonb ->> 'schema' AS schema, ($1::jsonb ->> 'creates')::boolean AS creates,
           ($1::jsonb ->> 'connections')::int AS needed, current_database() AS database,
           current_setting('server_version_num')::int AS version
), me AS (
    SELECT r.oid, r.rolname, r.rolsuper, r.rolconnlimit, d.datconnlimit, d.oid AS database
      FROM pg_catalog.pg_roles r
     CROSS JOIN pg_catalog.pg_database d
     WHERE r.rolname = current_user AND d.datname = current_database()
), ours AS (
    SELECT n.oid, pg_get_userbyid(n.nspowner) AS owner, pg_has_role(n.nspowner, 'USAGE') AS is_mine,
           EXISTS (SELECT 1 FROM pg_catalog.pg_class c
                    WHERE c.relnamespace = n.oid AND c.relname = 'version' AND c.relkind = 'r') AS is_rebeco
      FROM pg_catalog.pg_namespace n, x WHERE n.nspname = x.schema
), sessions AS (
    SELECT count(*) AS total, count(*) FILTER (WHERE a.usesysid = me.oid) AS of_role,
           count(*) FILTER (WHERE a.datid = me.database) AS of_database
      FROM pg_catalog.pg_stat_activity a, me
     WHERE a.usesysid IS NOT NULL AND a.pid <> pg_backend_pid()
       AND NOT (a.usesysid = me.oid AND a.application_name = 'rebeco') -- a daemon that runs has its own
), room AS (
    SELECT l.what, l.maximum, l.used, l.maximum - l.used AS free
      FROM me, sessions s, LATERAL (VALUES
           ('the server', current_setting('max_connections')::int
                - CASE WHEN me.rolsuper THEN 0
                       ELSE current_setting('superuser_reserved_connections')::int
                            + coalesce(current_setting('reserved_connections', true)::int, 0) END, s.total),
           ('role ' || quote_ident(me.rolname), nullif(me.rolconnlimit, -1), s.of_role),
           ('database ' || quote_ident(current_database()), nullif(me.datconnlimit, -1), s.of_database)) l (what, maximum, used)
     WHERE l.maximum IS NOT NULL
     ORDER BY l.maximum - l.used LIMIT 1
), relations AS (
    SELECT count(*) AS n FROM pg_catalog.pg_class c
     WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid >= 16384
), lock_table AS (
    SELECT current_setting('max_locks_per_transaction')::bigint
           * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint) AS size
)
SELECT 'version-unsupported' AS code, quote_ident(x.database) AS object,
       format('PostgreSQL %s; Rebeco needs %s or later', current_setting('server_version'), x.minimum / 10000) AS detail
  FROM x WHERE x.version < x.minimum
UNION ALL
SELECT 'standby', quote_ident(x.database), 'pg_is_in_recovery() is true' FROM x WHERE pg_is_in_recovery()
UNION ALL
SELECT 'read-only', quote_ident(x.database), 'default_transaction_read_only is on'
  FROM x JOIN pg_catalog.pg_settings s ON s.name = 'default_transaction_read_only' WHERE s.reset_val = 'on'
UNION ALL
SELECT 'database-create', quote_ident(x.database), format('role %I has no CREATE on database %I', me.rolname, x.database)
  FROM x, me WHERE NOT has_database_privilege(x.database, 'CREATE')
   AND (x.creates OR NOT EXISTS (SELECT 1 FROM ours))
UNION ALL
SELECT 'database-temp', quote_ident(x.database), format('role %I has no TEMPORARY on database %I', me.rolname, x.database)
  FROM x, me WHERE x.side = 'target' AND NOT has_database_privilege(x.database, 'TEMPORARY')
UNION ALL
SELECT 'schema-not-ours', quote_ident(x.schema),
       CASE WHEN ours.is_rebeco THEN format('it belongs to role %I, of which role %I is no member', ours.owner, me.rolname)
            ELSE format('it has no table "version": it was not made by Rebeco (its owner is %I)', ours.owner) END
  FROM x, ours, me WHERE NOT (ours.is_mine AND ours.is_rebeco)
UNION ALL
SELECT 'plpgsql-missing', quote_ident(x.database),
       CASE WHEN l.oid IS NULL THEN 'the language plpgsql is not there'
            ELSE format('role %I has no USAGE on language plpgsql', me.rolname) END
  FROM x CROSS JOIN me LEFT JOIN pg_catalog.pg_language l ON l.lanname = 'plpgsql'
 WHERE l.oid IS NULL OR NOT has_language_privilege(l.oid, 'USAGE')
UNION ALL
SELECT 'superuser', quote_ident(me.rolname), 'rolsuper is true' FROM me WHERE me.rolsuper
UNION ALL
SELECT CASE WHEN r.free < x.needed THEN 'connections-short' ELSE 'connections-tight' END, r.what,
       format('%s of %s connections are in use; Rebeco needs %s', r.used, r.maximum, x.needed)
  FROM x, room r WHERE r.free < 2 * x.needed
UNION ALL
SELECT 'timeout-set', s.name, format('%s%s for sessions of role %I', s.reset_val, s.unit, me.rolname)
  FROM me, pg_catalog.pg_settings s
 WHERE s.name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
                  'idle_session_timeout', 'transaction_timeout')
   AND s.reset_val <> '0'
UNION ALL
SELECT 'event-trigger', quote_ident(e.evtname), format('on %s, calls %s', e.evtevent, e.evtfoid::regprocedure)
  FROM pg_catalog.pg_event_trigger e
 WHERE e.evtenabled <> 'D'
   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e')
UNION ALL
SELECT 'lock-table-small', quote_ident(x.database),
       format('%s tables, room for about %s locks', r.n, l.size)
  FROM x, relations r, lock_table l WHERE r.n * 10 > l.size * 7
UNION ALL
SELECT 'not-encrypted', quote_ident(x.database), format('from %s to %s without TLS', inet_client_addr(), inet_server_addr())
  FROM x LEFT JOIN pg_catalog.pg_stat_ssl s ON s.pid = pg_backend_pid()
 WHERE NOT coalesce(s.ssl, false) AND inet_client_addr() IS NOT NULL
   AND NOT inet_client_addr() <<= '127.0.0.0/8' AND inet_client_addr() <> '::1'
UNION ALL
SELECT 'large-objects', quote_ident(x.database), format('%s large objects', m.n)
  FROM x, (SELECT count(*) AS n FROM pg_catalog.pg_largeobject_metadata) m WHERE m.n > 0 AND x.side = 'source'
UNION ALL
SELECT 'large-object-privilege', quote_ident(x.database),
       format('%s of them, the first is %s; owned by %s', count(*), min(m.oid), string_agg(DISTINCT quote_ident(pg_get_userbyid(m.lomowner)), ', '))
  FROM x, pg_catalog.pg_largeobject_metadata m
 WHERE x.side = 'source' AND NOT pg_has_role(m.lomowner, 'USAGE')
   AND NOT EXISTS (SELECT 1 FROM aclexplode(m.lomacl) a
                    WHERE a.privilege_type = 'SELECT' AND CASE a.grantee WHEN 0 THEN true ELSE pg_has_role(a.grantee, 'USAGE') END)
 GROUP BY x.database
UNION ALL
SELECT 'collation-version', c.oid::regcollation::text,
       format('recorded %s, the operating system has %s', c.collversion, pg_collation_actual_version(c.oid))
  FROM (SELECT DISTINCT k.oid, k.collversion
          FROM (SELECT t::oid AS relid FROM jsonb_array_elements_text($1::jsonb -> 'oids') t) t
          JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relid
          JOIN pg_catalog.pg_collation k ON k.oid = a.attcollation
         WHERE k.collprovider <> 'd' AND k.collversion IS NOT NULL) c
 WHERE c.collversion IS DISTINCT FROM pg_collation_actual_version(c.oid)
