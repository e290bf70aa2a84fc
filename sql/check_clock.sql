-- The server's clock.
-- Result: fact text (clock), value json (seconds since 1970). Lowest server version: 10.
SELECT 'clock' AS fact, to_json(extract(epoch FROM clock_timestamp())) AS value
