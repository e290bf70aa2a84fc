-- Notes how a migration stands, or that both ends have it.
-- $1 text: its run; $2 text: why it is not finished, NULL: it is. Lowest server version: 10.
UPDATE rebeco.ddl SET error = $2, finished_at = CASE WHEN $2::text IS NULL THEN pg_catalog.clock_timestamp() END WHERE run = $1
