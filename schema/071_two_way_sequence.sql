-- Sequences of a two-way sync: both ends draw values, and never the same one. Of the values that a
-- sequence can give (its start, and so many steps from it) the source takes those with an even number
-- of steps and the target those with an odd one: each end's step is twice as long. Or, `how` being offset, all
-- up to some place, and the target all beyond (087_sequence_offset.sql).

-- What a sequence's step was before, at this end, and where it starts. ALTER SEQUENCE .. START, which moves nothing
-- by itself, would make the source's values the other end's, were its steps counted from there: it would be set to
-- the next even step from the new start, where the target has given all such values already. So the start is the one
-- that the sequence had when it was set apart; the source tells it to the target.
CREATE TABLE rebeco.two_way_sequence (
    seq oid PRIMARY KEY,
    sync text NOT NULL,
    increment bigint NOT NULL,
    apart_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    how text NOT NULL DEFAULT 'interleave', -- or offset
    first_step bigint,                  -- offset, at the target: where it began, in steps from the start
    room bigint,                        -- and how many steps were before that for the source
    start bigint,                       -- from where its steps are counted: its start when it was set apart
    -- Where no column draws from it: how far the other end has gone, in steps, as it was last seen. `uninstall` goes
    -- on from there (sql/uninstall_sequences.sql).
    other_steps bigint
);

-- The next value after `base` that this end may give, by its number of steps from the start.
CREATE FUNCTION rebeco.sequence_next_apart(base bigint, is_source boolean) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT base + CASE WHEN ((base % 2) + 2) % 2 = CASE WHEN is_source THEN 1 ELSE 0 END THEN 1 ELSE 2 END
$$;

-- The number columns that draw from a sequence: it is theirs, or their default names it.
CREATE FUNCTION rebeco.sequence_columns(p_seq oid) RETURNS TABLE (relation regclass, name name, type oid)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.attrelid::regclass, a.attname, rebeco.base_type(a.atttypid)
      FROM (SELECT d.refobjid AS relid, d.refobjsubid AS attnum
              FROM pg_depend d
             WHERE d.classid = 'pg_class'::regclass AND d.objid = p_seq AND d.objsubid = 0
               AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
            UNION
            SELECT f.adrelid, f.adnum
              FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
             WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_seq) u
      JOIN pg_attribute a ON a.attrelid = u.relid AND a.attnum = u.attnum AND NOT a.attisdropped
     WHERE rebeco.base_type(a.atttypid) IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
$$;

-- Sets one sequence apart, after which this end gives only values of its own, beyond `there` -> steps (the number
-- of steps that the other end has gone; NULL: not known). Gives the steps that this one has gone; `is_fresh`
-- when it was not apart before, or is not any more: somebody has set it to where it would give the other end's values
-- (TRUNCATE .. RESTART IDENTITY, setval). Steps are counted from the start that the sequence has at the source,
-- at the target, too, where it may be another one. The lock keeps nextval out until the commit.
CREATE FUNCTION rebeco.sequence_apart(sync_name text, p_seq oid, is_source boolean, there jsonb, how text,
        OUT steps bigint, OUT step bigint, OUT is_fresh boolean)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    s pg_sequence;
    v record;
    known rebeco.two_way_sequence;
    origin bigint;
    beyond bigint := there ->> 'steps';
