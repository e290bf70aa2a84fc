-- Rows that the target refuses. A person may have one left out: then it is here, with what it looked
-- like and why, and is not tried again until it looks different at the source.

CREATE TABLE rebeco.skipped (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync text NOT NULL REFERENCES rebeco.sync ON DELETE CASCADE,
    table_id int NOT NULL,
    table_schema text NOT NULL,         -- as at the source
    table_name text NOT NULL,
    key text NOT NULL,                  -- the key's values, a JSON array of texts; of a short hash where there is none
    row text NOT NULL,                  -- all values, a JSON object of texts, long ones cut
    operation text NOT NULL,            -- write or delete
    error text NOT NULL,                -- the server's words
    sqlstate text NOT NULL,
    key_hash text NOT NULL,             -- by which the daemon knows the row again
    row_hash text NOT NULL,             -- and knows whether it has changed
    skipped_by text NOT NULL,           -- the database role that asked for it
    skipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,             -- when the row was right at the target again; NULL: it is not
    copies bigint,                      -- where there is no key: how many such rows the source has and the target lacks
    image bytea                         -- and all its values, a JSON array of texts in UTF-8; NULL: too long to be kept
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
    INSERT INTO rebeco.skipped (sync, table_id, table_schema, table_name, key, row, operation, error, sqlstate, key_hash, row_hash, skipped_by, copies, image)
    VALUES (sync_name, s.table_id, s.table_schema, s.table_name, s.key, s.row, s.operation, s.error, s.sqlstate, s.key_hash, s.row_hash,
            coalesce((SELECT c.requested_by FROM rebeco.command c WHERE c.id = command_id), session_user), s.copies, s.image)
    RETURNING id INTO number;
    RETURN number;
END
$$;

-- In a batch's transaction: how many copies are left out now of rows without a key (replicator/skip.c says why
-- that is exact), and which rows are right again. Fails where other numbers are there than the batch began with.
CREATE FUNCTION rebeco.skip_settle(sync_name text, our_table int, hashes text[], copies_before bigint[], copies_after bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    n bigint;
BEGIN
    UPDATE rebeco.skipped s
       SET copies = CASE WHEN copies_before IS NOT NULL THEN h.after END, settled_at = CASE WHEN h.after = 0 THEN clock_timestamp() END
      FROM unnest(hashes, copies_before, copies_after) h (hash, before, after)
     WHERE s.sync = sync_name AND s.table_id = our_table AND s.settled_at IS NULL AND s.key_hash = h.hash
       AND s.copies IS NOT DISTINCT FROM h.before;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF copies_before IS NOT NULL AND n < cardinality(hashes) THEN
        RAISE EXCEPTION 'rows that were left out were tried again meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;

-- Inserts rows without a key that were left out, with their number, and settles those that are not refused.
CREATE FUNCTION rebeco.skip_retry(sync_name text, our_number bigint, our_table int, table_schema text, table_name text,
        names text[], fires boolean) RETURNS TABLE (key_hash text, error text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    s rebeco.skipped;
BEGIN
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    IF NOT fires THEN
        PERFORM rebeco.transaction_replica_role();
    END IF;
    FOR s IN SELECT * FROM rebeco.skipped k
              WHERE k.sync = sync_name AND k.table_id = our_table AND k.settled_at IS NULL AND k.copies > 0 ORDER BY k.id FOR UPDATE LOOP
        key_hash := s.key_hash;
        error := NULL;
        BEGIN
            IF s.image IS NULL THEN
                RAISE EXCEPTION 'the row is too long to be kept: change it at the source, or copy the table again';
            END IF;
            SET CONSTRAINTS ALL IMMEDIATE;
            -- Literals become values as in a COPY: by the input functions of the columns' types.
            EXECUTE (SELECT format('INSERT INTO %I.%I (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM generate_series(1, $1)', table_schema, table_name,
                                   string_agg(quote_ident(c.name), ', ' ORDER BY c.place), string_agg(quote_nullable(c.value), ', ' ORDER BY c.place))
                       FROM ROWS FROM (unnest(names), json_array_elements_text(convert_from(s.image, 'UTF8')::json)) WITH ORDINALITY c (name, value, place))
              USING s.copies;
            UPDATE rebeco.skipped k SET copies = 0, settled_at = clock_timestamp() WHERE k.id = s.id;
        EXCEPTION WHEN OTHERS THEN
            error := SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
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
