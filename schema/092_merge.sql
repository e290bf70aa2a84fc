-- Merging: rows of a two-way sync that both ends have changed and of which both changes are kept, because
-- they are about other columns (conflict.merge), or because a column counts (conflict.counters).
-- replicator/batch_merge.c says why both ends become equal, and why no difference is added twice.
--
-- The log of such a table says of an UPDATE which columns it has changed (cols: their numbers) and by how much
-- the counters have moved (adds, those of added). cols NULL: the row as a whole, as in every other log; so
-- it is for INSERT and DELETE, for a key that has moved, for an identity column that is always generated and was set
-- anew, and for a while after the table was altered.

-- The captures that do so.
CREATE TABLE rebeco.merge (
    capture_id int PRIMARY KEY REFERENCES rebeco.capture ON DELETE CASCADE,
    by_column boolean NOT NULL,         -- false: counters only
    counters smallint[] NOT NULL,
    attnums smallint[] NOT NULL,        -- the columns that the trigger's function knows
    typids oid[] NOT NULL,
    names text[] NOT NULL
);

-- Whether the table has just these columns now. For the planner of a writer's session, as
-- rebeco.capture_columns() is: called with constants, asked once until the table is altered.
CREATE FUNCTION rebeco.merge_fits(relation regclass, attnums smallint[], types oid[], names text[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    width int;
BEGIN
    EXECUTE format('SELECT length(ROW((NULL::%s).*)::text) - 1', relation) INTO width; -- "(,,)": three columns
    RETURN width = cardinality(attnums) AND rebeco.capture_columns(relation, attnums, types) IS NOT DISTINCT FROM names;
EXCEPTION WHEN OTHERS THEN
    RETURN false;
END
$$;

-- Can be added to without a rounding error.
CREATE FUNCTION rebeco.merge_is_countable(type oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT rebeco.base_type(type) IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
$$;

-- What a row trigger does for an UPDATE, and notes the columns it is made for: a counter that is gone, or of
-- another type now, is none any more. `plain`, what it does without merging, is for tables that do not
-- merge, and for the time after they were altered.
CREATE FUNCTION rebeco.merge_on_update(c rebeco.capture, log text, plain text) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    m rebeco.merge;
    keys record;
    cols text;
    adds text;
    of_old text;
    of_new text;
BEGIN
    UPDATE rebeco.merge u SET attnums = a.attnums, typids = a.typids, names = a.names,
           counters = ARRAY(SELECT k.attnum FROM pg_attribute k
                             WHERE k.attrelid = c.relid AND k.attnum = ANY (u.counters) AND NOT k.attisdropped AND rebeco.merge_is_countable(k.atttypid)
                             ORDER BY k.attnum)
      FROM (SELECT coalesce(array_agg(a.attnum ORDER BY a.attnum), '{}') AS attnums, coalesce(array_agg(a.atttypid ORDER BY a.attnum), '{}') AS typids,
                   coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}') AS names
              FROM pg_attribute a WHERE a.attrelid = c.relid AND a.attnum > 0 AND NOT a.attisdropped) a
     WHERE u.capture_id = c.id
    RETURNING u.* INTO m;
    IF NOT FOUND OR c.form = 'statement' OR NOT c.is_two_way THEN
        RETURN plain;
    END IF;
    SELECT * INTO keys FROM rebeco.capture_keys(c);
    -- A counter that came from NULL or went there, or looks another way, has not been added to; NaN and infinity have no difference.
    SELECT string_agg(format('CASE WHEN ROW(OLD.%1$I)::record *<> ROW(NEW.%1$I)::record%3$s THEN %2$s END', a.attname, a.attnum,
                             CASE WHEN d.counts THEN format(' AND %s = 0', d.difference) END),
                      E',\n                ' ORDER BY a.attnum),
           string_agg(d.difference, ', ' ORDER BY array_position(m.counters, a.attnum)) FILTER (WHERE d.counts)
      INTO cols, adds
      FROM pg_attribute a
     CROSS JOIN LATERAL (SELECT a.attnum = ANY (m.counters) AS counts,
                                format(CASE rebeco.base_type(a.atttypid) WHEN 'numeric'::regtype THEN 'CASE WHEN (%1$s) - (%1$s) = 0 THEN %1$s ELSE 0 END'
                                                                         ELSE 'coalesce(%1$s, 0)' END,
                                       format('NEW.%1$I::numeric - OLD.%1$I::numeric', a.attname)) AS difference) d
     WHERE a.attrelid = c.relid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attnum <> ALL (c.key_attnums);
    -- An identity column that is always generated can be written to with its whole row only.
    SELECT concat_ws(', ', keys.of_old, string_agg(format('OLD.%I', a.attname), ', ' ORDER BY a.attnum)),
           concat_ws(', ', keys.of_new, string_agg(format('NEW.%I', a.attname), ', ' ORDER BY a.attnum))
      INTO of_old, of_new
      FROM pg_attribute a WHERE a.attrelid = c.relid AND a.attidentity = 'a' AND a.attnum > 0 AND NOT a.attisdropped AND a.attnum <> ALL (c.key_attnums);
    RETURN format($f$IF rebeco.merge_fits(%1$L::regclass, %2$L::smallint[], %3$L::oid[], %4$L::text[]) THEN
                INSERT INTO rebeco.%5$I (%6$s, xid, cols, added, adds)
                VALUES (%7$s, txid_current(), CASE WHEN ROW(%13$s)::record *= ROW(%14$s)::record THEN array_remove(ARRAY[
                %9$s]::smallint[], NULL) END, %10$s);
                IF (%11$s) IS NOT TRUE THEN
                    INSERT INTO rebeco.%5$I (%6$s, xid, is_new) VALUES (%8$s, txid_current(), true);
                END IF;
            ELSE
                %12$s
            END IF;$f$, c.relid, m.attnums, m.typids, m.names, log, keys.columns, keys.of_old, keys.of_new, coalesce(cols, ''),
                  CASE WHEN adds IS NULL THEN 'NULL, NULL' ELSE format('%L::smallint[], ARRAY[%s]', m.counters, adds) END, keys.same, plain, of_old, of_new);
END
$$;

-- Why columns cannot be counters, in words; NULL when they can.
CREATE FUNCTION rebeco.merge_trouble(relation oid, key_columns text[], counters text[]) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(format(CASE WHEN a.attnum IS NULL THEN 'there is no column %I'
                                  WHEN n.name = ANY (key_columns) THEN '%I is a key column'
                                  WHEN a.attgenerated <> '' THEN '%I is a generated column'
                                  WHEN f.refers THEN '%I is a column of a foreign key'
                                  ELSE '%I is of type %s, not smallint, integer, bigint or numeric' END,
                             n.name, format_type(a.atttypid, a.atttypmod)), '; ' ORDER BY n.ordinal)
      FROM unnest(counters) WITH ORDINALITY n (name, ordinal)
      LEFT JOIN pg_attribute a ON a.attrelid = relation AND a.attname = n.name AND a.attnum > 0 AND NOT a.attisdropped
     CROSS JOIN LATERAL (SELECT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = relation AND k.contype = 'f' AND a.attnum = ANY (k.conkey)) AS refers) f
     WHERE a.attnum IS NULL OR n.name = ANY (key_columns) OR a.attgenerated <> '' OR f.refers OR NOT rebeco.merge_is_countable(a.atttypid)
$$;

-- The numbers of these columns; nobody needs them in another order.
CREATE FUNCTION rebeco.merge_counters(relation oid, counters text[]) RETURNS smallint[]
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(a.attnum ORDER BY a.attnum), '{}') FROM pg_attribute a
     WHERE a.attrelid = relation AND a.attname = ANY (counters) AND a.attnum > 0 AND NOT a.attisdropped
