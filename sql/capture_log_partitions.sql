-- Logs the keys of partitions that have come or left, before capture_repair.sql locks them. As long as that takes.
-- $1 int: the capture. Lowest server version: 12.
SELECT rebeco.capture_log_partitions($1::int)
