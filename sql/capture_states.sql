-- What is wrong with a capture.
-- $1 int: the capture. Result: problem text (NULL: nothing), is_lossy boolean. Lowest server version: 10.
SELECT s.problem, s.is_lossy FROM rebeco.capture_state($1::int) s
