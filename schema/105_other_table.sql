-- A copy finds the table at the target by its name, like a batch (rebeco.sync_advance), and may have waited for the lock of who gives
-- the name to another table. What that one holds may be somebody's: nothing is written to it, and nothing is removed.

-- Fails when the name is not that table's. To be called when the table is locked, so that the answer holds until the transaction ends.
CREATE FUNCTION rebeco.table_is_same(table_schema text, table_name text, known oid) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass(format('%I.%I', table_schema, table_name))::oid IS DISTINCT FROM known THEN
        RAISE EXCEPTION 'table %.% is another one than before', table_schema, table_name
            USING ERRCODE = 'RB030', SCHEMA = table_schema, TABLE = table_name;
    END IF;
END
$$;

-- As before; and not for rows that went to another table, which the loading has locked.
CREATE OR REPLACE FUNCTION rebeco.chunk_done(sync_name text, our_number bigint, id int, chunk_number int,
        loaded_rows bigint, loaded_bytes bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Whoever takes the sync over waits for this commit, and counts it.
    PERFORM 1 FROM rebeco.sync s WHERE s.name = sync_name AND s.owner = our_number FOR SHARE;
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    PERFORM rebeco.table_is_same(t.target_schema, t.target_name, (t.target_layout::json ->> 'oid')::oid)
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

-- As before, for the table `known` only.
DROP FUNCTION rebeco.table_empty(text, text, boolean, text);
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
    PERFORM rebeco.table_is_same(table_schema, table_name, known);
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
    PERFORM rebeco.table_is_same(table_schema, table_name, known);
    RETURN before;
END
$$;
