-- Makes a session ours: names resolve in pg_catalog only, values read and write the same text
-- everywhere, nothing times out by itself, no error that a function of ours catches ends the session,
-- and a row security policy is an error and never a row that is silently missing. A setting that this server does not have is passed over.
-- Behind a pooler that hands the session on, nothing is set: it would stay for others.
-- A session whose client has vanished ends in the time that a silent network is believed: until
-- then it holds the lock that the next daemon needs. Not by tcp_user_timeout: that would also end
-- one that sends rows to a daemon which does not read them yet, because the other end is busy.
-- $1 int: the server process that we connected to; $2 bigint: that time, in milliseconds;
-- $3 boolean: set them whoever answers; $4 text: the sync whose daemon this is a session of, NULL:
-- none. Such sessions share a lock, by which all of them are found when one takes over from another.
-- Result: one row per setting; none when another process answers. Lowest server version: 11.
SELECT pg_catalog.set_config(s.name, v.value, false),
       CASE WHEN s.name = 'lock_timeout' AND $4::text IS NOT NULL THEN pg_catalog.pg_try_advisory_lock_shared(pg_catalog.hashtextextended('rebeco session ' || $4, 0)) END
  FROM (VALUES ('search_path', 'pg_catalog'),
               ('client_encoding', 'UTF8'),
               ('quote_all_identifiers', 'off'),
               ('array_nulls', 'on'),
               ('lc_monetary', 'C'),
               ('datestyle', 'ISO, YMD'),
               ('intervalstyle', 'postgres'),
               ('timezone', 'UTC'),
               ('extra_float_digits', '3'),
               ('bytea_output', 'hex'),
               ('xmloption', 'content'),
               ('standard_conforming_strings', 'on'),
               ('row_security', 'off'),
               ('default_transaction_isolation', 'read committed'),
               ('default_transaction_read_only', 'off'),
               ('synchronous_commit', 'on'),
               ('statement_timeout', '0'),
               ('lock_timeout', '0'),
               ('idle_in_transaction_session_timeout', '0'),
               ('idle_session_timeout', '0'),
               ('transaction_timeout', '0'),
               ('default_tablespace', ''),
               ('exit_on_error', 'off'),
               ('jit', 'off'),
               ('max_parallel_workers_per_gather', '0'),
               ('tcp_keepalives_idle', greatest($2::bigint / 3000, 1)::text),
               ('tcp_keepalives_interval', greatest($2::bigint / 6000, 1)::text),
               ('tcp_keepalives_count', '4'),
               ('tcp_user_timeout', '0'),
               ('client_connection_check_interval', $2::bigint::text),
               ('client_min_messages', 'error')) v (name, value)
  JOIN pg_catalog.pg_settings s ON pg_catalog.lower(s.name) = v.name
 WHERE (pg_catalog.pg_backend_pid() = $1::int OR $3::boolean)
   AND (s.name <> 'client_connection_check_interval' OR pg_catalog.version() ~ 'linux')