BEGIN
    SELECT * INTO STRICT s FROM pg_sequence WHERE seqrelid = p_seq;
    IF s.seqcycle THEN
        RAISE EXCEPTION 'it begins again at its end (CYCLE), and would give the values of the other end then'
            USING ERRCODE = 'feature_not_supported';
    END IF;
    SELECT t.* INTO known FROM rebeco.two_way_sequence t WHERE t.seq = p_seq;
    is_fresh := NOT FOUND;
    IF known.sync <> sync_name THEN
        RAISE EXCEPTION 'another two-way sync has set it apart at this node already, from one other end'
            USING ERRCODE = 'feature_not_supported';
    END IF;
    step := CASE WHEN is_fresh THEN s.seqincrement ELSE known.increment END;
    origin := there ->> 'start';
    IF known.how <> sequence_apart.how THEN
        RAISE EXCEPTION 'sequences.two_way was % when it was set apart; another way needs `rebeco uninstall` first', known.how
            USING ERRCODE = 'feature_not_supported';
    ELSIF NOT is_source AND step <> (there ->> 'step')::bigint THEN
        RAISE EXCEPTION 'its step is % at the target, and % at the source', step, there ->> 'step'
            USING ERRCODE = 'feature_not_supported';
    ELSIF NOT is_fresh AND s.seqincrement <> (CASE how WHEN 'interleave' THEN 2 * step ELSE step END) THEN
        RAISE EXCEPTION 'its step was altered after it was set apart, to %', s.seqincrement
            USING ERRCODE = 'feature_not_supported';
    ELSIF how = 'offset' AND NOT is_source AND s.seqstart <> origin THEN
        RAISE EXCEPTION 'it starts at % at the target, and at % at the source', s.seqstart, origin
            USING ERRCODE = 'feature_not_supported';
    END IF;
    SELECT * INTO STRICT v FROM rebeco.sequence_value(p_seq);
    IF NOT is_fresh AND how = 'interleave' THEN
        is_fresh := (v.last_value - origin) % step <> 0
                 OR abs((v.last_value - origin) / step % 2) <> CASE WHEN is_source THEN 0 ELSE 1 END;
    END IF;
    IF is_fresh THEN
        IF how = 'interleave' THEN
            EXECUTE format('ALTER SEQUENCE %s INCREMENT BY %s', p_seq::regclass, 2 * step);
        END IF;
        INSERT INTO rebeco.two_way_sequence (seq, sync, increment, how, start) VALUES (p_seq, sync_name, step, sequence_apart.how, origin)
        ON CONFLICT (seq) DO NOTHING;
        SELECT * INTO STRICT v FROM rebeco.sequence_value(p_seq);
    END IF;
    steps := floor((v.last_value::numeric - origin) / step) - CASE WHEN v.is_called THEN 0 ELSE 1 END;
    IF known.seq IS NULL THEN
        steps := greatest(steps, -1);
    END IF;
    IF how = 'offset' THEN
        IF NOT is_source THEN
            PERFORM rebeco.sequence_offset(p_seq, steps, beyond);
        END IF;
    ELSIF is_fresh THEN
        PERFORM setval(p_seq::regclass,
                       origin + step * rebeco.sequence_next_apart(CASE WHEN known.seq IS NULL THEN greatest(steps, beyond) ELSE steps END, is_source), false);
    END IF;
END
$$;

-- Sets the sequences apart that were read at the source (rebeco.sequence_read); first there, then at the
-- target, which gets the answer. Ends after 50 that were not apart yet, so that no lock is held for long.
-- What is in the way is a problem of the sync, at the target, until it is no more.
-- Result: the list, as far as it went, each with "steps", "step" and "fresh", or with "trouble".
CREATE FUNCTION rebeco.sequences_apart(sync_name text, is_source boolean, sequences jsonb, how text DEFAULT 'interleave') RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '200ms'
AS $$
DECLARE
    one record;
    apart record;
    fresh int := 0;
    answer jsonb[] := '{}';
    troubled text[] := '{}';
BEGIN
    FOR one IN
        SELECT CASE WHEN is_source AND k.start IS NOT NULL THEN j.doc || jsonb_build_object('start', k.start) ELSE j.doc END AS doc,
               CASE WHEN is_source THEN (j.doc ->> 'seq')::oid ELSE m.seq END AS seq
          FROM jsonb_array_elements(sequences) WITH ORDINALITY j (doc, number)
          LEFT JOIN rebeco.sequence_match(sequences) m ON m.number = j.number AND NOT is_source
          LEFT JOIN rebeco.two_way_sequence k ON k.seq = (j.doc ->> 'seq')::oid AND is_source
         ORDER BY j.number
    LOOP
        EXIT WHEN fresh >= 50;
        BEGIN
            IF one.doc ? 'trouble' AND one.doc ->> 'trouble' IS NOT NULL THEN
                RAISE EXCEPTION '%', one.doc ->> 'trouble';
            ELSIF one.seq IS NULL THEN
                RAISE EXCEPTION 'it is not at the target';
            END IF;
            apart := rebeco.sequence_apart(sync_name, one.seq, is_source, one.doc, how);
            fresh := fresh + apart.is_fresh::int;
            answer := answer || (one.doc || jsonb_build_object('steps', apart.steps, 'step', apart.step, 'fresh', apart.is_fresh));
        EXCEPTION WHEN lock_not_available THEN
            RAISE;
        WHEN OTHERS THEN
            answer := answer || (one.doc || jsonb_build_object('trouble', SQLERRM));
            troubled := troubled || format('%I.%I', one.doc ->> 'seq_schema', one.doc ->> 'seq_name');
            IF NOT is_source THEN
                INSERT INTO rebeco.problem AS p (sync, kind, object, message, hint)
                VALUES (sync_name, 'sequence', troubled[cardinality(troubled)],
                        'both ends may give the same values: ' || SQLERRM,
                        'Let each end draw other values by hand, or use keys that need no sequence.')
                ON CONFLICT (sync, kind, object) DO UPDATE SET message = EXCLUDED.message WHERE p.message <> EXCLUDED.message;
            END IF;
        END;
    END LOOP;
    -- Only a list in which nothing was fresh, at either end, is the whole one.
    IF NOT is_source AND fresh = 0 AND NOT sequences @> '[{"fresh": true}]' THEN
        DELETE FROM rebeco.problem p WHERE p.sync = sync_name AND p.kind = 'sequence' AND p.object <> ALL (troubled);
    END IF;
    RETURN to_jsonb(answer);
END
$$;
