-- The demo's own measure of the lag, first half, on the source: twenty times a second a row with the
-- time of this moment. Ends after :seconds, or when it is cancelled.

\set ON_ERROR_STOP on
SET application_name = 'shop heartbeat';
SELECT set_config('demo.seconds', :'seconds', false) \g /dev/null
DO $$
DECLARE
    until timestamptz := clock_timestamp() + current_setting('demo.seconds')::interval;
    beat bigint := 1 + coalesce((SELECT max(n) FROM audit.heartbeat), 0);
BEGIN
    WHILE clock_timestamp() < until LOOP
        INSERT INTO audit.heartbeat VALUES (beat, clock_timestamp());
        COMMIT;
        beat := beat + 1;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
