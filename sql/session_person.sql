-- Makes a session one that runs a person's statements: names resolve as in a session of theirs, and no
-- wait for a lock is longer than allowed.
-- $1 text: milliseconds. Result: of no interest. Lowest server version: 10.
SELECT pg_catalog.set_config('lock_timeout', $1, false),
       pg_catalog.set_config('search_path', (SELECT s.reset_val FROM pg_catalog.pg_settings s WHERE s.name = 'search_path'), false)
