-- Lets the server notice that we are gone while it refreshes a materialized view, where it can
-- (PostgreSQL 14): else it would go on, for hours perhaps, and the next one would wait for it.
-- Result: nothing of interest. Lowest server version: 10.
SELECT pg_catalog.set_config(s.name, '10s', false)
  FROM pg_catalog.pg_settings s
 WHERE s.name = 'client_connection_check_interval'
