-- Whether this target knows the sync, and which ones it knows; whether a person has paused it.
-- $1 text: the sync
-- Result: is_known boolean, is_paused boolean, names text. Lowest server version: 10.
SELECT coalesce(pg_catalog.bool_or(s.name = $1), false) AS is_known,
       coalesce(pg_catalog.bool_or(s.name = $1 AND s.paused), false) AS is_paused,
       pg_catalog.string_agg(s.name, ', ' ORDER BY s.name) AS names
  FROM rebeco.sync s