$$;

-- Whether a capture's function was made for other columns than the table has.
CREATE FUNCTION rebeco.merge_is_behind(c rebeco.capture) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT 1 FROM rebeco.merge m
                    WHERE m.capture_id = c.id AND c.form <> 'statement' AND NOT rebeco.merge_fits(c.relid::regclass, m.attnums, m.typids, m.names))
$$;

-- Which of these captures ([{id, columns, counters}]) do not merge as is said there, or not the columns there are.
CREATE FUNCTION rebeco.merge_differs(wanted json) RETURNS SETOF int
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.id
      FROM json_array_elements(wanted) w (doc)
      JOIN rebeco.capture c ON c.id = (w.doc ->> 'id')::int
      LEFT JOIN rebeco.merge m ON m.capture_id = c.id
     CROSS JOIN LATERAL (SELECT (w.doc ->> 'columns')::boolean AS by_column,
                                ARRAY(SELECT json_array_elements_text(w.doc -> 'counters')) AS counters) o
     WHERE CASE WHEN o.by_column OR o.counters <> '{}'
                THEN m.capture_id IS NULL OR m.by_column <> o.by_column OR c.form = 'statement' OR rebeco.merge_is_behind(c)
                     OR rebeco.merge_trouble(c.relid, c.key_columns, o.counters) IS NOT NULL
                     OR m.counters <> rebeco.merge_counters(c.relid, o.counters)
                ELSE m.capture_id IS NOT NULL END
