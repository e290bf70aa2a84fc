-- Sequences: reading them all at the source, and moving those at the target that are behind.
--
-- A sequence's position is the last value it has given out. One that was never called stands one
-- step before its last_value, which is the value it will give next.

-- Installed at the target, one row per sequence that we have moved.
CREATE TABLE rebeco.sequence (
    sync text NOT NULL REFERENCES rebeco.sync ON DELETE CASCADE,
    seq oid NOT NULL,                   -- at the target: a new name changes nothing
    last_value bigint NOT NULL,         -- what we set it to: found otherwise, somebody uses it
    is_called boolean NOT NULL,
    used bigint,                        -- the position up to which others used it; NULL: nobody
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (sync, seq)
) WITH (fillfactor = 50);

-- What one sequence holds. pg_sequence_last_value() needs no name and no plan, but it says nothing
-- of a sequence that was never called, and ALTER SEQUENCE .. RESTART makes one of those.
CREATE FUNCTION rebeco.sequence_value(p_seq oid, OUT last_value bigint, OUT is_called boolean)
    LANGUAGE plpgsql SET search_path TO pg_catalog, pg_temp AS $$
BEGIN
    last_value := pg_sequence_last_value(p_seq);
    is_called := true;
    IF last_value IS NULL THEN
        EXECUTE (SELECT format('SELECT last_value, is_called FROM %I.%I', n.nspname, c.relname)
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE c.oid = p_seq)
           INTO last_value, is_called;
    END IF;
END $$;

-- The users' sequences of this database, with what they are and the column that owns them.
CREATE FUNCTION rebeco.sequence_list()
    RETURNS TABLE (seq oid, seq_schema name, seq_name name, type text, start bigint,
                   increment bigint, min bigint, max bigint, cycle boolean, cache bigint,
                   owner oid, owner_schema name, owner_table name, owner_column name)
    LANGUAGE sql STABLE SET search_path TO pg_catalog, pg_temp AS $$
    SELECT c.oid, n.nspname, c.relname, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement,
           s.seqmin, s.seqmax, s.seqcycle, s.seqcache, o.oid, o.nspname, o.relname, o.attname
      FROM pg_sequence s
      JOIN pg_class c ON c.oid = s.seqrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN LATERAL (
           SELECT t.oid, tn.nspname, t.relname, a.attname
             FROM pg_depend d
             JOIN pg_class t ON t.oid = d.refobjid
             JOIN pg_namespace tn ON tn.oid = t.relnamespace
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
              AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
            LIMIT 1) o ON true
     WHERE c.relpersistence <> 't'
       AND n.nspname <> ALL ('{rebeco,information_schema}') AND n.nspname !~ '^pg_'
       AND NOT EXISTS (SELECT FROM pg_depend e
                        WHERE e.classid = 'pg_class'::regclass AND e.objid IN (c.oid, o.oid)
                          AND e.deptype = 'e')
$$;

-- The sequences of a sync, at the source: those owned by its tables (or by a partition or a parent
-- of one), those that a default of its tables names, and the unowned ones in its tables' schemas.
-- p_all: the unowned ones of every schema, but of those whose tables are all left out.
CREATE FUNCTION rebeco.sequence_wanted(p_tables oid[], p_all boolean)
    RETURNS TABLE (seq oid, seq_schema name, seq_name name, type text, start bigint,
                   increment bigint, min bigint, max bigint, cycle boolean, cache bigint,
                   owner_schema name, owner_table name, owner_column name)
    LANGUAGE sql STABLE SET search_path TO pg_catalog, pg_temp AS $$
    WITH RECURSIVE down (oid) AS (
        SELECT unnest(p_tables)
        UNION
        SELECT i.inhrelid FROM down d JOIN pg_inherits i ON i.inhparent = d.oid
    ), up (oid) AS (
        SELECT unnest(p_tables)
        UNION
        SELECT i.inhparent FROM up u JOIN pg_inherits i ON i.inhrelid = u.oid
    ), tables (oid) AS (
        SELECT oid FROM down UNION SELECT oid FROM up
    ), schemas (nspname) AS (
        SELECT DISTINCT n.nspname
          FROM tables t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    ), left_out (nspname) AS (
        SELECT n.nspname
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p')
           AND NOT EXISTS (SELECT FROM pg_depend e
                            WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                              AND e.deptype = 'e')
        EXCEPT
        SELECT nspname FROM schemas
    ), named (oid) AS (
        SELECT d.refobjid
          FROM tables t
          JOIN pg_attrdef a ON a.adrelid = t.oid
          JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
         WHERE d.refclassid = 'pg_class'::regclass
    )
    SELECT s.seq, s.seq_schema, s.seq_name, s.type, s.start, s.increment, s.min, s.max, s.cycle,
           s.cache, s.owner_schema, s.owner_table, s.owner_column
      FROM rebeco.sequence_list() s
     WHERE s.owner IN (SELECT oid FROM tables)
        OR s.seq IN (SELECT oid FROM named)
        OR (s.owner IS NULL
            AND (s.seq_schema IN (SELECT nspname FROM schemas)
                 OR (p_all AND s.seq_schema NOT IN (SELECT nspname FROM left_out))))
