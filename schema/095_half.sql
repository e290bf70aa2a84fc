-- Rows of a two-way sync that `skip` has left different, after half a round: replicator/batch_half.c says what for.

-- Of the keys that were changed here in a round (`side`: source or target) those of which it was decided, in an earlier round that
-- went through at this end only, that both ends keep their own.
CREATE FUNCTION rebeco.two_way_skipped(capture_id int, since txid_snapshot, until txid_snapshot, sync_name text, side text,
        table_schema text, table_name text) RETURNS json
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
           AND NOT EXISTS (SELECT 1 FROM rebeco.merge m WHERE m.capture_id = two_way_skipped.capture_id))
    SELECT coalesce(json_agg(s.key), '[]')
      FROM s JOIN json_array_elements(rebeco.two_way_details(capture_id, since, until, (SELECT json_agg(s.key ORDER BY s.n) FROM s))) d (v)
        ON (d.v ->> 'i')::bigint = s.n AND (d.v ->> 'at')::timestamptz = s.at
$$;
