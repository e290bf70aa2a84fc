-- For people: what was decided about a row that both ends have changed, whether it still is so, and giving
-- it the version that has lost. `rebeco conflicts` calls this at the target.

ALTER TABLE rebeco.conflict
    ADD COLUMN replayed text,           -- source or target: whose version a person has given the row later
    ADD COLUMN replayed_at timestamptz,
    ADD COLUMN replayed_by text;

-- A conflict, and its row as it is at this end now. `state`: as decided, changed (since), replayed, not
-- followed (the table is captured no more), or not sent: the source has won while its changes are not sent here, and the row is
-- the target's own until that direction is opened (replicator/direction.c). What is locked stays so until the transaction ends.
CREATE FUNCTION rebeco.conflict_look(conflict_id bigint, lock boolean,
        OUT k rebeco.conflict, OUT capture rebeco.capture, OUT row_now json, OUT state text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_target boolean;
    relation regclass;
    t record;
    as_decided json;
    is_same boolean;
    comparing text;
BEGIN
    SELECT c.* INTO k FROM rebeco.conflict c WHERE c.id = conflict_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no conflict %', conflict_id
            USING ERRCODE = 'no_data_found', HINT = 'They are kept as long as the option conflict.keep says; `rebeco conflicts` lists those that there are.';
    END IF;
    is_target := EXISTS (SELECT 1 FROM rebeco.sync s WHERE s.name = k.sync);
    SELECT to_regclass(format('%I.%I', s.target_schema, s.target_name)) INTO relation
      FROM rebeco.sync_table s WHERE s.sync = k.sync AND s.source_schema = k.table_schema AND s.source_name = k.table_name;
    relation := coalesce(relation, to_regclass(format('%I.%I', k.table_schema, k.table_name)));
    SELECT c.* INTO capture FROM rebeco.capture c WHERE c.relid = relation;
    IF NOT FOUND THEN
        state := 'not followed';
        RETURN;
    END IF;
    as_decided := CASE k.decision WHEN 'source' THEN k.source_row WHEN 'target' THEN k.target_row
                                  ELSE CASE WHEN is_target THEN k.target_row ELSE k.source_row END END;
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture.id);
    -- Columns that came later are not compared, nor those that are gone.
    comparing := format('SELECT row_to_json(x.*), $4 IS NOT NULL AND CASE WHEN $5 THEN rebeco.json_bare(r) ELSE r::text END = row_to_json(x.*)::text '
                   'FROM %s x CROSS JOIN LATERAL (SELECT row_to_json(json_populate_record(x.*, $4)) AS r) p, %s f WHERE %s%s',
                   t.relation, t.given, t.row_match, CASE WHEN lock THEN ' FOR UPDATE OF x' END);
    EXECUTE comparing INTO row_now, is_same USING NULL::txid_snapshot, NULL::txid_snapshot, json_build_array(k.key), rebeco.json_readable(as_decided),
             rebeco.json_readable(as_decided)::text <> as_decided::text;
    state := CASE WHEN k.replayed IS NOT NULL THEN 'replayed'
                  WHEN CASE WHEN row_now IS NULL OR as_decided IS NULL THEN row_now IS NULL AND as_decided IS NULL ELSE is_same END THEN 'as decided'
                  ELSE 'changed' END;
    IF state = 'changed' AND k.decision = 'source' AND EXISTS (SELECT 1 FROM rebeco.sync s WHERE s.name = k.sync AND s.direction = 'target-to-source') THEN
        EXECUTE comparing INTO row_now, is_same USING NULL::txid_snapshot, NULL::txid_snapshot, json_build_array(k.key), rebeco.json_readable(k.target_row),
                rebeco.json_readable(k.target_row)::text <> k.target_row::text;
        IF is_same OR row_now IS NULL AND k.target_row IS NULL THEN
            state := 'not sent';
        END IF;
    END IF;
END
$$;

