-- Who has a table locked now, for the message while we wait for it.
-- $1 text: the table, quoted
-- Result: holders text, NULL for nobody. Lowest server version: 10.
SELECT pg_catalog.string_agg(pg_catalog.format('pid %s (%s, "%s", in its transaction since %s UTC)', a.pid, a.usename,
           a.application_name, pg_catalog.to_char(coalesce(a.xact_start, a.state_change), 'HH24:MI:SS')), ', ' ORDER BY a.pid)
       AS holders
  FROM (SELECT DISTINCT l.pid FROM pg_catalog.pg_locks l
         WHERE l.relation = pg_catalog.to_regclass($1) AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()) h
  JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid
