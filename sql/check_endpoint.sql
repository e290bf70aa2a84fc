-- Which server and which session answers: asked several times over several connections.
-- Result: pid int, server text (the same for everything that one running server answers).
-- Lowest server version: 9.6.
SELECT pg_catalog.pg_backend_pid() AS pid,
       pg_catalog.concat_ws(' ', pg_catalog.pg_postmaster_start_time(),
                            pg_catalog.pg_is_in_recovery()) AS server