$$;

-- A word that changes when any sequence of this database is called, set, altered, renamed, made or
-- dropped (but not when one that was never called is given another first value by setval): the
-- cheap question whether there is anything to read. NULL: it cannot be told, read them.
CREATE FUNCTION rebeco.sequence_glance() RETURNS text
    LANGUAGE plpgsql SET search_path TO pg_catalog, pg_temp SET lock_timeout TO '50ms' AS $$
BEGIN
    RETURN (
        SELECT COALESCE(md5(string_agg(concat_ws(' ', s.seqrelid, c.relfilenode, c.relname,
                                                 c.relnamespace,
                                                 CASE WHEN has_sequence_privilege(c.oid, 'USAGE, SELECT')
                                                      THEN pg_sequence_last_value(c.oid) END),
                                       ',' ORDER BY c.oid)), 'none')
          FROM pg_sequence s
          JOIN pg_class c ON c.oid = s.seqrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relpersistence <> 't' AND n.nspname <> 'rebeco' AND n.nspname !~ '^pg_');
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

-- What one sequence holds, or why that cannot be told (`trouble`, for a person, with a remedy). A
-- sequence that is gone by now has neither.
CREATE FUNCTION rebeco.sequence_try(p_seq oid, OUT last_value bigint, OUT is_called boolean,
                                    OUT trouble text, OUT remedy text)
    LANGUAGE plpgsql SET search_path TO pg_catalog, pg_temp AS $$
BEGIN
    SELECT v.last_value, v.is_called INTO last_value, is_called FROM rebeco.sequence_value(p_seq) v;
EXCEPTION
    WHEN lock_not_available THEN
        trouble := 'is locked at the source: another session alters it';
        remedy := 'Wait for that session to end its transaction; this goes on by itself.';
        PERFORM set_config('lock_timeout', '1ms', true);
    WHEN insufficient_privilege THEN
        trouble := format('cannot be read at the source: %s', SQLERRM);
        remedy := format('At the source: GRANT SELECT ON SEQUENCE %s TO %I;', p_seq::regclass,
                         current_user);
    WHEN OTHERS THEN
        IF EXISTS (SELECT FROM pg_class c WHERE c.oid = p_seq) THEN
            trouble := format('cannot be read at the source: %s', SQLERRM);
        END IF;
END $$;

-- Reads the sequences of a sync, exactly and as of now: values given out by transactions that run,
-- or have failed, count.
--
-- All of them at once, which is quick; when one of them stands in the way, one by one. Then one that
-- is locked (ALTER SEQUENCE, TRUNCATE .. RESTART IDENTITY in a transaction that goes on) does not
-- hold up the others. While we wait for it we hold weak locks on those read before, so the first
-- such wait is short and the further ones are next to nothing.
-- Result: a JSON array of objects, one per sequence, in the order of names.
CREATE FUNCTION rebeco.sequence_read(p_tables oid[], p_all boolean)
    RETURNS jsonb
    LANGUAGE plpgsql SET search_path TO pg_catalog, pg_temp SET lock_timeout TO '100ms' AS $$
BEGIN
    RETURN (
        SELECT COALESCE(jsonb_agg(to_jsonb(w) || to_jsonb(v) ORDER BY w.seq_schema, w.seq_name), '[]')
          FROM rebeco.sequence_wanted(p_tables, p_all) w
          CROSS JOIN LATERAL rebeco.sequence_value(w.seq) v);
