-- Decides, once, that the schema of this sync is copied by us; a stage that is done again, for
-- tables that appeared later, is open again.
-- $1 text: the sync; $2 text: pre or post. Lowest server version: 10.
INSERT INTO rebeco.schema_copy AS c (sync) VALUES ($1::text)
    ON CONFLICT (sync) DO UPDATE
    SET pre_at = CASE WHEN $2::text = 'pre' THEN NULL ELSE c.pre_at END,
        post_at = CASE WHEN $2::text = 'post' THEN NULL ELSE c.post_at END
