-- Loading a chunk whose rows may be there already, or may be refused.
--
-- Why a row that the target refuses is not lost. Its chunk goes through a temporary table, and what the
-- table refuses is given back as keys. Those are written into the change log at the source, by a
-- transaction that is over before the chunk is noted as done: so they are changes after the position from
-- which the table will be followed. A crash in between leaves a key more in the log, which is read once
-- more and does no harm. When the table is followed, the batch reads these rows as any other and is
-- refused; then the row is named, and retry and skip do what they always do.
-- The same holds for a row that only seemed to be refused, because a row of another chunk, read earlier,
-- had its unique value.
-- Where values do not enter the temporary table, they come as bytes, with the row's key (COPY_PARSED in
-- replicator/copy_refused.c). The key may be what the target cannot hold, so it is given back as it came.

-- Moves the rows of pg_temp.rebeco_chunk into a table; of rows with one key the first to come stays. All
-- at once where that goes, then page by page, and row by row in the pages that have a refused one.
-- `conflict` are the key's columns, NULL where ON CONFLICT cannot be used; `key` makes a JSON array of the
-- key's texts. Gives the keys of the rows that are refused, with those that were before, NULL for none; fails as
-- the server did when there are more than `most`.
CREATE FUNCTION rebeco.chunk_merge(relation regclass, columns text, conflict text, key text, most int, before json[]) RETURNS json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    insertion text := format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM pg_temp.rebeco_chunk c', relation, columns, columns);
    ending text := CASE WHEN conflict IS NOT NULL THEN format(' ON CONFLICT (%s) DO NOTHING', conflict) ELSE '' END;
    refused json[] := before;
    page bigint;
    room int := current_setting('block_size')::int / 28; -- no row takes less of a page
    places tid[];
    place tid;
    said text;
    violated text;
    one json;
BEGIN
    IF conflict IS NOT NULL THEN
        BEGIN
            EXECUTE insertion || ending;
            RETURN CASE WHEN cardinality(refused) > 0 THEN array_to_json(refused) END;
        EXCEPTION WHEN integrity_constraint_violation OR data_exception OR raise_exception THEN
            NULL;
        END;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    FOR page IN SELECT generate_series(0, pg_relation_size('pg_temp.rebeco_chunk') / current_setting('block_size')::int - 1) LOOP
        EXECUTE 'SELECT array_agg(ctid ORDER BY ctid) FROM pg_temp.rebeco_chunk WHERE ctid = ANY ($1)' INTO places
          USING ARRAY(SELECT format('(%s,%s)', page, i)::tid FROM generate_series(1, room) i);
        BEGIN
            EXECUTE insertion || ' WHERE c.ctid = ANY ($1)' || ending USING places;
            CONTINUE;
        EXCEPTION WHEN integrity_constraint_violation OR data_exception OR raise_exception THEN
            NULL;
        END;
        FOREACH place IN ARRAY places LOOP
            BEGIN
                EXECUTE insertion || ' WHERE c.ctid = $1' || ending USING place;
            EXCEPTION WHEN integrity_constraint_violation OR data_exception OR raise_exception THEN
                GET STACKED DIAGNOSTICS said = RETURNED_SQLSTATE, violated = CONSTRAINT_NAME;
                IF conflict IS NULL AND said = '23505' AND violated IN (SELECT rebeco.chunk_key_indexes(relation)) THEN
                    CONTINUE;
                END IF;
                IF cardinality(refused) >= most THEN
                    RAISE;
                END IF;
                EXECUTE format('SELECT %s FROM pg_temp.rebeco_chunk c WHERE c.ctid = $1', key) INTO one USING place;
                refused := refused || one;
            END;
        END LOOP;
    END LOOP;
    RETURN CASE WHEN cardinality(refused) > 0 THEN array_to_json(refused) END;
END
$$;

