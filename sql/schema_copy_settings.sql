-- What is set for our role, the database or the connection and would break pg_restore, which does not
-- set it for itself: an error that it would go on after ends its session, nothing can be created, or
-- one of its processes is cut off while the others build indexes. Such a setting can only be given with the connection;
-- where none is needed nothing is given, as a pooler may refuse it.
-- Result: options text, for the connection's parameter of that name; '' where there are none.
-- Lowest server version: 10.
SELECT coalesce(pg_catalog.string_agg(pg_catalog.format('-c %s=%s', v.name, v.value), ' ' ORDER BY v.name), '') AS options
  FROM (VALUES ('default_transaction_read_only', 'off'),
               ('exit_on_error', 'off'),
               ('idle_session_timeout', '0')) v (name, value)
  JOIN pg_catalog.pg_settings s ON pg_catalog.lower(s.name) = v.name
 WHERE s.reset_val <> v.value
