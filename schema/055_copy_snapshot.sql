-- Which snapshot of the source the chunks of a table are read in now, so that other processes read
-- theirs in it too (run --role copier). It lives as long as the session of the daemon that exported
-- it; of another owner's, nothing can be said.
CREATE TABLE rebeco.copy_snapshot (
    sync text NOT NULL,
    table_id int NOT NULL,
    owner bigint NOT NULL,              -- rebeco.sync.owner of who holds it
    snapshot text NOT NULL,             -- as pg_export_snapshot() names it
    PRIMARY KEY (sync, table_id),
    FOREIGN KEY (sync, table_id) REFERENCES rebeco.sync_table ON DELETE CASCADE
);

-- Marks a chunk as done for a copier, which does not know what the leader thinks of the table. The row
-- lock makes the leader's pause wait for this commit.
CREATE FUNCTION rebeco.chunk_help_done(sync_name text, our_number bigint, id int, chunk_number int,
        loaded_rows bigint, loaded_bytes bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM 1 FROM rebeco.sync_table t
      WHERE t.sync = sync_name AND t.id = chunk_help_done.id AND t.state = 'copy' AND t.paused IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % was paused while a chunk of it was copied', id
            USING ERRCODE = 'serialization_failure';
    END IF;
    PERFORM rebeco.chunk_done(sync_name, our_number, id, chunk_number, loaded_rows, loaded_bytes);
END
$$;
