-- Whether a writer has come by since the daemon fell asleep; waits a short while for one.
-- $1 int: how many milliseconds lie between two looks
-- Result: is_disturbed boolean. Lowest server version: 10.
SELECT rebeco.capture_await(400, $1::int) AS is_disturbed
