-- Rows that the target refuses. A person may have one left out: then it is here, with what it looked
-- like and why, and is not tried again until it looks different at the source.

CREATE TABLE rebeco.skipped (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync text NOT NULL REFERENCES rebeco.sync ON DELETE CASCADE,
    table_id int NOT NULL,
    table_schema text NOT NULL,         -- as at the source
    table_name text NOT NULL,
    key text NOT NULL,                  -- the key's values, a JSON array of texts
    row text NOT NULL,                  -- all values, a JSON object of texts, long ones cut
    operation text NOT NULL,            -- write or delete
    error text NOT NULL,                -- the server's words
    sqlstate text NOT NULL,
    key_hash text NOT NULL,             -- by which the daemon knows the row again
    row_hash text NOT NULL,             -- and knows whether it has changed
    skipped_by text NOT NULL,           -- the database role that asked for it
    skipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz              -- when the row was right at the target again; NULL: it is not
);
CREATE UNIQUE INDEX skipped_open ON rebeco.skipped (sync, table_id, key_hash) WHERE settled_at IS NULL;

-- Leaves a row out, in place of what was left out for its key before.
CREATE FUNCTION rebeco.skip_add(sync_name text, our_number bigint, s rebeco.skipped, command_id bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number bigint;
BEGIN
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    UPDATE rebeco.sync SET consistent_since = NULL WHERE name = sync_name;
    DELETE FROM rebeco.skipped o
     WHERE o.sync = sync_name AND o.table_id = s.table_id AND o.key_hash = s.key_hash AND o.settled_at IS NULL;
    INSERT INTO rebeco.skipped (sync, table_id, table_schema, table_name, key, row, operation, error, sqlstate, key_hash, row_hash, skipped_by)
    VALUES (sync_name, s.table_id, s.table_schema, s.table_name, s.key, s.row, s.operation, s.error, s.sqlstate, s.key_hash, s.row_hash,
            coalesce((SELECT c.requested_by FROM rebeco.command c WHERE c.id = command_id), session_user))
    RETURNING id INTO number;
    RETURN number;
END
$$;

-- At the source: the first row that cannot be read, of those that a table's statement gives (see
-- read_statements.sql): all its values, with the bytes that are no UTF-8 as octal numbers. NULL for none.
CREATE FUNCTION rebeco.unreadable_row(statement text, since bigint, running bigint[]) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    found_row record;
BEGIN
    FOR found_row IN EXECUTE pg_catalog.format('SELECT x::text AS t FROM (%s) x', statement) USING since, running, false LOOP
        BEGIN
            PERFORM pg_catalog.convert_to(found_row.t, 'UTF8');
        EXCEPTION WHEN OTHERS THEN
            RETURN pg_catalog.left(pg_catalog.encode(pg_catalog.convert_to(found_row.t, pg_catalog.getdatabaseencoding()), 'escape'), 800);
        END;
    END LOOP;
    RETURN NULL;
END
$$;