EXCEPTION WHEN OTHERS THEN
    PERFORM set_config('lock_timeout', '10ms', true);
    RETURN (
        SELECT COALESCE(jsonb_agg(to_jsonb(w) || to_jsonb(v) ORDER BY w.seq_schema, w.seq_name), '[]')
          FROM rebeco.sequence_wanted(p_tables, p_all) w
          CROSS JOIN LATERAL rebeco.sequence_try(w.seq) v
         WHERE v.last_value IS NOT NULL OR v.trouble IS NOT NULL);
END $$;

-- Where a target's sequence should stand: the position, or NULL when it may stay where it is. All
-- numbers are those of a rising sequence here; the caller turns the sign of a falling one. p_ahead
-- is how many steps it shall be ahead of the source; p_back, whether it may step back for that;
-- p_used, up to where others have used it at the target (NULL: not at all).
--
-- Near its end a sequence is never driven to the end by head-room: at most half of the steps that
-- are left are taken, so that a target that takes over has as many.
--
-- Behind and ahead in a circle: a cycled sequence comes round, so each position is both before and
-- behind every other, and the shorter way decides. Less than half a round in front of the source is
-- ahead; more is behind, and the way forward leads across the end to the start. The head-room is at
-- most a quarter of the round, so that being ahead by it never looks like being behind. The values
-- of such a sequence come again by its owner's wish: that the target is not behind in this sense is
-- all that can be meant by not giving out the same values as the source. (The caller lets it go back
-- wherever nobody uses it at the target, which is the rule: there is no doubt then.)
CREATE FUNCTION rebeco.sequence_goal(p_source numeric, p_target numeric, p_increment numeric,
                                     p_min numeric, p_max numeric, p_cycle boolean,
                                     p_ahead numeric, p_back boolean, p_used numeric)
    RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE SET search_path TO pg_catalog, pg_temp AS $$
DECLARE
    v_left numeric := floor((p_max - p_source) / p_increment); -- steps up to the end
    v_round numeric := floor((p_max - p_min) / p_increment) + 1;
    v_ahead numeric;
    v_steps numeric; -- from the source's position forward to the target's
    v_goal numeric;
BEGIN
    IF NOT p_cycle THEN
        v_ahead := least(p_ahead, greatest(floor(v_left / 2), 0));
        v_goal := p_source + v_ahead * p_increment;
        IF p_back THEN
            v_goal := greatest(v_goal, p_used);
        END IF;
        RETURN CASE WHEN p_target < v_goal OR (p_back AND p_target > v_goal) THEN v_goal END;
    END IF;
    v_ahead := least(p_ahead, floor(v_round / 4));
    v_goal := CASE WHEN v_ahead <= v_left THEN p_source + v_ahead * p_increment
                   ELSE p_min + (v_ahead - v_left - 1) * p_increment END;
    v_steps := CASE WHEN p_target >= p_source THEN floor((p_target - p_source) / p_increment)
                    ELSE v_left + 1 + floor((p_target - p_min) / p_increment) END;
    IF p_back AND p_used IS NULL THEN
        RETURN CASE WHEN p_target <> v_goal THEN v_goal END;
    END IF;
    RETURN CASE WHEN v_steps < v_ahead OR v_steps > floor(v_round / 2) THEN v_goal END;
END $$;

-- Finds for each sequence that was read at the source the one at the target: that of the same owning
-- column, as long as neither end has two for it (so a sequence or a table's sequence that was
-- renamed at one end is still the same), and else the one of the same name.
CREATE FUNCTION rebeco.sequence_match(p_source jsonb)
    RETURNS TABLE (number bigint, seq oid)
    LANGUAGE sql STABLE SET search_path TO pg_catalog, pg_temp AS $$
    WITH source AS (
        SELECT j.number, j.doc ->> 'seq_schema' AS seq_schema, j.doc ->> 'seq_name' AS seq_name,
               j.doc ->> 'owner_schema' AS owner_schema, j.doc ->> 'owner_table' AS owner_table,
               j.doc ->> 'owner_column' AS owner_column
          FROM jsonb_array_elements(p_source) WITH ORDINALITY j (doc, number)
    ), target AS (
        SELECT l.seq, l.seq_schema::text, l.seq_name::text, l.owner_schema::text,
               l.owner_table::text, l.owner_column::text
          FROM rebeco.sequence_list() l
    ), by_owner AS (
        SELECT s.number, t.seq
          FROM (SELECT min(number) AS number, owner_schema, owner_table, owner_column
                  FROM source WHERE owner_column IS NOT NULL
                 GROUP BY 2, 3, 4 HAVING count(*) = 1) s
          JOIN (SELECT min(seq) AS seq, owner_schema, owner_table, owner_column
                  FROM target WHERE owner_column IS NOT NULL
                 GROUP BY 2, 3, 4 HAVING count(*) = 1) t
         USING (owner_schema, owner_table, owner_column)
    )
    SELECT number, seq FROM by_owner
    UNION ALL
    SELECT s.number, t.seq
      FROM source s JOIN target t USING (seq_schema, seq_name)
     WHERE s.number NOT IN (SELECT b.number FROM by_owner b)
       AND t.seq NOT IN (SELECT b.seq FROM by_owner b)