-- Gives a row the other version, as a write of the application at this end, so that it travels to the other
-- one: where both have changed it again meanwhile, that is a conflict like any. Refused when the row is not
-- as it was decided. `version` is source or target; NULL: the one that has lost. Gives what was done.
CREATE FUNCTION rebeco.conflict_replay(conflict_id bigint, version text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '5s'
AS $$
DECLARE
    l record;
    k rebeco.conflict;
    c rebeco.capture;
    t record;
    table_text text;
    whose text;
    wanted json;
    columns text;
    changes text;
BEGIN
    SELECT * INTO STRICT l FROM rebeco.conflict_look(conflict_id, true);
    k := l.k;
    c := l.capture;
    whose := coalesce(version, CASE k.decision WHEN 'source' THEN 'target' WHEN 'target' THEN 'source' END);
    IF whose IS NULL OR whose NOT IN ('source', 'target') THEN
        RAISE EXCEPTION 'it is not said which version of the row is wanted: the decision was %', k.decision
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Add source or target: whose version both ends are to have.';
    ELSIF l.state = 'replayed' THEN
        RAISE EXCEPTION 'the row was given the version of the % already, by %, at %', k.replayed, k.replayed_by, k.replayed_at
            USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF l.state = 'not followed' THEN
        RAISE EXCEPTION 'the table %.% is in no two-way sync here any more', quote_ident(k.table_schema), quote_ident(k.table_name)
            USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF whose = k.decision THEN
        RAISE EXCEPTION 'the version of the % is the one that was kept', whose USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF EXISTS (SELECT 1 FROM rebeco.sync s WHERE s.name = k.sync AND s.direction = 'source-to-target') THEN
        RAISE EXCEPTION 'changes of the target are not sent to the source now: the direction is source-to-target'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Open both first: rebeco direction both. Or write at the source what you want.';
    ELSIF l.state = 'not sent' THEN
        RAISE EXCEPTION 'the version that was kept has not been sent here: the direction is target-to-source'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Open both first: rebeco direction both. Or write at the source what you want.';
    ELSIF l.state = 'changed' THEN
        RAISE EXCEPTION 'the row has changed since this was decided'
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It is now: ' || coalesce(l.row_now::text, 'removed'),
                  HINT = 'Nothing was done. Write what you want by an ordinary statement, at either end.';
    END IF;
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(c.id);
    table_text := c.relid::regclass;
    wanted := CASE whose WHEN 'source' THEN k.source_row ELSE k.target_row END;
    IF wanted IS NOT NULL THEN
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
               coalesce(string_agg(format('%1$I = v.%1$I', a.attname), ', ' ORDER BY a.attnum)
                        FILTER (WHERE a.attnum <> ALL (c.key_attnums) AND a.attidentity <> 'a'), format('%1$I = x.%1$I', c.key_columns[1]))
          INTO columns, changes
          FROM pg_attribute a JOIN json_object_keys(wanted) j (name) ON j.name = a.attname
         WHERE a.attrelid = c.relid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    END IF;
    -- The application's triggers find what they would find in a session of the application.
    PERFORM set_config('search_path', (SELECT s.reset_val FROM pg_settings s WHERE s.name = 'search_path'), true);
    IF wanted IS NULL THEN
        EXECUTE format('DELETE FROM %s x USING %s f WHERE %s', t.relation, t.given, t.row_match)
          USING NULL::txid_snapshot, NULL::txid_snapshot, json_build_array(k.key);
    ELSIF l.row_now IS NULL THEN
        EXECUTE format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM pg_catalog.json_populate_record(NULL::%1$s, $1) v', table_text, columns)
          USING wanted;
    ELSE
        EXECUTE format('UPDATE %s x SET %s FROM %s f, pg_catalog.json_populate_record(NULL::%s, $4) v WHERE %s', t.relation, changes, t.given, table_text, t.row_match)
          USING NULL::txid_snapshot, NULL::txid_snapshot, json_build_array(k.key), wanted;
    END IF;
    UPDATE rebeco.conflict o SET replayed = whose, replayed_at = pg_catalog.clock_timestamp(), replayed_by = session_user WHERE o.id = conflict_id;
    RETURN CASE WHEN wanted IS NULL THEN 'removed, as at the ' ELSE 'the row has the version of the ' END || whose;
END
$$;
