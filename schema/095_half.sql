-- Rows of a two-way sync that `skip` has left different, after half a round: replicator/batch_half.c says what for.

-- Of the keys that were changed here in a round (`side`: source or target), and are not among the `others`, those of which it was decided,
-- in an earlier round that went through at this end only, that both ends keep their own: {keys, merge}. Where rows are
-- merged, that is about columns: what is to be done at the other end with the rest is in `merge`, as rebeco.merge_write() gets it.
CREATE FUNCTION rebeco.two_way_skipped(capture_id int, since txid_snapshot, until txid_snapshot, sync_name text, side text,
        table_schema text, table_name text, others json) RETURNS json
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
    SET enable_nestloop = off
AS $$
    WITH s AS MATERIALIZED (
        SELECT row_number() OVER () AS n, c.key, CASE side WHEN 'source' THEN c.source_at ELSE c.target_at END AS at
          FROM rebeco.conflict c
         WHERE c.sync = sync_name AND c.table_schema = two_way_skipped.table_schema AND c.table_name = two_way_skipped.table_name
           AND c.decision = 'skip'
    ), d AS MATERIALIZED (
        SELECT DISTINCT ON (s.key::jsonb) s.key::jsonb AS key, CASE WHEN x.is_merged THEN d.v -> 'merge' END AS doc
          FROM s JOIN json_array_elements(rebeco.two_way_details(capture_id, since, until, (SELECT json_agg(s.key ORDER BY s.n) FROM s), 1, sync_name, side)) d (v)
            ON (d.v ->> 'i')::bigint = s.n
         CROSS JOIN LATERAL (SELECT NOT coalesce((d.v -> 'merge' ->> 'whole')::boolean, true) AS is_merged) x
         WHERE CASE WHEN x.is_merged THEN (d.v -> 'merge' ->> 'stays')::boolean ELSE (d.v ->> 'at')::timestamptz = s.at END
    ), k AS MATERIALIZED (
        SELECT e.v::jsonb AS key FROM json_array_elements(rebeco.two_way_without(capture_id, (SELECT json_agg(d.key) FROM d), others)) e (v)
    )
    SELECT json_build_object('keys', (SELECT coalesce(json_agg(k.key), '[]') FROM k), 'merge', (
               SELECT coalesce(json_agg(d.key || jsonb_build_array(jsonb_build_object(
                          'set', (SELECT coalesce(jsonb_object_agg(c.name, d.doc -> 'texts' ->> c.name), '{}') FROM json_object_keys(d.doc -> 'cols') c (name)),
                          'add', (SELECT coalesce(jsonb_object_agg(a.key, jsonb_build_array(NULL, NULL, a.value ->> 0)), '{}') FROM json_each(d.doc -> 'adds') a
                                   WHERE NOT (d.doc -> 'cols')::jsonb ? a.key)))), '[]')
                 FROM d JOIN k ON k.key = d.key WHERE d.doc IS NOT NULL))
$$;
