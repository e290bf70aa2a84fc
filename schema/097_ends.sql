-- How a sync ends.

ALTER TABLE rebeco.sync
    ADD COLUMN is_leaving boolean NOT NULL DEFAULT false; -- `uninstall` has begun at both ends: no daemon leads it any more

-- Notes how far the other end has gone with its sequences, from what rebeco.sequences_apart() has answered there.
CREATE FUNCTION rebeco.sequences_seen(is_source boolean, sequences jsonb) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE rebeco.two_way_sequence t SET other_steps = o.steps
      FROM (SELECT CASE WHEN is_source THEN (j.doc ->> 'seq')::oid ELSE m.seq END AS seq, (j.doc ->> 'steps')::bigint AS steps
              FROM jsonb_array_elements(sequences) WITH ORDINALITY j (doc, number)
              LEFT JOIN rebeco.sequence_match(sequences) m ON m.number = j.number AND NOT is_source) o
     WHERE t.seq = o.seq AND o.steps IS NOT NULL AND t.other_steps IS DISTINCT FROM o.steps
$$;