$$;

-- The columns of a log that only merging fills: each costs every row that is logged. The log is locked against writers,
-- and after the table where that is locked, too, as writers have it.
CREATE FUNCTION rebeco.merge_make_room(capture_number int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM rebeco.capture c JOIN pg_attribute a ON a.attrelid = format('rebeco.log_%s_0', c.id)::regclass AND a.attname = 'cols'
                WHERE c.id = capture_number)
       OR NOT EXISTS (SELECT 1 FROM rebeco.capture c WHERE c.id = capture_number AND c.is_two_way) THEN
        RETURN;
    END IF;
    FOR segment IN 0..1 LOOP
        EXECUTE format('ALTER TABLE rebeco.log_%s_%s ADD COLUMN cols smallint[], ADD COLUMN added smallint[], ADD COLUMN adds numeric[]', capture_number, segment);
    END LOOP;
    PERFORM rebeco.capture_create_view(capture_number);
END
$$;

-- Makes a capture merge, or end with it. Nothing of its log is lost: what was logged before is about the row
-- as a whole. A table with statement triggers gets row triggers: it is locked against everybody until the
-- transaction ends, which is to have a short lock_timeout. Nothing else needs a lock on the table.
CREATE FUNCTION rebeco.merge_set(capture_number int, by_column boolean, counters text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
DECLARE
    c rebeco.capture;
    trouble text;
    is_new_form boolean;
BEGIN
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_number FOR UPDATE;
    trouble := rebeco.merge_trouble(c.relid, c.key_columns, counters);
    IF trouble IS NOT NULL THEN
        RAISE EXCEPTION 'conflict.counters cannot be for %: %', c.relid::regclass, trouble
            USING ERRCODE = 'datatype_mismatch', HINT = 'Mend conflict.counters in the configuration, and start again.';
    END IF;
    IF NOT c.is_two_way THEN
        RAISE EXCEPTION 'the change log of % has no place for it', c.relid::regclass
            USING ERRCODE = 'feature_not_supported', HINT = 'Only rows of a two-way sync are merged.';
    END IF;
    IF c.passes_on AND (by_column OR counters <> '{}') THEN
        RAISE EXCEPTION 'another sync reads the changes of %', c.relid::regclass
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'A table of conflict.merge or conflict.counters can be in no other sync: take it out of those, or out of the other sync.';
    END IF;
    is_new_form := c.form = 'statement' AND (by_column OR counters <> '{}');
    DELETE FROM rebeco.merge m WHERE m.capture_id = c.id;
    IF by_column OR counters <> '{}' THEN
        INSERT INTO rebeco.merge VALUES (c.id, by_column, rebeco.merge_counters(c.relid, counters), '{}', '{}', '{}');
    END IF;
    IF is_new_form THEN
        PERFORM rebeco.capture_drop_triggers(c.id);
        UPDATE rebeco.capture u SET form = 'row' WHERE u.id = c.id;
    END IF;
    IF by_column OR counters <> '{}' THEN
        PERFORM rebeco.merge_make_room(c.id);
    END IF;
    PERFORM rebeco.capture_function(c.id, c.segment);
    IF is_new_form THEN
        PERFORM rebeco.capture_create_triggers(c.id, c.relid);
    END IF;
END
$$;

-- What the round says of these keys, for merging. Their place in the list (i); whole: only the row as a whole can
-- be told from the other end's; unsure: it was changed after the round in a way that the sums do not
-- show; cols: the columns that were changed, and when last; adds: by how much the counters were moved in the round
-- and by how much after it, and when last; texts: the columns as they are now. Of an earlier round that did not get through in the direction
-- that reads here (`side`: source or target), where half_of says the sync of such a one, replicator/batch_half.c: stays: a column of which
-- `skip` was decided is left out of cols; won: this end's row has won, by the change of that time. Empty where nothing is merged.
-- Stable, so that log and row are seen in the caller's one snapshot.
CREATE FUNCTION rebeco.merge_details(capture_number int, since txid_snapshot, until txid_snapshot, given json,
        half_of text DEFAULT NULL, side text DEFAULT NULL) RETURNS json
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
AS $$
DECLARE
    decided text := 'SELECT NULL::bigint AS n, NULL::text AS decision, NULL::json AS source_row, NULL::json AS target_row, NULL::timestamptz AS at WHERE false';
    m rebeco.merge;
    c rebeco.capture;
    t record;
    names text;
    texts text;
    answer json;
BEGIN
    SELECT * INTO m FROM rebeco.merge WHERE capture_id = capture_number;
    IF NOT FOUND THEN
        RETURN '[]';
    END IF;
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_number;
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_number);
    SELECT string_agg(quote_literal(a.attname), ', ' ORDER BY a.attnum), string_agg(format('x.%I::text', a.attname), ', ' ORDER BY a.attnum)
      INTO names, texts
      FROM pg_attribute a
     WHERE a.attrelid = c.relid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attnum <> ALL (c.key_attnums);
    IF half_of IS NOT NULL THEN
        SELECT format('SELECT f.n, l.decision, l.source_row, l.target_row, l.at FROM (SELECT o.decision, o.source_row, o.target_row, o.%s_at AS at, %s FROM rebeco.conflict o '
                      'WHERE o.sync = %L AND o.table_schema = %L AND o.table_name = %L AND o.decision IN (''skip'', %L)) l JOIN f ON %s',
                      side, string_agg(format('%s AS k%s', rebeco.from_text(format('o.key ->> %s', k.n - 1), k.type), k.n), ', ' ORDER BY k.n), half_of, s.nspname, r.relname, side, t.log_match)
          INTO decided
          FROM pg_class r JOIN pg_namespace s ON s.oid = r.relnamespace CROSS JOIN unnest(c.key_types) WITH ORDINALITY k (type, n)
         WHERE r.oid = c.relid GROUP BY s.nspname, r.relname;
    END IF;
    EXECUTE format($f$
        WITH f AS MATERIALIZED %1$s, o AS MATERIALIZED (%10$s),
        k AS MATERIALIZED (
            SELECT o.n, x.key AS name, max(o.at) AS at
              FROM o CROSS JOIN LATERAL json_each(rebeco.json_shielded(o.source_row)) x
              JOIN LATERAL json_each(rebeco.json_shielded(o.target_row)) y ON y.key = x.key AND y.value::text <> x.value::text
             WHERE o.decision = 'skip' GROUP BY 1, 2),
        l AS MATERIALIZED (
            SELECT f.n, l.at, l.cols, l.added, l.adds, txid_visible_in_snapshot(l.xid, $4) AS is_in
              FROM %2$s l JOIN f ON %3$s WHERE l.op IS NULL),
        v AS (
            SELECT o.n, max(o.at) AS at FROM o JOIN l ON l.n = o.n AND l.at = o.at WHERE o.decision <> 'skip' AND l.is_in GROUP BY o.n),
        w AS (
            SELECT l.n, bool_or(l.cols IS NULL) FILTER (WHERE l.is_in) AS whole,
                   coalesce(bool_or(l.cols IS NULL OR l.cols && %7$L::smallint[]) FILTER (WHERE NOT l.is_in), false) AS unsure
              FROM l GROUP BY l.n),
        s AS (
            SELECT u.n, json_object_agg(a.attname, u.at) FILTER (WHERE k.n IS NULL) AS doc, bool_or(k.n IS NOT NULL) AS stays
              FROM (SELECT l.n, c.attnum, max(l.at) AS at FROM l, unnest(l.cols) c (attnum) WHERE l.is_in GROUP BY 1, 2) u
              JOIN pg_attribute a ON a.attrelid = %8$s AND a.attnum = u.attnum AND NOT a.attisdropped
              LEFT JOIN k ON k.n = u.n AND k.name = a.attname AND k.at >= u.at
             GROUP BY u.n),
        p AS (
            SELECT u.n, json_object_agg(a.attname, json_build_array(u.delta::text, u.after::text, u.at)) AS doc
              FROM (SELECT l.n, k.attnum, coalesce(sum(k.delta) FILTER (WHERE l.is_in), 0) AS delta,
                           coalesce(sum(k.delta) FILTER (WHERE NOT l.is_in), 0) AS after,
                           max(l.at) FILTER (WHERE l.is_in) AS at
                      FROM l, unnest(l.added, l.adds) k (attnum, delta) WHERE l.cols IS NOT NULL AND k.delta <> 0 GROUP BY 1, 2) u
              JOIN pg_attribute a ON a.attrelid = %8$s AND a.attnum = u.attnum AND NOT a.attisdropped
             GROUP BY u.n)
        SELECT json_agg(json_build_object('i', f.n, 'whole', coalesce(w.whole, true) OR r.texts IS NULL, 'unsure', coalesce(w.unsure, false),
                        'cols', coalesce(s.doc, '{}'), 'adds', coalesce(p.doc, '{}'), 'texts', r.texts, 'stays', s.stays, 'won', v.at))
          FROM f LEFT JOIN w ON w.n = f.n LEFT JOIN s ON s.n = f.n LEFT JOIN p ON p.n = f.n LEFT JOIN v ON v.n = f.n
          LEFT JOIN LATERAL (SELECT json_object(ARRAY[%4$s]::text[], ARRAY[%5$s]::text[]) AS texts FROM %6$s x WHERE %9$s LIMIT 1) r ON true
        $f$, t.given, t.log, t.log_match, names, texts, t.relation, m.counters, c.relid, t.row_match, decided)
       INTO answer USING since, NULL::txid_snapshot, given, until;
    RETURN coalesce(answer, '[]');
END
$$;

-- Columns that one constraint speaks of, a foreign key, CHECK, UNIQUE or EXCLUDE of several, count as one, and so do those of a unique
-- index, in its expressions and its predicate, too: of (a, b) from both ends neither knows that it may be. {column: name of its block}; a column that is not in it is alone. NULL, as for a table
-- that only counts: all are one block.
CREATE FUNCTION rebeco.merge_blocks(capture_number int) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE pairs AS (
        SELECT DISTINCT x.attnum AS one, y.attnum AS other
          FROM rebeco.capture c
         CROSS JOIN LATERAL (SELECT k.conkey AS attnums FROM pg_constraint k WHERE k.conrelid = c.relid
                             UNION ALL
                             SELECT array_agg(d.refobjsubid::smallint)
                               FROM pg_index i JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0
                              WHERE i.indrelid = c.relid AND (i.indisunique OR i.indisexclusion)
                              GROUP BY i.indexrelid) k
         CROSS JOIN LATERAL unnest(k.attnums) x (attnum) CROSS JOIN LATERAL unnest(k.attnums) y (attnum)
         WHERE c.id = capture_number AND x.attnum <> ALL (c.key_attnums) AND y.attnum <> ALL (c.key_attnums)
    ), reach AS (
        SELECT one, other FROM pairs
        UNION
        SELECT r.one, p.other FROM reach r JOIN pairs p ON p.one = r.other
    )
    SELECT CASE WHEN m.by_column THEN (
               SELECT coalesce(jsonb_object_agg(a.attname, b.block), '{}')
                 FROM (SELECT r.one, 'block ' || min(r.other) AS block FROM reach r GROUP BY r.one HAVING count(*) > 1) b
                 JOIN pg_attribute a ON a.attrelid = c.relid AND a.attnum = b.one) END
      FROM rebeco.capture c JOIN rebeco.merge m ON m.capture_id = c.id WHERE c.id = capture_number
