-- How a sync ends.

ALTER TABLE rebeco.sync
    ADD COLUMN is_leaving boolean NOT NULL DEFAULT false; -- `uninstall` has begun at both ends: no daemon leads it any more

-- For sequences that no column draws from: how far the other end has gone, in steps, as it was last seen. `uninstall`
-- goes on from there (sql/uninstall_sequences.sql).
ALTER TABLE rebeco.two_way_sequence
    ADD COLUMN other_steps bigint;

DROP FUNCTION rebeco.sequences_together(boolean);

-- Notes that, from what rebeco.sequences_apart() has answered at the other end.
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