-- Makes rows of pg_temp.rebeco_chunk of those of pg_temp.rebeco_raw, whose columns are the key, a JSON array, and
-- c1 and so on, all as UTF-8. Literals become values as in a COPY: by the input functions of the columns'
-- types. Gives the keys of the rows of which that cannot be, in hexadecimal; fails when there are more than `most`. What is undefined
-- here is what a value names, of regclass and its like: nothing else is looked up.
CREATE FUNCTION rebeco.chunk_parse(columns text, count int, most int) RETURNS json[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    insertion text := format('INSERT INTO pg_temp.rebeco_chunk (%s) VALUES ', columns);
    reading text := (SELECT format('SELECT string_agg(concat(''('', array_to_string(ARRAY[%s], '', ''), '')''), '', '') FROM pg_temp.rebeco_raw c WHERE c.ctid = ',
                                   string_agg(format('quote_nullable(convert_from(c.c%s, ''UTF8''))', i), ', ' ORDER BY i))
                       FROM generate_series(1, count) i);
    size text := (SELECT string_agg(format('coalesce(octet_length(c.c%s), 0)', i), ' + ' ORDER BY i) FROM generate_series(1, count) i);
    refused json[] := '{}';
    room int := current_setting('block_size')::int / 28;
    page bigint;
    places tid[];
    place tid;
    is_small boolean;
    literals text;
    key bytea;
BEGIN
    FOR page IN SELECT generate_series(0, pg_relation_size('pg_temp.rebeco_raw') / current_setting('block_size')::int - 1) LOOP
        EXECUTE format('SELECT array_agg(ctid ORDER BY ctid), sum(%s) < 4000000 FROM pg_temp.rebeco_raw c WHERE ctid = ANY ($1)', size) INTO places, is_small
          USING ARRAY(SELECT format('(%s,%s)', page, i)::tid FROM generate_series(1, room) i);
        CONTINUE WHEN places IS NULL;
        IF is_small THEN
            BEGIN
                EXECUTE reading || 'ANY ($1)' INTO literals USING places;
                EXECUTE insertion || literals;
                CONTINUE;
            EXCEPTION WHEN integrity_constraint_violation OR data_exception OR raise_exception OR undefined_table OR undefined_object OR undefined_function THEN
                NULL;
            END;
        END IF;
        FOREACH place IN ARRAY places LOOP
            BEGIN
                EXECUTE reading || '$1' INTO literals USING place;
                EXECUTE insertion || literals;
            EXCEPTION WHEN integrity_constraint_violation OR data_exception OR raise_exception OR undefined_table OR undefined_object OR undefined_function THEN
                IF cardinality(refused) >= most THEN
                    RAISE;
                END IF;
                SELECT c.key INTO key FROM pg_temp.rebeco_raw c WHERE c.ctid = place;
                refused := refused || to_json(encode(key, 'hex'));
            END;
        END LOOP;
    END LOOP;
    RETURN refused;
END
$$;

-- The names under which the server speaks of a violated key: of the table's, and of its partitions'.
CREATE FUNCTION rebeco.chunk_key_indexes(relation regclass) RETURNS SETOF name
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.relname
      FROM rebeco.table_key(relation) k
     CROSS JOIN LATERAL (SELECT k.index_oid AS oid UNION SELECT t.relid FROM pg_partition_tree(k.index_oid) t) i
      JOIN pg_class c ON c.oid = i.oid
$$;

-- At the source: writes the keys of rows that were refused, arrays or such in hexadecimal, into the log, as if they had been changed now. The
-- lock keeps log_rotate from going over to the other segment meanwhile.
CREATE FUNCTION rebeco.chunk_refused(capture_id int, keys json) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c rebeco.capture;
BEGIN
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_id FOR SHARE;
    IF c.is_two_way THEN
        RAISE EXCEPTION 'rows of % are refused, and cannot be left for later: it is in a two-way sync, too, where they would count as changed',
            c.relid::regclass USING ERRCODE = 'feature_not_supported';
    END IF;
    EXECUTE (SELECT format('INSERT INTO rebeco.log_%s_%s (%s, xid) SELECT %s, txid_current() FROM (SELECT CASE json_typeof(a.v) WHEN ''string'' THEN convert_from(decode(a.v #>> ''{}'', ''hex''), ''UTF8'')::json ELSE a.v END FROM json_array_elements($1) a (v)) e (v)', c.id, c.segment,
                           string_agg(format('k%s', k.ordinal), ', ' ORDER BY k.ordinal),
                           string_agg(rebeco.from_text(format('e.v ->> %s', k.ordinal - 1), k.type), ', ' ORDER BY k.ordinal))
               FROM unnest(c.key_types) WITH ORDINALITY k (type, ordinal))
      USING keys;
END
$$;
