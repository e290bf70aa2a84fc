-- Ends the capture of a table and removes its triggers, function and logs. In a transaction of its
-- own, with SET LOCAL lock_timeout.
-- $1 int: the capture
-- Result: one empty value. Lowest server version: 11.
SELECT rebeco.capture_remove($1::int)
