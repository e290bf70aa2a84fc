-- Whether a writer has come by since the daemon fell asleep; waits a short while for one.
-- $1 int: how many milliseconds it waits at most; $2 int: how many lie between two looks
-- Result: is_disturbed boolean. Lowest server version: 10.
SELECT rebeco.capture_await($1::int, $2::int) AS is_disturbed