$$;

-- What a person should know of a sequence whose definition differs at the two ends: `s` as at the
-- source, `t` as at the target. NULL: nothing.
CREATE FUNCTION rebeco.sequence_difference(s jsonb, t jsonb, OUT message text, OUT hint text)
    LANGUAGE plpgsql IMMUTABLE STRICT SET search_path TO pg_catalog, pg_temp AS $$
DECLARE
    v_name text := format('%I.%I', t ->> 'seq_schema', t ->> 'seq_name');
    v_here text[] := '{}';
    v_change text := '';
BEGIN
    IF s ->> 'type' <> t ->> 'type' THEN
        v_here := v_here || format('of type %s, not %s', t ->> 'type', s ->> 'type');
        v_change := v_change || format(' AS %s', s ->> 'type');
    END IF;
    IF s -> 'increment' <> t -> 'increment' THEN
        v_here := v_here || format('incremented by %s, not %s', t ->> 'increment',
                                   s ->> 'increment');
        v_change := v_change || format(' INCREMENT BY %s', s ->> 'increment');
    END IF;
    IF s -> 'min' <> t -> 'min' THEN
        v_here := v_here || format('with minimum %s, not %s', t ->> 'min', s ->> 'min');
        v_change := v_change || format(' MINVALUE %s', s ->> 'min');
    END IF;
    IF s -> 'max' <> t -> 'max' THEN
        v_here := v_here || format('with maximum %s, not %s', t ->> 'max', s ->> 'max');
        v_change := v_change || format(' MAXVALUE %s', s ->> 'max');
    END IF;
    IF s -> 'cycle' <> t -> 'cycle' THEN
        v_here := v_here || CASE WHEN (t ->> 'cycle')::boolean THEN 'cycled' ELSE 'not cycled' END;
        v_change := v_change || CASE WHEN (t ->> 'cycle')::boolean THEN ' NO CYCLE'
                                     ELSE ' CYCLE' END;
    END IF;
    IF v_change <> '' THEN
        message := format('is %s at the target', array_to_string(v_here, ' and '));
        hint := format('At the target: ALTER SEQUENCE %s%s;', v_name, v_change);
    ELSIF s ->> 'seq_schema' <> t ->> 'seq_schema' THEN
        message := format('is %s at the target; its value is kept in step', v_name);
        hint := format('At the target: ALTER SEQUENCE %s SET SCHEMA %I;', v_name,
                       s ->> 'seq_schema');
    ELSIF s ->> 'seq_name' <> t ->> 'seq_name' AND s -> 'any_name' IS DISTINCT FROM 'true' THEN
        message := format('is called %s at the target; its value is kept in step', v_name);
        hint := format('At the target: ALTER SEQUENCE %s RENAME TO %I;', v_name, s ->> 'seq_name');
    END IF;
END $$;

-- Moves one sequence of the target, if it is behind; true when it was moved. `s` is what was read at
-- the source, `t` its row of sequence_list() here.
--
-- Never backwards: between reading and setting, another session here may call nextval(), and setval()
-- knows no condition, and there is no lock that keeps it out without making the sessions here wait
-- for each other. A step back would take more calls in these microseconds than the way that we move
-- it. That somebody uses a sequence of the target is known from its value, which is not the one we
-- set: there we move on by twice the head-room, so that it would take more calls than that.
--
-- p_exact: without head-room, for a source that stands still. Then what our own head-room has put
-- before is taken back, but never below what others have used here.
CREATE FUNCTION rebeco.sequence_move(p_sync text, s jsonb, t jsonb, p_headroom bigint,
                                     p_exact boolean)
    RETURNS boolean
    LANGUAGE plpgsql SET search_path TO pg_catalog, pg_temp AS $$
