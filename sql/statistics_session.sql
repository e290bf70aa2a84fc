-- Makes a session one that makes statistics: what it needs for that waits for nobody, and ends soon
-- when we are gone. A setting that this server does not have is passed over.
-- Result: one row per setting. Lowest server version: 10.
SELECT pg_catalog.set_config(s.name, v.value, false)
  FROM (VALUES ('lock_timeout', '2000'), ('client_connection_check_interval', '1000')) v (name, value)
  JOIN pg_catalog.pg_settings s ON s.name = v.name
