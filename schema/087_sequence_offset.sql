-- Sequences of a two-way sync that are kept apart by an offset: the source goes on where it is, and the target
-- begins far beyond. No step is altered.

-- At the target: goes beyond what both ends have used (`steps` here, `beyond` there), by a billion steps, or by half
-- of what is left where that is less. Afterwards it is an error when the source has used up most of that, or somebody has
-- set the target's back.
CREATE FUNCTION rebeco.sequence_offset(p_seq oid, steps bigint, beyond bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t rebeco.two_way_sequence;
    s pg_sequence;
    value_most bigint;
    room_now bigint;
BEGIN
    SELECT * INTO STRICT t FROM rebeco.two_way_sequence WHERE seq = p_seq;
    IF t.first_step IS NOT NULL THEN
        IF t.first_step - beyond < t.room / 4 THEN
            RAISE EXCEPTION 'the source has % values left before it comes to those of the target', greatest(t.first_step - beyond - 1, 0);
        END IF;
        IF steps < t.first_step - 1 THEN
            RAISE EXCEPTION 'somebody has set it back to values of the source; the target''s begin at %',
                (SELECT q.seqstart + t.increment * t.first_step FROM pg_sequence q WHERE q.seqrelid = p_seq);
        END IF;
        RETURN;
    END IF;
    SELECT * INTO STRICT s FROM pg_sequence WHERE seqrelid = p_seq;
    value_most := CASE WHEN s.seqincrement > 0 THEN s.seqmax ELSE s.seqmin END;
    value_most := coalesce((SELECT CASE WHEN s.seqincrement > 0 THEN least(value_most, min(x.most)) ELSE greatest(value_most, - min(x.most)) END
                              FROM rebeco.sequence_columns(p_seq) c
                              JOIN (VALUES ('int2'::regtype, 32767::bigint), ('int4'::regtype, 2147483647)) x (type, most) ON x.type = c.type
                            HAVING count(*) > 0), value_most);
    room_now := least(1000000000, trunc(((value_most::numeric - s.seqstart) / t.increment - greatest(steps, beyond)) / 2));
    IF room_now < 2 THEN
        RAISE EXCEPTION 'it has too few values left to begin further on at the target';
    END IF;
    UPDATE rebeco.two_way_sequence u SET first_step = greatest(steps, beyond) + room_now, room = room_now WHERE u.seq = p_seq;
    PERFORM setval(p_seq::regclass, s.seqstart + t.increment * (greatest(steps, beyond) + room_now), false);
END
$$;
