-- This sync no longer reads a table; when nobody else does, its capture is removed.
-- $1 text: consumer; $2 int: capture. Lowest server version: 11.
SELECT rebeco.consumer_leave($1, $2::int)
