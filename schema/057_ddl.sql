-- Migrations that a person runs at both ends with `rebeco ddl`.

-- At the target: what was begun. A run that is not finished is gone on with by the same file.
CREATE TABLE rebeco.ddl (
    run text PRIMARY KEY,               -- random
    sync text NOT NULL REFERENCES rebeco.sync ON DELETE CASCADE,
    text text NOT NULL,                 -- the file
    begun_by text NOT NULL DEFAULT session_user,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    error text,                         -- why it is not finished, in words
    finished_at timestamptz             -- when both ends had it
);

-- At each end: what this end has. Written in the transaction of the migration itself.
CREATE TABLE rebeco.ddl_done (
    run text PRIMARY KEY,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Begins a migration, or finds the one that was begun with the same text. Another one that only one end
-- has must be finished first; what no end has is forgotten.
CREATE FUNCTION rebeco.ddl_open(sync_name text, file text, OUT run text, OUT other text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM rebeco.ddl d
     WHERE d.sync = sync_name AND d.finished_at IS NULL AND d.error IS NOT NULL AND d.text <> file
       AND d.error LIKE 'no end has it:%';
    SELECT d.run INTO run FROM rebeco.ddl d WHERE d.sync = sync_name AND d.finished_at IS NULL AND d.text = file;
    SELECT d.error INTO other FROM rebeco.ddl d WHERE d.sync = sync_name AND d.finished_at IS NULL AND d.text <> file LIMIT 1;
    IF run IS NULL AND other IS NULL AND NOT EXISTS (SELECT 1 FROM rebeco.ddl d WHERE d.sync = sync_name AND d.finished_at IS NULL) THEN
        INSERT INTO rebeco.ddl (run, sync, text)
        VALUES (md5(concat(sync_name, clock_timestamp(), random())), sync_name, file)
        RETURNING ddl.run INTO run;
    END IF;
END
$$;
