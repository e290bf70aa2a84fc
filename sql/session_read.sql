-- Makes a session one that reads change logs: one good plan, whatever the statistics say.
-- $1 text: the pair of syncs, as in sql/session_apply.sql: what it has applied itself is not read; or NULL
-- Result: of no interest. Lowest server version: 10.
SELECT pg_catalog.set_config(s.name, v.value, false)
  FROM (VALUES ('plan_cache_mode', 'force_generic_plan'),
               ('enable_seqscan', 'off'),
               ('enable_hashjoin', 'off'),
               ('enable_mergejoin', 'off'),
               ('work_mem', '65536')) v (name, value)
  JOIN pg_catalog.pg_settings s ON s.name = v.name
 UNION ALL
SELECT pg_catalog.set_config('rebeco.origin', coalesce($1::text, ''), false)