DECLARE
    v_seq oid := (t ->> 'seq')::oid;
    v_increment numeric := (s ->> 'increment')::numeric;
    v_sign numeric := sign((s ->> 'increment')::numeric);
    v_source numeric := (s ->> 'last_value')::numeric;
    v_source_called boolean := (s ->> 'is_called')::boolean;
    v_cycle boolean := (s ->> 'cycle')::boolean;
    v_min numeric := (s ->> 'min')::numeric;
    v_max numeric := (s ->> 'max')::numeric;
    v_target numeric;
    v_here record;
    v_set rebeco.sequence;
    v_known boolean; -- it holds what we set
    v_back boolean;  -- it may go back
    v_used numeric;  -- the position up to which others used it
    v_ahead numeric := CASE WHEN p_exact THEN 0 ELSE p_headroom END;
    v_goal numeric;
    v_called boolean := true;
BEGIN
    IF v_sign <> sign((t ->> 'increment')::numeric) THEN
        RAISE EXCEPTION 'runs the other way at the target';
    END IF;
    SELECT * INTO v_set FROM rebeco.sequence WHERE sync = p_sync AND seq = v_seq;
    SELECT last_value, is_called INTO v_here FROM rebeco.sequence_value(v_seq);
    v_known := v_here.last_value IS NOT DISTINCT FROM v_set.last_value
               AND v_here.is_called IS NOT DISTINCT FROM v_set.is_called;
    v_source := v_source - CASE WHEN v_source_called THEN 0 ELSE v_increment END;
    v_target := v_here.last_value - CASE WHEN v_here.is_called THEN 0 ELSE v_increment END;
    IF v_known THEN
        v_used := v_set.used;
    ELSIF v_here.is_called THEN
        v_used := v_target;
    END IF;
    -- Where nobody but us has been, the place in the circle is ours to choose.
    v_back := v_known AND p_exact
              OR v_cycle AND v_used IS NULL AND (v_known OR v_set.seq IS NULL);
    IF NOT v_cycle THEN
        v_min := greatest(v_min, (t ->> 'min')::numeric);
        v_max := least(v_max, (t ->> 'max')::numeric);
    END IF;

    -- First whether it is behind at all; then, where others use it, further than that.
    FOR v_times IN 1 .. CASE WHEN v_known OR v_used IS NULL THEN 1 ELSE 2 END LOOP
        v_goal := v_sign * rebeco.sequence_goal(
            v_source * v_sign, v_target * v_sign, abs(v_increment),
            CASE WHEN v_sign > 0 THEN v_min ELSE -v_max END,
            CASE WHEN v_sign > 0 THEN v_max ELSE -v_min END,
            v_cycle, v_ahead * v_times, v_back, v_used * v_sign);
        IF v_goal IS NULL THEN
            RETURN false;
        END IF;
    END LOOP;
    IF v_goal = v_source AND NOT v_source_called THEN
        v_goal := v_goal + v_increment; -- as at the source: the value that comes next
        v_called := false;
    END IF;
    IF v_goal NOT BETWEEN (t ->> 'min')::numeric AND (t ->> 'max')::numeric THEN
        RAISE EXCEPTION 'cannot be set to % at the target, where it goes from % to %', v_goal,
                        t ->> 'min', t ->> 'max';
    END IF;
    PERFORM setval(v_seq::regclass, v_goal::bigint, v_called);
    INSERT INTO rebeco.sequence AS q (sync, seq, last_value, is_called, used)
    VALUES (p_sync, v_seq, v_goal, v_called, v_used)
        ON CONFLICT (sync, seq) DO UPDATE
       SET last_value = excluded.last_value, is_called = excluded.is_called, used = excluded.used,
           set_at = excluded.set_at;
    RETURN true;
END $$;

