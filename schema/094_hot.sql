-- Rows that both ends of a two-way sync change without a pause: replicator/batch_hot.c says when they wait, and why that
-- does no harm.

-- Of these keys those that are not among the others, by the key's operators.
CREATE FUNCTION rebeco.two_way_without(capture_id int, keys json, others json) RETURNS json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
    SET enable_nestloop = off
AS $$
DECLARE
    t record;
    answer json;
BEGIN
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_id);
    EXECUTE format('SELECT json_agg(json_build_array(%s)) FROM %s f WHERE NOT EXISTS (SELECT 1 FROM %s h WHERE %s)',
                   t.given_texts, t.given, replace(t.given, '$3', '$4'), replace(t.log_match, 'l.k', 'h.f'))
       INTO answer USING NULL::txid_snapshot, NULL::txid_snapshot, keys, others;
    RETURN coalesce(answer, '[]');
END
$$;

-- Whether a row may arrive later than others that were changed with it: nothing here refers to rows of this table, or is
-- referred to by them, and no row can be in the way of another.
CREATE FUNCTION rebeco.two_way_is_alone(capture_id int) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT NOT c.is_partitioned
       AND NOT EXISTS (SELECT 1 FROM rebeco.merge m WHERE m.capture_id = c.id)
       AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.contype = 'f' AND c.relid IN (k.conrelid, k.confrelid))
       AND NOT EXISTS (SELECT 1 FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
                        WHERE i.indrelid = c.relid AND (i.indisunique OR i.indisexclusion) AND r.relname <> c.key_index)
      FROM rebeco.capture c WHERE c.id = two_way_is_alone.capture_id
$$;

-- Of the keys that are changed again and again (`hot`) those that are left out of the round from this end, and logged again, so
-- that the next one has them: {left_out: those that are left out anyway and these, again: for rebeco.two_way_again()}, or nothing.
-- What is left out already is not logged again: that was decided.
CREATE FUNCTION rebeco.two_way_hot(capture_id int, since txid_snapshot, until txid_snapshot, hot json, left_out json) RETURNS json
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((
        SELECT json_build_object('left_out', left_out::jsonb || jsonb_agg(d.v -> 'k'),
                                 'again', json_agg(json_build_object('k', d.v -> 'k', 'at', d.v -> 'at', 'new', d.v -> 'new', 'waits', false)))
          FROM json_array_elements(rebeco.two_way_details(capture_id, since, until, rebeco.two_way_without(capture_id, hot, left_out))) d (v)
         WHERE rebeco.two_way_is_alone(capture_id)
        HAVING count(*) > 0), '{}')
$$;
