-- Makes a session one that runs a person's statements: names resolve and values are read as in a session of theirs, and no
-- wait for a lock is longer than allowed. What is about the meaning of values is to be the same at both ends.
-- $1 text: milliseconds; $2 json: the other end's values of these settings; NULL: its own count
-- Result: settings json, by name, what is in force here now. Lowest server version: 10.
SELECT pg_catalog.json_object_agg(s.name, s.value) AS settings
  FROM (SELECT g.name, pg_catalog.set_config(g.name, CASE WHEN v.is_shared THEN coalesce($2::json ->> g.name, g.reset_val)
                                                          WHEN g.name = 'lock_timeout' THEN $1 ELSE g.reset_val END, false) AS value
          FROM pg_catalog.pg_settings g
          JOIN (VALUES ('lock_timeout', false), ('search_path', false), ('default_tablespace', false), ('row_security', false),
                       ('timezone', true), ('datestyle', true), ('intervalstyle', true), ('extra_float_digits', true), ('bytea_output', true),
                       ('xmloption', true), ('standard_conforming_strings', true)) v (name, is_shared) ON v.name = pg_catalog.lower(g.name)) s
