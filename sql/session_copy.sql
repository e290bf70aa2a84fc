-- Makes a session one that loads tables: not captured in a two-way sync, replica role where the role may.
-- Result: of no interest. Lowest server version: 10.
SELECT rebeco.session_replica_role(),
       pg_catalog.set_config('rebeco.applying', 'on', false),
       pg_catalog.set_config('maintenance_work_mem',
           greatest(pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')) / 1024, 262144)::text, false)
