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

-- The columns by which rows of a table are tied to others, of its partitions', too: those of foreign keys in either direction, and of
-- whatever is unique besides the key.
CREATE FUNCTION rebeco.two_way_ties(capture_id int) RETURNS name[]
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH relation AS (SELECT c.relid AS oid, c.key_index FROM rebeco.capture c WHERE c.id = two_way_ties.capture_id
                      UNION SELECT p.relid, c.key_index FROM rebeco.capture c CROSS JOIN pg_partition_tree(c.relid) p WHERE c.id = two_way_ties.capture_id),
         other_index AS (SELECT i.* FROM relation r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class x ON x.oid = i.indexrelid
                          WHERE (i.indisunique OR i.indisexclusion) AND x.relname <> r.key_index),
         tied AS (SELECT k.conrelid AS oid, unnest(k.conkey) AS attnum FROM relation r JOIN pg_constraint k ON k.conrelid = r.oid WHERE k.contype = 'f'
                  UNION SELECT k.confrelid, unnest(k.confkey) FROM relation r JOIN pg_constraint k ON k.confrelid = r.oid WHERE k.contype = 'f'
                  UNION SELECT i.indrelid, unnest(i.indkey) FROM other_index i
                  UNION SELECT i.indrelid, d.refobjsubid FROM other_index i
                          JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid)
    SELECT coalesce(array_agg(DISTINCT a.attname), '{}') FROM tied JOIN pg_attribute a ON a.attrelid = tied.oid AND a.attnum = tied.attnum AND a.attnum > 0
$$;

-- Of the keys that are changed again and again (`hot`) those in the round that are not left out of it anyway, for rebeco.two_way_again():
-- what is left out already is not logged again, that was decided. What the log says of rows that are merged is moved (waits). `ties` is what ties the row to others, NULL: it is not there.
CREATE FUNCTION rebeco.two_way_hot(capture_id int, since txid_snapshot, until txid_snapshot, hot json, left_out json) RETURNS json
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(json_agg(json_build_object('k', d.v -> 'k', 'at', d.v -> 'at', 'new', d.v -> 'new', 'acted', d.v -> 'acted', 'waits', EXISTS (SELECT 1 FROM rebeco.merge m WHERE m.capture_id = two_way_hot.capture_id), 'ties', ties.doc)), '[]')
      FROM json_array_elements(rebeco.two_way_details(capture_id, since, until, rebeco.two_way_without(capture_id, hot, left_out))) d (v)
      LEFT JOIN LATERAL (SELECT coalesce(json_object_agg(c.name, d.v -> 'row' -> c.name), '{}') AS doc
                           FROM unnest(rebeco.two_way_ties(capture_id)) c (name)) ties ON json_typeof(d.v -> 'row') = 'object'
$$;

-- Of those rows, as the other end has them, the ones that may arrive here later than others that were changed with them: nothing
-- here refers to rows of this table or is referred to by them, and no row can be in the way of another; or the row is here, too, with
-- the same values in all columns that tie it to others.
CREATE FUNCTION rebeco.two_way_may_wait(capture_id int, hot json) RETURNS json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ties name[] := rebeco.two_way_ties(capture_id);
    t record;
    answer json;
BEGIN
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_id);
    EXECUTE format('SELECT json_agg(e.v ORDER BY e.n) FROM json_array_elements($4) WITH ORDINALITY e (v, n) JOIN %s f ON f.n = e.n '
                   'LEFT JOIN LATERAL (SELECT rebeco.json_shielded(row_to_json(x.*)) AS doc FROM %s x WHERE %s LIMIT 1) r ON true '
                   'WHERE cardinality($5) = 0 OR (r.doc IS NOT NULL AND json_typeof(e.v -> ''ties'') = ''object'' AND NOT EXISTS '
                   '(SELECT 1 FROM unnest($5) c (name) WHERE (e.v -> ''ties'' -> c.name)::text IS DISTINCT FROM (r.doc -> c.name)::text))',
                   t.given, t.relation, t.row_match)
       INTO answer USING NULL::txid_snapshot, NULL::txid_snapshot, (SELECT json_agg(e.v -> 'k' ORDER BY e.n) FROM json_array_elements(hot) WITH ORDINALITY e (v, n)), hot, ties;
    RETURN coalesce(answer, '[]');
END
$$;

-- Whether a truncation of the other end may leave rows of this table for a later round: none can be in the way of another, and
-- none is merged.
CREATE FUNCTION rebeco.two_way_may_spare(capture_id int) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT NOT EXISTS (SELECT 1 FROM rebeco.merge m WHERE m.capture_id = c.id)
       AND NOT EXISTS (SELECT 1 FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
                        WHERE i.indrelid = c.relid AND (i.indisunique OR i.indisexclusion) AND r.relname <> c.key_index)
      FROM rebeco.capture c WHERE c.id = two_way_may_spare.capture_id
$$;