-- Moves the sequences of the target that are behind. p_source is what sequence_read() gave at the
-- source, as one JSON array. What is wrong with a sequence is written to rebeco.problem, and taken
-- from there when it is mended; one that cannot be moved does not stop the others.
--
-- Result: how many there are, were moved and are in trouble; and then what is new trouble, a row
-- each, with the object.
CREATE FUNCTION rebeco.sequence_set(p_sync text, p_source jsonb, p_headroom bigint,
                                    p_exact boolean)
    RETURNS TABLE (seen int, moved int, troubled int, object text, message text, hint text)
    LANGUAGE plpgsql SET search_path TO pg_catalog, pg_temp SET lock_timeout TO '500ms' AS $$
DECLARE
    r record;
    v_objects text[] := '{}';
    v_messages text[] := '{}';
    v_hints text[] := '{}';
    v_name text;
BEGIN
    seen := jsonb_array_length(p_source);
    moved := 0;
    FOR r IN SELECT j.doc AS s, to_jsonb(l) AS t, d.message, d.hint
               FROM jsonb_array_elements(p_source) WITH ORDINALITY j (doc, number)
               LEFT JOIN rebeco.sequence_match(p_source) m ON m.number = j.number
               LEFT JOIN rebeco.sequence_list() l ON l.seq = m.seq
               LEFT JOIN LATERAL rebeco.sequence_difference(j.doc, to_jsonb(l)) d ON true
              ORDER BY j.number
    LOOP
        v_name := format('%I.%I', r.s ->> 'seq_schema', r.s ->> 'seq_name');
        message := r.message;
        hint := r.hint;
        IF r.s ->> 'trouble' IS NOT NULL THEN
            message := r.s ->> 'trouble';
            hint := r.s ->> 'remedy';
        ELSIF r.t IS NULL THEN
            message := 'does not exist at the target';
            hint := format('At the target: CREATE SEQUENCE %s AS %s INCREMENT BY %s MINVALUE %s '
                           'MAXVALUE %s START %s CACHE %s%s;', v_name, r.s ->> 'type',
                           r.s ->> 'increment', r.s ->> 'min', r.s ->> 'max', r.s ->> 'start',
                           r.s ->> 'cache',
                           CASE WHEN (r.s ->> 'cycle')::boolean THEN ' CYCLE' ELSE '' END);
        ELSE
            BEGIN
                moved := moved + rebeco.sequence_move(p_sync, r.s, r.t, p_headroom, p_exact)::int;
            EXCEPTION
                WHEN insufficient_privilege THEN
                    message := format('cannot be set at the target: %s', SQLERRM);
                    hint := format('At the target: GRANT SELECT, UPDATE ON SEQUENCE %I.%I TO %I;',
                                   r.t ->> 'seq_schema', r.t ->> 'seq_name', current_user);
                WHEN lock_not_available THEN
                    message := 'is locked at the target: another session alters it';
                    hint := 'Wait for that session to end its transaction; '
                            'this goes on by itself.';
                    PERFORM set_config('lock_timeout', '1ms', true);
                WHEN OTHERS THEN
                    message := CASE WHEN r.message IS NULL THEN SQLERRM
                                    ELSE format('%s; %s', SQLERRM, r.message) END;
            END;
        END IF;
        IF message IS NOT NULL THEN
            v_objects := v_objects || format('SEQUENCE %s', v_name);
            v_messages := v_messages || message;
            v_hints := v_hints || hint;
        END IF;
    END LOOP;
    troubled := cardinality(v_objects);
    object := NULL;
    message := NULL;
    hint := NULL;
    RETURN NEXT;
    FOR object, message, hint IN
        INSERT INTO rebeco.problem AS p (sync, kind, object, message, hint)
        SELECT p_sync, 'sequence', u.o, u.m, u.h FROM unnest(v_objects, v_messages, v_hints) u (o, m, h)
            ON CONFLICT ON CONSTRAINT problem_pkey DO UPDATE
           SET message = excluded.message, hint = excluded.hint, at = excluded.at
         WHERE p.message <> excluded.message
        RETURNING p.object, p.message, p.hint
    LOOP
        RETURN NEXT;
    END LOOP;
    DELETE FROM rebeco.problem p
     WHERE p.sync = p_sync AND p.kind = 'sequence' AND p.object <> ALL (v_objects);
    DELETE FROM rebeco.sequence q
     WHERE q.sync = p_sync AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = q.seq);
END $$;
