-- Mends a capture where nothing was lost: new names of key columns, partitions that came or were
-- detached. In a transaction of its own, with SET LOCAL lock_timeout.
-- $1 int: the capture
-- Result: done text, what was done, or NULL. Lowest server version: 11.
SELECT rebeco.capture_repair($1::int) AS done