$$;

-- The columns of a row of which something is to be done, from what rebeco.merge_details() says at both ends. Counters are
-- as they were in the round: what was added since is in the log beyond it, and is not to be sent twice.
--   is_sum      a counter that both have the same idea of: source_add and target_add are its differences
--               (NULL: none there), `sum` what it becomes
--   is_clash    both ends have changed it, or its block: the policy decides
--   by_source, by_target   else: who has
CREATE FUNCTION rebeco.merge_columns(blocks jsonb, source json, target json)
    RETURNS TABLE (name text, source_text text, target_text text, by_source boolean, by_target boolean, source_at timestamptz,
                   target_at timestamptz, is_sum boolean, source_add numeric, target_add numeric, sum text, is_clash boolean)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH c AS (
        SELECT k.key AS name, CASE WHEN a.s_after = 0 THEN k.value ELSE (k.value::numeric - a.s_after)::text END AS s,
               CASE WHEN a.t_after = 0 THEN a.t ELSE (a.t::numeric - a.t_after)::text END AS t,
               (source -> 'cols' ->> k.key)::timestamptz AS s_at, (target -> 'cols' ->> k.key)::timestamptz AS t_at,
               (source -> 'adds' -> k.key ->> 2)::timestamptz AS s_add_at, (target -> 'adds' -> k.key ->> 2)::timestamptz AS t_add_at,
               coalesce((source -> 'adds' -> k.key ->> 0)::numeric, 0) AS s_add, coalesce((target -> 'adds' -> k.key ->> 0)::numeric, 0) AS t_add
          FROM json_each_text(source -> 'texts') k
         CROSS JOIN LATERAL (SELECT target -> 'texts' ->> k.key AS t, coalesce((source -> 'adds' -> k.key ->> 1)::numeric, 0) AS s_after,
                                    coalesce((target -> 'adds' -> k.key ->> 1)::numeric, 0) AS t_after) a
         WHERE (target -> 'texts')::jsonb ? k.key
    ), d AS (
        SELECT *, CASE WHEN (s_add_at IS NULL AND t_add_at IS NULL) OR s_at IS NOT NULL OR t_at IS NOT NULL THEN false
                       ELSE coalesce(s::numeric - s_add = t::numeric - t_add, false) END AS adds_up,
               s_at IS NOT NULL OR s_add_at IS NOT NULL AS by_s, t_at IS NOT NULL OR t_add_at IS NOT NULL AS by_t
          FROM c
    ), e AS (
        SELECT *, NOT adds_up AND s IS DISTINCT FROM t AS is_open, CASE WHEN blocks IS NULL THEN '' ELSE coalesce(blocks ->> name, name) END AS block FROM d
    ), g AS ( -- what differs and neither has changed was won in half a round
        SELECT name, s, t, s_add, t_add, s_add_at, t_add_at, adds_up, is_open, block, by_s OR o.s_won IS NOT NULL AS by_s, by_t OR o.t_won IS NOT NULL AS by_t,
               coalesce(s_at, o.s_won) AS s_at, coalesce(t_at, o.t_won) AS t_at
          FROM e LEFT JOIN LATERAL (SELECT (source ->> 'won')::timestamptz AS s_won, (target ->> 'won')::timestamptz AS t_won) o ON is_open AND NOT by_s AND NOT by_t
    ), f AS (
        SELECT *, bool_or(by_s AND is_open) OVER b AND bool_or(by_t AND is_open) OVER b AS is_both FROM g WINDOW b AS (PARTITION BY block)
    )
    SELECT name, s, t, by_s, by_t, greatest(s_at, s_add_at), greatest(t_at, t_add_at), adds_up,
           CASE WHEN s_add_at IS NOT NULL THEN s_add END, CASE WHEN t_add_at IS NOT NULL THEN t_add END,
           CASE WHEN NOT adds_up THEN NULL WHEN t_add_at IS NULL THEN s WHEN s_add_at IS NULL THEN t ELSE (s::numeric + t_add)::text END,
           is_open AND is_both AND (by_s OR by_t)
      FROM f
