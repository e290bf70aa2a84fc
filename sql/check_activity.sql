-- Who is in the way now: long and prepared transactions, locks on our tables, vacuums. Sessions of
-- a daemon of ours are not in the way.
-- $1 json: {oids [tables], patience_s (a transaction that lasts longer is long)}
-- Result: code text, object text, detail text. Lowest server version: 12.
WITH RECURSIVE x AS (
    SELECT make_interval(secs => ($1::jsonb ->> 'patience_s')::float8) AS patience
), tree AS (
    SELECT t::oid AS relid FROM jsonb_array_elements_text($1::jsonb -> 'oids') t
    UNION
    SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relid
), tables AS MATERIALIZED (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS object, age(c.relfrozenxid) AS age, c.relpages,
           c.relfrozenxid <> '0' AS has_age,
           least(current_setting('autovacuum_freeze_max_age')::bigint,
                 (SELECT split_part(o, '=', 2)::bigint FROM unnest(c.reloptions) o
                   WHERE o LIKE 'autovacuum_freeze_max_age=%')) AS max_age
      FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.relid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
), sessions AS MATERIALIZED (
    SELECT a.pid, a.usesysid, a.xact_start, a.state, a.datid IS NOT NULL AS has_database,
           a.query = '<insufficient privilege>' AS is_hidden,
           format('pid %s (role %s, database %s)', a.pid, coalesce(quote_ident(a.usename), 'none'),
                  coalesce(quote_ident(a.datname), 'none')) AS who
      FROM pg_catalog.pg_stat_activity a
     WHERE a.pid <> pg_backend_pid()
       AND NOT (a.application_name = 'rebeco' AND pg_get_userbyid(a.usesysid) = current_user)
), locks AS MATERIALIZED (
    SELECT t.object, t.age, t.max_age, l.mode, l.pid, s.xact_start,
           s.pid IS NOT NULL AND s.usesysid IS NULL AS by_autovacuum,
           coalesce(s.who, 'a prepared transaction') AS who
      FROM pg_catalog.pg_locks l JOIN tables t ON t.oid = l.relation
      LEFT JOIN sessions s ON s.pid = l.pid
     WHERE l.locktype = 'relation' AND l.granted AND (l.pid IS NULL OR s.pid IS NOT NULL)
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
)
SELECT 'long-transaction' AS code, s.who AS object,
       format('%s, open for %s s', s.state, extract(epoch FROM clock_timestamp() - s.xact_start)::bigint) AS detail
  FROM sessions s, x WHERE s.usesysid IS NOT NULL AND s.xact_start < clock_timestamp() - x.patience
UNION ALL
SELECT 'prepared-transaction', quote_literal(p.gid),
       format('prepared %s s ago by role %I in database %I',
              extract(epoch FROM clock_timestamp() - p.prepared)::bigint, p.owner, p.database)
  FROM pg_catalog.pg_prepared_xacts p
UNION ALL
SELECT 'sessions-hidden', CASE WHEN count(*) = 1 THEN '1 session' ELSE count(*) || ' sessions' END,
       'of ' || string_agg(DISTINCT split_part(s.who, '(', 2), ', ')
  FROM (SELECT replace(s.who, ')', '') AS who FROM sessions s WHERE s.is_hidden AND s.usesysid IS NOT NULL AND s.has_database) s
HAVING count(*) > 0
UNION ALL
SELECT 'wraparound-vacuum', l.object, format('%s, its age is %s of %s transactions', l.who, l.age, l.max_age)
  FROM locks l WHERE l.by_autovacuum AND l.mode = 'ShareUpdateExclusiveLock' AND l.age > l.max_age
UNION ALL
SELECT 'wraparound-near', t.object, format('its age is %s of %s transactions', t.age, t.max_age)
  FROM tables t
 WHERE t.has_age AND t.relpages > 1000 AND t.age > 0.9 * t.max_age
   AND NOT EXISTS (SELECT 1 FROM locks l WHERE l.object = t.object AND l.by_autovacuum)
UNION ALL
SELECT 'table-locked', l.object, format('%s by %s', string_agg(DISTINCT l.mode, ', '), l.who)
  FROM locks l
 WHERE NOT (l.by_autovacuum AND l.age > l.max_age)
   AND (l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        OR l.mode = 'RowExclusiveLock' AND (l.pid IS NULL OR l.xact_start < clock_timestamp() - interval '1 s'))
 GROUP BY l.object, l.who
