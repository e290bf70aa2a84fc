-- Who keeps a session of ours waiting for a lock.
-- $1 int: our session. Result: who text, what text (the table; NULL: a row of one); at most one row, none when it does not
-- wait. pg_blocking_pids calls a prepared transaction 0. Lowest server version: 10.
SELECT CASE b.pid WHEN 0 THEN 'a prepared transaction (pg_prepared_xacts)'
       ELSE 'session ' || b.pid || coalesce(' of role ' || a.usename, '') || coalesce(' (' || nullif(a.application_name, '') || ')', '')
       END AS who,
       (SELECT pg_catalog.min(l.relation::pg_catalog.regclass::text) FROM pg_catalog.pg_locks l
         WHERE l.pid = $1::int AND NOT l.granted AND l.locktype = 'relation') AS what
  FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1::int)) b (pid)
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
 ORDER BY b.pid LIMIT 1