$$;

-- What becomes of a row that both ends have updated. `winner` is the policy's answer for the columns that
-- clash; asked without one (NULL), only what it must know is of meaning:
--   is_clash    there is something to be decided; the times are those of its last changes
-- With it, what each end is to do: {"set": {column: text}, "add": {column: [what it was, sum, difference]}},
-- NULL: nothing.
CREATE FUNCTION rebeco.merge_row(blocks jsonb, source json, target json, winner text,
        OUT is_clash boolean, OUT source_at timestamptz, OUT target_at timestamptz, OUT to_source jsonb, OUT to_target jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(bool_or(m.is_clash), false), max(m.source_at) FILTER (WHERE m.is_clash), max(m.target_at) FILTER (WHERE m.is_clash),
           nullif(jsonb_build_object(
               'set', coalesce(jsonb_object_agg(m.name, m.target_text) FILTER (WHERE m.to_source), '{}'),
               'add', coalesce(jsonb_object_agg(m.name, jsonb_build_array(m.source_text, m.sum, m.target_add::text)) FILTER (WHERE m.is_sum AND m.target_add IS NOT NULL), '{}')),
               '{"set": {}, "add": {}}'),
           nullif(jsonb_build_object(
               'set', coalesce(jsonb_object_agg(m.name, m.source_text) FILTER (WHERE m.to_target), '{}'),
               'add', coalesce(jsonb_object_agg(m.name, jsonb_build_array(m.target_text, m.sum, m.source_add::text)) FILTER (WHERE m.is_sum AND m.source_add IS NOT NULL), '{}')),
               '{"set": {}, "add": {}}')
      FROM (SELECT c.*, NOT c.is_sum AND c.source_text IS DISTINCT FROM c.target_text
                        AND CASE WHEN c.is_clash THEN winner IS NOT DISTINCT FROM 'target' ELSE c.by_target END AS to_source,
                   NOT c.is_sum AND c.source_text IS DISTINCT FROM c.target_text
                        AND CASE WHEN c.is_clash THEN winner IS NOT DISTINCT FROM 'source' ELSE c.by_source END AS to_target
              FROM rebeco.merge_columns(blocks, source, target) c) m
$$;

-- The two versions of such a row between which the policy decides: as they are at both ends, but for the columns
-- that do not clash, which are as they become. So they differ in those that do.
CREATE FUNCTION rebeco.merge_versions(blocks jsonb, source json, target json, INOUT source_row json, INOUT target_row json)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat('{', string_agg(concat(to_json(s.key), ':', CASE WHEN m.is_sum THEN to_json(m.sum::numeric) WHEN m.by_target AND NOT m.by_source THEN t.value ELSE s.value END), ',' ORDER BY s.n), '}')::json,
           concat('{', string_agg(concat(to_json(s.key), ':', CASE WHEN m.is_sum THEN to_json(m.sum::numeric) WHEN m.by_source AND NOT m.by_target THEN s.value ELSE t.value END), ',' ORDER BY s.n), '}')::json
      FROM json_each(source_row) WITH ORDINALITY s (key, value, n)
      JOIN json_each(target_row) t (key, value) ON t.key = s.key
      LEFT JOIN rebeco.merge_columns(blocks, source, target) m ON m.name = s.key AND NOT m.is_clash
$$;

-- Writes merged rows here: `given` are keys, each with what rebeco.merge_row() says at its end. A counter gets the
-- sum that the round knows, so that it looks the same at both ends; where it was moved since, the difference is
-- added. `anew` removes the rows and puts them in again, for tables whose rows trade unique values. A batch may write a
-- table more than once, and a sum is not what it was when it is added to again: `has_sums`, in all writings but the
-- first of a transaction, leaves counters as they are. Gives the number of rows.
CREATE FUNCTION rebeco.merge_write(capture_number int, given json, anew boolean, has_sums boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
AS $$
DECLARE
    c rebeco.capture;
    t record;
    merged text;
    columns text;
    inputs text;
    changes text;
    written bigint;
    gone text[];
BEGIN
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_number;
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_number);
    merged := format('(SELECT f.*, (e.v -> %s)::jsonb AS doc FROM %s f JOIN json_array_elements($3) WITH ORDINALITY e (v, n) ON e.n = f.n)',
                     cardinality(c.key_columns), t.given);
    SELECT string_agg(quote_ident(v.attname), ', ' ORDER BY v.attnum), string_agg(v.value, ', ' ORDER BY v.attnum),
           string_agg(format('%I = %s', v.attname, v.value), ', ' ORDER BY v.attnum) FILTER (WHERE NOT v.is_fixed)
      INTO columns, inputs, changes
      FROM (SELECT a.attnum, a.attname, k.is_fixed,
                   CASE WHEN k.is_fixed THEN format('x.%I', a.attname)
                        ELSE format('CASE WHEN f.doc -> ''set'' ? %1$L THEN (f.doc -> ''set'' ->> %1$L)::%2$s%3$s ELSE x.%4$I END',
                                    a.attname, k.type,
                                    CASE WHEN rebeco.merge_is_countable(a.atttypid) AND NOT has_sums
                                         THEN format(' WHEN f.doc -> ''add'' ? %1$L THEN CASE WHEN x.%2$I::text = f.doc -> ''add'' -> %1$L ->> 0 THEN (f.doc -> ''add'' -> %1$L ->> 1)::%3$s '
                                                     'ELSE (x.%2$I::numeric + (f.doc -> ''add'' -> %1$L ->> 2)::numeric)::%3$s END', a.attname, a.attname, k.type) END,
                                    a.attname) END AS value
              FROM pg_attribute a
             CROSS JOIN LATERAL (SELECT a.attnum = ANY (c.key_attnums) OR a.attidentity = 'a' AS is_fixed, format_type(a.atttypid, a.atttypmod) AS type) k
             WHERE a.attrelid = c.relid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') v;
    IF NOT anew THEN
        EXECUTE format('UPDATE %s x SET %s FROM %s f WHERE %s', t.relation, changes, merged, t.row_match)
          USING NULL::txid_snapshot, NULL::txid_snapshot, given;
        GET DIAGNOSTICS written = ROW_COUNT;
        RETURN written;
    END IF;
    EXECUTE format('WITH gone AS (DELETE FROM %s x USING %s f WHERE %s RETURNING f.n, x::text AS row) SELECT array_agg(row ORDER BY n) FROM gone',
                   t.relation, t.given, t.row_match)
       INTO gone USING NULL::txid_snapshot, NULL::txid_snapshot, given;
    EXECUTE format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE '
                   'SELECT %3$s FROM (SELECT (g::%1$s).* FROM unnest($4) g) x JOIN %4$s f ON %5$s',
                   c.relid::regclass, columns, inputs, merged, t.row_match)
      USING NULL::txid_snapshot, NULL::txid_snapshot, given, gone;
    GET DIAGNOSTICS written = ROW_COUNT;
    RETURN written;
END
$$;

-- The condition under which a row of the log, l, that came after a round is none of its business: the rows that
-- the round merges here ($3, as rebeco.merge_write() gets them) were changed in other columns than it writes, or
-- added to where it adds. Columns of one block count as one; where columns are not merged one by one, all of them do.
CREATE FUNCTION rebeco.merge_is_beside(capture_number int, given text, log_match text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format($f$EXISTS (
            SELECT 1 FROM %1$s f JOIN json_array_elements($3) WITH ORDINALITY e (v, n) ON e.n = f.n
             WHERE %2$s AND l.cols IS NOT NULL AND (%5$L OR l.cols = '{}' OR (e.v -> %4$s -> 'set')::jsonb = '{}')
               AND NOT EXISTS (SELECT 1 FROM unnest(l.cols) u (attnum) JOIN pg_attribute a ON a.attrelid = %3$s AND a.attnum = u.attnum
                                WHERE (e.v -> %4$s -> 'set')::jsonb ? a.attname OR (e.v -> %4$s -> 'add')::jsonb ? a.attname
                                   OR EXISTS (SELECT 1 FROM jsonb_object_keys((e.v -> %4$s -> 'set')::jsonb) k WHERE %6$L::jsonb ->> k = %6$L::jsonb ->> a.attname))
               AND NOT EXISTS (SELECT 1 FROM unnest(l.added, l.adds) u (attnum, delta) JOIN pg_attribute a ON a.attrelid = %3$s AND a.attnum = u.attnum
                                WHERE u.delta <> 0 AND (e.v -> %4$s -> 'set')::jsonb ? a.attname))$f$,
                  given, log_match, c.relid, cardinality(c.key_columns), m.by_column, rebeco.merge_blocks(capture_number))
      FROM rebeco.capture c JOIN rebeco.merge m ON m.capture_id = c.id WHERE c.id = capture_number
$$;
