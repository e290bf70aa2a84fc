-- The demo's own measure of the lag, second half, on the target: looks every 2 ms for beats that it
-- has not seen yet, and says how old each was when it could first be read. Both servers run on one
-- machine and so by one clock. What is measured begins before the source's commit and ends after the
-- look: it is never less than the truth. Starts with the beats that come after it.

\set ON_ERROR_STOP on
SET application_name = 'demo watch';
SELECT set_config('demo.seconds', :'seconds', false) \g /dev/null
DO $$
DECLARE
    until timestamptz := clock_timestamp() + current_setting('demo.seconds')::interval;
    seen bigint := coalesce((SELECT max(n) FROM audit.heartbeat), 0);
    beat record;
BEGIN
    WHILE clock_timestamp() < until LOOP
        FOR beat IN SELECT n, at FROM audit.heartbeat WHERE n > seen ORDER BY n LOOP
            RAISE NOTICE 'beat % lag_ms %', beat.n,
                round((extract(epoch FROM clock_timestamp() - beat.at) * 1000)::numeric, 1);
            seen := beat.n;
        END LOOP;
        COMMIT;
        PERFORM pg_sleep(0.002);
    END LOOP;
END $$;
