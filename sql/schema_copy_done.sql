-- A stage of copying the schema is done; what is missing stands in rebeco.problem.
-- $1 text: the sync; $2 text: pre or post. Lowest server version: 10.
UPDATE rebeco.schema_copy c
   SET pre_at = CASE WHEN $2::text = 'pre' THEN pg_catalog.clock_timestamp() ELSE c.pre_at END,
       post_at = CASE WHEN $2::text = 'post' THEN pg_catalog.clock_timestamp() ELSE c.post_at END
 WHERE c.sync = $1::text
