-- Whether changes may be missing of a table that stands still for its capture. Where none are, a daemon that is started meanwhile
-- mends it like the one before, and neither copies it again nor, in a two-way sync, waits for a person.
ALTER TABLE rebeco.sync_table
    ADD COLUMN is_lossy boolean NOT NULL DEFAULT false;

CREATE FUNCTION rebeco.table_lose(sync_name text, table_id int, may_lack_changes boolean) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE rebeco.sync_table t SET is_lossy = may_lack_changes WHERE t.sync = sync_name AND t.id = table_id
$$;

-- An earlier version did not say.
UPDATE rebeco.sync_table SET is_lossy = true WHERE paused = 'capture';
