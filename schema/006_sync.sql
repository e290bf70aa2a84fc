-- The functions that write a sync's progress at the target. Each first makes sure that the caller
-- still owns the sync: a daemon that was cut off and comes back finds another number and stops.

CREATE FUNCTION rebeco.sync_check_owner(sync_name text, our_number bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM 1 FROM rebeco.sync s WHERE s.name = sync_name AND s.owner = our_number FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another daemon has taken over the sync "%"', sync_name
            USING ERRCODE = 'RB010', HINT = 'This one stops writing at once. Run one daemon per sync.';
    END IF;
END
$$;

CREATE FUNCTION rebeco.chunks_add(sync_name text, id int, chunks json) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO rebeco.chunk (sync, table_id, number, relation, filenode, lower, upper, bytes)
    SELECT sync_name, id, c.number, (c.doc ->> 'relation')::oid, (c.doc ->> 'filenode')::bigint, (c.doc ->> 'lower')::bigint, (c.doc ->> 'upper')::bigint, (c.doc ->> 'bytes')::bigint
      FROM json_array_elements(chunks) WITH ORDINALITY c (doc, number)
$$;

-- Statements find the tables that they write to at the target by name: fails when another one, which may be somebody's, has the name
-- of one. `written` is [{s, n, oid}], schema, name and which it is. To be called when they are locked, so that the answer holds until the transaction ends.
CREATE FUNCTION rebeco.tables_are_same(written json) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    other record;
BEGIN
    SELECT w.doc ->> 's' AS schema, w.doc ->> 'n' AS name INTO other FROM json_array_elements(written) w (doc)
     WHERE to_regclass(format('%I.%I', w.doc ->> 's', w.doc ->> 'n'))::oid IS DISTINCT FROM (w.doc ->> 'oid')::oid LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'table %.% is another one than before', other.schema, other.name
            USING ERRCODE = 'RB030', SCHEMA = other.schema, TABLE = other.name;
    END IF;
END
$$;

-- Ends a batch: the sync, and the tables that were in it, are at `until` now. Fails when the sync is
-- not where the batch began. `tables` are those with a position of their own that have joined; `written` as above.
CREATE FUNCTION rebeco.sync_advance(sync_name text, our_number bigint, since txid_snapshot,
        until txid_snapshot, taken_at timestamptz, tables int[], is_consistent boolean, written json) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM rebeco.tables_are_same(written);
    UPDATE rebeco.sync s
       SET snapshot = until, snapshot_at = taken_at, applied_at = clock_timestamp(),
           consistent_since = CASE WHEN is_consistent THEN coalesce(s.consistent_since, clock_timestamp()) END
     WHERE s.name = sync_name AND s.owner = our_number
       AND s.snapshot::text IS NOT DISTINCT FROM since::text;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another daemon has taken over the sync "%"', sync_name
            USING ERRCODE = 'RB010', HINT = 'This one stops writing at once. Run one daemon per sync.';
    END IF;
    IF tables <> '{}' THEN
        UPDATE rebeco.sync_table t SET snapshot = NULL
         WHERE t.sync = sync_name AND t.id = ANY (tables) AND t.snapshot IS NOT NULL;
    END IF;
END
$$;

-- Takes a table out of step: it keeps the position that it has, and is not applied until it runs
-- again. `reason` is user, drift, error or capture.
CREATE FUNCTION rebeco.table_pause(sync_name text, our_number bigint, table_id int, reason text,
        what text, detail text, hint text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    UPDATE rebeco.sync_table t
       SET paused = reason, paused_what = what, paused_detail = detail, paused_hint = hint,
           paused_at = CASE WHEN t.paused = reason THEN t.paused_at ELSE clock_timestamp() END,
           snapshot = CASE WHEN t.state = 'follow' THEN coalesce(t.snapshot, s.snapshot) ELSE t.snapshot END
      FROM rebeco.sync s
     WHERE s.name = sync_name AND t.sync = s.name AND t.id = table_id;
    UPDATE rebeco.sync SET consistent_since = NULL WHERE name = sync_name;
END
$$;

-- Lets a paused table run again, from the position that it has, under the names that it has now.
CREATE FUNCTION rebeco.table_resume(sync_name text, our_number bigint, table_id int, new_layout text, new_target_layout text,
        at_source_schema text, at_source_name text, at_target_schema text, at_target_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    UPDATE rebeco.sync_table t
       SET paused = NULL, paused_what = NULL, paused_detail = NULL, paused_hint = NULL, paused_at = NULL,
           layout = new_layout, target_layout = new_target_layout,
           source_schema = at_source_schema, source_name = at_source_name, target_schema = at_target_schema, target_name = at_target_name
     WHERE t.sync = sync_name AND t.id = table_id;
END
$$;

-- Marks a chunk as done, in the transaction that loaded it; not for rows that went to another table, which the loading has locked.
CREATE FUNCTION rebeco.chunk_done(sync_name text, our_number bigint, id int, chunk_number int,
        loaded_rows bigint, loaded_bytes bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Whoever takes the sync over waits for this commit, and counts it.
    PERFORM 1 FROM rebeco.sync s WHERE s.name = sync_name AND s.owner = our_number FOR SHARE;
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    PERFORM rebeco.tables_are_same(json_build_array(json_build_object('s', t.target_schema, 'n', t.target_name, 'oid', t.target_layout::json ->> 'oid')))
       FROM rebeco.sync_table t WHERE t.sync = sync_name AND t.id = chunk_done.id AND t.target_layout IS NOT NULL;
    UPDATE rebeco.chunk c
       SET done_at = clock_timestamp(), copied_rows = loaded_rows, copied_bytes = loaded_bytes
     WHERE c.sync = sync_name AND c.table_id = id AND c.number = chunk_number AND c.done_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the chunk % of table % was copied by somebody else', chunk_number, id
            USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;

-- A table is copied and has its key.
CREATE FUNCTION rebeco.table_follow(sync_name text, our_number bigint, table_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    UPDATE rebeco.sync_table t SET state = 'follow', copied_at = clock_timestamp()
     WHERE t.sync = sync_name AND t.id = table_id;
END
$$;

-- Empties a table before it is copied again: at once where no foreign key points to it, row by row,
-- without their actions, where one does. Gives a snapshot: what it does not see was changed here after that.
-- The table `known` only, and no other one that has its name by the time the lock is had.
CREATE FUNCTION rebeco.table_empty(table_schema text, table_name text, two_way boolean, origin text, known oid) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass := to_regclass(format('%I.%I', table_schema, table_name));
    before text := txid_current_snapshot();
    is_empty boolean;
BEGIN
    IF two_way THEN
        PERFORM set_config('rebeco.applying', 'on', true), set_config('rebeco.applying_depth', '0', true), set_config('rebeco.origin', coalesce(origin, ''), true); -- no change to be sent back
    ELSE
        PERFORM rebeco.transaction_replica_role(); -- for triggers on TRUNCATE
    END IF;
    EXECUTE format('TRUNCATE TABLE %s%s', CASE WHEN (SELECT relkind = 'r' FROM pg_class WHERE oid = relation) THEN 'ONLY ' END, relation);
    PERFORM rebeco.tables_are_same(json_build_array(json_build_object('s', table_schema, 'n', table_name, 'oid', known)));
    RETURN txid_current_snapshot(); -- nobody else has written to it since the lock was had
EXCEPTION WHEN feature_not_supported THEN
    -- Rows that point here must stay as they are: they are right again when the copy is there.
    IF NOT rebeco.transaction_replica_role() THEN
        EXECUTE format('SELECT NOT EXISTS (SELECT 1 FROM %s%s)', CASE WHEN (SELECT relkind = 'r' FROM pg_class WHERE oid = relation) THEN 'ONLY ' END, relation) INTO is_empty;
        IF is_empty THEN
            RETURN before;
        END IF;
        RAISE EXCEPTION 'table % cannot be emptied: foreign keys point to it, and this role may not switch to replica role', relation
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Drop the foreign keys that point to it for the time of the copy, or empty it yourself.';
    END IF;
    EXECUTE format('DELETE FROM %s%s', CASE WHEN (SELECT relkind = 'r' FROM pg_class WHERE oid = relation) THEN 'ONLY ' END, relation);
    PERFORM rebeco.tables_are_same(json_build_array(json_build_object('s', table_schema, 'n', table_name, 'oid', known)));
    RETURN before;
END
$$;

-- Replica role until the transaction ends; false where the role may not.
CREATE FUNCTION rebeco.transaction_replica_role() RETURNS boolean
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pg_catalog.set_config('session_replication_role', 'replica', true);
    RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN false;
END
$$;

-- Which of these tables hold rows. What is in the children of a table is theirs.
CREATE FUNCTION rebeco.tables_with_rows(tables oid[]) RETURNS SETOF oid
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t oid;
    found_one boolean;
BEGIN
    FOREACH t IN ARRAY tables LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s%s)', CASE WHEN (SELECT relkind = 'r' FROM pg_class WHERE oid = t) THEN 'ONLY ' END,
                       t::regclass) INTO found_one;
        IF found_one THEN
            RETURN NEXT t;
        END IF;
    END LOOP;
END
$$;
