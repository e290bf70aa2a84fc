-- A copy that somebody has asked for: whatever the table stands still for until it can begin, and whatever dies, it comes.
ALTER TABLE rebeco.sync_table
    ADD COLUMN copy_asked boolean NOT NULL DEFAULT false; -- rebeco resync

CREATE FUNCTION rebeco.table_ask(sync_name text, table_id int, is_asked boolean) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE rebeco.sync_table t SET copy_asked = is_asked WHERE t.sync = sync_name AND t.id = table_id
$$;

-- By an earlier version it was told by its words.
UPDATE rebeco.sync_table SET copy_asked = true
 WHERE paused = 'capture' AND paused_hint = 'Somebody asked for it; it goes on by itself.';
