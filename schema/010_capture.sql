-- Capture: what writes the keys of changed rows into a table's change log, and what looks after it.
--
-- A captured table has a row in rebeco.capture, two log segments rebeco.log_<id>_0 and _1 of which one
-- is written at a time, one trigger function rebeco.capture_<id>(), and triggers named rebeco_*.
--
-- Always true
-- * A change of a row that commits has its key in one of the two segments, together with the id
--   of its transaction. An update that alters the key has the old and the new one; also where one of them is NULL, while
--   a migration has taken NOT NULL from a column of the key for a moment.
-- * A row of the log with op NULL is a key; 'T': the table was truncated; 'B': the key could not be
--   read, because the table was altered, and the table must be copied again. A table without a key has
--   other rows there: '+' and '-' with a row's image, or 'W' alone (schema/060_image.sql).
-- * The triggers fire for every role and every session, and resolve no name through the writer's
--   search_path. Every function that runs as us pins it with SET, but for the trigger functions of tables where that is safe
--   beyond doubt (rebeco.capture_is_pinned): SET is a sixth of what capture costs a small transaction. Such a function
--   names all that it uses with its schema, operators and types, too, and has nothing that finds an operator by itself
--   (IS DISTINCT FROM, IN, CASE x WHEN). What it calls of other people's might not be as careful: so the
--   columns of the key are of the server's own types, or enums, and compared by the server's =. Transition tables go
--   before every other table of their name.
--   A session that goes from one path to another between two writes of a table has plans made anew each time, which costs
--   30 times of what is saved (tests/bench/README.md). Where that is to be expected the path stays pinned:
--   where a function of the application's sets one, and where two schemas have a table of the same name (a schema for each
--   customer). That is looked at whenever the function is made, so also when the log goes over to its other segment.
-- * The application's statement does not fail because a key column was renamed, retyped or dropped.
--   The function names its columns, but asks rebeco.capture_columns() first whether they are still
--   the ones it was made for. That function is called immutable, with constants: the planner calls
--   it once per session and keeps the answer until the table is altered (the regclass constant ties
--   the plan to the table). So the question costs nothing, and no statement that does not fit is
--   ever parsed. When only names changed, the keys are read by dynamic SQL with the new names until
--   capture is made anew; otherwise 'B' is logged.
-- * What reads the catalogs on a writer's behalf does so with functions that see the present
--   catalogs and not the writer's snapshot, which may be old (REPEATABLE READ).
-- * A trigger's WHEN clause ties the trigger to the view rebeco.log_<id>, and by it to all that the
--   function uses: the segments, rebeco.nap, functions. Who drops one of these needs CASCADE, and that
--   takes the triggers along, so that no trigger is left that can only fail. That part is always true.
-- * In a two-way sync what our own sessions write is kept out: they have set rebeco.applying_depth to 0, the depth of a
--   statement's own rows. What the application's triggers and foreign keys do after that is deeper and not kept out: it is a
--   change of this end, which the other one may not have had. The trigger's function asks for the depth, which is one more
--   there. It is called when the statement ends, though, and what a foreign key has done is at the statement's own depth by then. So where
--   one acts on the table (asks_depth: rebeco.capture_is_acted_on()) the trigger's WHEN asks, which the server makes ready anew for each
--   statement, from text, and that costs as much as the rest of a trigger: one comparison, true as well where nothing or '' is
--   set, with the view named inside of it. That no foreign key has come since which acts on a table whose function asks is
--   looked at before each of our commits (rebeco.two_way_check_actions()): whoever adds one waits for our locks, or we see it.
-- * The capture of a two-way sync logs the time of each change, and whether it was an INSERT. Where another sync reads the
--   table too, what we write is logged with its origin (schema/073_chain.sql). Where rows are merged
--   (schema/092_merge.sql) it also logs which columns an UPDATE has changed, and by how much.
--
-- What remains
-- * Renaming the schema rebeco, or altering the log tables' columns, makes the triggers fail; nobody
--   but us has a reason to.
-- * Dropping or retyping a key column costs a new copy of the table, when something was written after
--   it. Renaming one costs writers 0.3 ms a statement until rebeco.capture_repair().
-- * TRUNCATE of a partition that came after the capture was installed is not noticed before
--   rebeco.capture_repair() gave it a trigger (row changes are). TRUNCATE of one partition reads the
--   partition's keys into the log, and takes that long. In REPEATABLE READ they may not all be seen: then the table is copied
--   again, and in a two-way sync it waits for a person.
-- * A partition that is detached loses the row triggers, and keeps its own one for statements that name it:
--   rebeco.capture_left() says what that does until rebeco.capture_repair() has noticed. The first UPDATE or DELETE of
--   what was detached reads its keys into the log then, and takes that long. Statements that change rows of a
--   partition by its name pay for being asked.
-- * Before PostgreSQL 15 a table with statement triggers of ours cannot be attached as a partition, nor
--   become a child: the server refuses. A table that is to become one is captured in the form row.

-- * A crash of the server empties unlogged tables, and no trigger fires: rebeco.capture_alive is unlogged
--   too, and a capture of such a table that has no row there is lossy.

-- Forms (figures in tests/bench/README.md)
-- * mixed, which plain tables of up to 10 MB have: INSERT and DELETE by statement triggers with transition
--   tables, which cost a fifth of a row trigger for each of many rows, and little more for one; UPDATE by a row
--   trigger, because that sees whether the key has changed, where a statement trigger must bring the old and
--   the new keys together. That saves 4 us where one row is updated, and costs 5 us a row more where many
--   are: of a small table there cannot be many.
-- * statement, all by statement triggers: for larger tables, and where it is asked for. (For each row for which a
--   row trigger is to be called the server also keeps 16 bytes in memory; transition tables go to disk.)
-- * row, where statement triggers do not see every change: on partitioned tables (a row trigger is
--   cloned to all partitions, and fires for statements that name the partition), on tables with
--   inheritance, on tables that are filled by a subscription. And where nothing else is asked for and the server
--   bounds temporary files (temp_file_limit, as hosted databases do): a statement that had room there would
--   fail for its transition tables.

-- One row per capture, until the server crashes.
CREATE UNLOGGED TABLE rebeco.capture_alive (capture_id int PRIMARY KEY);

-- Partitions that have left, or come, of which all keys are in the log already. `since` says where they were then.
-- (No key: two writers may note the same, and neither is to wait. A publication of all tables asks for an identity then.)
CREATE TABLE rebeco.capture_left (capture_id int NOT NULL, partition oid NOT NULL, since text NOT NULL);
ALTER TABLE rebeco.capture_left REPLICA IDENTITY FULL;

-- The present names of a table's columns with these numbers; NULL when one was dropped or has another
-- type than the one given. For the planner, see above; the caller passes constants.
CREATE FUNCTION rebeco.capture_columns(relation regclass, attnums smallint[], types oid[]) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text[] := '{}';
    attnum smallint;
    attname text;
    found_types oid[];
BEGIN
    IF attnums = '{}' THEN
        RETURN '{}';
    END IF;
    FOREACH attnum IN ARRAY attnums LOOP
        attname := (pg_identify_object_as_address('pg_class'::regclass, relation, attnum)).object_names[3];
        IF attname IS NULL OR attname = format('........pg.dropped.%s........', attnum) THEN
            RETURN NULL;
        END IF;
        names := names || attname;
    END LOOP;
    EXECUTE (SELECT format('SELECT ARRAY[%s]', string_agg(format('pg_typeof((NULL::%s).%I)', relation, n.name), ', ' ORDER BY n.ordinal))
               FROM unnest(names) WITH ORDINALITY n (name, ordinal)) INTO found_types;
    RETURN CASE WHEN found_types = types THEN names END;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

-- The statement that logs the keys of what a trigger was called for, when the columns have other
-- names than those the trigger function was made with. In the row form $1 is OLD and $2 is NEW.
CREATE FUNCTION rebeco.capture_renamed(log text, form text, operation text, names text[]) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('INSERT INTO rebeco.%I (%s, xid) SELECT %s, pg_catalog.txid_current() FROM (%s) AS k',
                  log, k.columns, k.columns, s.sources)
      FROM (SELECT string_agg('k' || n.ordinal, ', ' ORDER BY n.ordinal) AS columns,
                   string_agg(format('(r.v).%I AS k%s', n.name, n.ordinal), ', ' ORDER BY n.ordinal) AS of_record,
                   string_agg(format('r.%I AS k%s', n.name, n.ordinal), ', ' ORDER BY n.ordinal) AS of_rows
              FROM unnest(names) WITH ORDINALITY n (name, ordinal)) k
     CROSS JOIN LATERAL (
            SELECT string_agg(CASE form WHEN 'row' THEN format('SELECT %s FROM (SELECT $%s) AS r (v)', k.of_record, o.ordinal)
                                        ELSE format('SELECT %s FROM %s AS r', k.of_rows, o.name) END,
                              ' UNION ' ORDER BY o.ordinal) AS sources
              FROM (VALUES (1, 'old_rows', 'INSERT'), (2, 'new_rows', 'DELETE')) o (ordinal, name, except_in)
             WHERE o.except_in <> operation) s
$$;

-- Logs all keys of a partition that is about to be emptied, or that has come to a captured table
-- with rows in it. 'B' where they cannot be read. Gives the number of keys.
CREATE FUNCTION rebeco.capture_all(capture_id int, log text, partition regclass) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    columns text;
    names text;
    n bigint;
    ours rebeco.capture;
BEGIN
    SELECT * INTO STRICT ours FROM rebeco.capture WHERE id = capture_id;
    IF ours.records <> 'key' THEN
        RETURN rebeco.image_partition(ours, log, partition);
    END IF;
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'rows that came after this transaction''s snapshot are not seen';
    END IF;
    SELECT string_agg('k' || k.ordinal, ', ' ORDER BY k.ordinal), string_agg(quote_ident(k.name), ', ' ORDER BY k.ordinal)
      INTO STRICT columns, names
      FROM rebeco.capture c,
           unnest(rebeco.capture_columns(c.relid::regclass, c.key_attnums, c.key_typids)) WITH ORDINALITY k (name, ordinal)
     WHERE c.id = capture_id;
    EXECUTE format('INSERT INTO rebeco.%I (%s, xid) SELECT %s, txid_current() FROM ONLY %s', log, columns, names, partition);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
EXCEPTION WHEN OTHERS THEN
    EXECUTE format('INSERT INTO rebeco.%I (xid, op) VALUES (txid_current(), ''B'')', log);
    RETURN 1;
END
$$;

-- Where a partition is: whoever attaches or detaches it, or one above it, writes that one's row of pg_class.
CREATE FUNCTION rebeco.capture_place(partition oid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(concat_ws(' ', c.oid, c.xmin), ', ' ORDER BY c.oid) FROM pg_class c
     WHERE c.oid = partition OR c.oid IN (SELECT * FROM pg_partition_ancestors(partition))
$$;

CREATE FUNCTION rebeco.capture_is_logged(capture_id int, partition oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT 1 FROM rebeco.capture_left l
                    WHERE l.capture_id = capture_is_logged.capture_id AND l.partition = capture_is_logged.partition AND l.since = rebeco.capture_place(l.partition))
$$;

-- Called before rows of a partition that has left are changed or removed, until capture_repair() has seen that it has. All of
-- them were part of the table, and are at the target. The server has dropped the row triggers with the partition, so that
-- nobody else logs which rows go, and later nobody can tell which there were: so all keys are logged now, in the
-- transaction that makes the change. Once that is committed it need not be done again: a row that comes after the
-- detaching was never part of the table, and what is logged has been read, or will be, in the table as it is without the partition.
-- A partition that has partitions, and was named by the statement, is called for in their stead: theirs are not.
-- `since` tells one detaching from the next. In a snapshot that may be older than the detaching it is not noted.
-- Where images are logged there is nothing to do: capture_repair() has such a table copied again.
CREATE FUNCTION rebeco.capture_left(capture_id int, log text, partition oid) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_noted boolean := current_setting('transaction_isolation') IN ('read committed', 'read uncommitted');
    place text := rebeco.capture_place(partition);
BEGIN
    IF is_noted AND rebeco.capture_is_logged(capture_id, partition) THEN
        RETURN;
    END IF;
    PERFORM rebeco.capture_all(capture_id, log, r.oid)
       FROM rebeco.tree(partition) r (oid) JOIN pg_class c ON c.oid = r.oid WHERE c.relkind = 'r';
    IF is_noted THEN
        INSERT INTO rebeco.capture_left (capture_id, partition, since) VALUES (capture_id, partition, place);
    END IF;
    IF pg_sequence_last_value('rebeco.nap'::regclass) < 100 THEN -- as each capture does
        PERFORM rebeco.capture_wake();
    END IF;
END
$$;

-- What the types of a log's columns, and the operators of its key, are called now. Somebody may rename them, or move them to another
-- schema (ALTER EXTENSION citext SET SCHEMA, ALTER TYPE .. RENAME): the log and the triggers do not mind, but statements are made of the names.
CREATE FUNCTION rebeco.capture_names(c rebeco.capture, OUT types text[], OUT equals text[])
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    types := ARRAY(SELECT coalesce(rebeco.log_type(a.atttypid, a.attcollation), k.type)
                     FROM unnest(c.key_types) WITH ORDINALITY k (type, n)
                     LEFT JOIN pg_attribute a ON a.attrelid = to_regclass(format('rebeco.log_%s_0', c.id)) AND a.attname = 'k' || k.n
                    ORDER BY k.n);
    equals := ARRAY(SELECT coalesce(rebeco.operator_name(k.operator), k.equals)
                      FROM unnest(c.key_operators, c.key_equals) WITH ORDINALITY k (operator, equals, n) ORDER BY k.n);
END
$$;

-- The key's columns in one log, and the same in another one (l) from which it is to be filled; NULL where that has not all of them.
CREATE FUNCTION rebeco.capture_same_keys(giver rebeco.capture, taker rebeco.capture, OUT columns text, OUT keys text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg('k' || t.ordinal, ', ' ORDER BY t.ordinal),
           CASE WHEN giver.records = 'key' AND bool_and(g.ordinal IS NOT NULL) THEN string_agg('l.k' || g.ordinal, ', ' ORDER BY t.ordinal) END
      FROM unnest(taker.key_columns, (rebeco.capture_names(taker)).types) WITH ORDINALITY t (name, type, ordinal)
      LEFT JOIN unnest(giver.key_columns, (rebeco.capture_names(giver)).types) WITH ORDINALITY g (name, type, ordinal) ON g.name = t.name AND g.type = t.type
$$;

-- The captures of partitioned tables above a partition.
CREATE FUNCTION rebeco.capture_above(partition oid) RETURNS SETOF rebeco.capture
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE up AS (
        SELECT i.inhparent AS oid FROM pg_inherits i WHERE i.inhrelid = partition
        UNION ALL
        SELECT i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.oid
    )
    SELECT h.* FROM up JOIN rebeco.capture h ON h.relid = up.oid AND h.is_partitioned AND h.records = 'key'
$$;

-- A table has become a partition of another captured one, or has gone over to one. What was logged of it by the capture that
-- it had, and is not read yet, is logged there, too: a row that was removed before is in no partition any more, and its key
-- nowhere else. Keys of other rows do no harm.
CREATE FUNCTION rebeco.capture_hand_over(capture_id int, partition oid) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c rebeco.capture;
    heir rebeco.capture;
    heir_log text;
    columns text;
    keys text;
    unread text;
BEGIN
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_id;
    FOR heir IN SELECT h.* FROM rebeco.capture_above(partition) h WHERE h.id <> c.id AND to_regclass('rebeco.log_' || c.id) IS NOT NULL LOOP
        heir_log := format('log_%s_%s', heir.id, heir.segment);
        SELECT s.columns, s.keys INTO columns, keys FROM rebeco.capture_same_keys(c, heir) s;
        unread := format('FROM rebeco.log_%1$s l WHERE EXISTS (SELECT 1 FROM rebeco.consumer_table t JOIN rebeco.consumer r ON r.consumer = t.consumer '
                         'WHERE t.capture_id = %1$s AND txid_visible_in_snapshot(l.xid, coalesce(t.snapshot, r.snapshot)) IS NOT TRUE)', c.id);
        IF keys IS NOT NULL THEN
            EXECUTE format('INSERT INTO rebeco.%I (%s, xid) SELECT %s, txid_current() %s AND op IS NULL', heir_log, columns, keys, unread);
        END IF;
        EXECUTE format('INSERT INTO rebeco.%I (xid, op) SELECT txid_current(), ''B'' %s%s LIMIT 1', heir_log, unread,
                       CASE WHEN keys IS NOT NULL THEN ' AND op IS NOT NULL' END);
    END LOOP;
END
$$;

-- The other way round: a partition has gone over to another captured table, and statements that name that one have removed
-- rows of it before capture_repair() had seen that. Its log knows them; ours must: these rows were part of our table. What it
-- has logged since the partition came is logged here, and some more: the transaction that brought it may have begun long before.
-- Where a segment of it was emptied since, or made, it does not go back as far: 'B'. (Who empties a table writes its
-- row of pg_class; age() tells which of two transactions is later.)
CREATE FUNCTION rebeco.capture_take_back(capture_id int, log text, partition oid) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c rebeco.capture;
    heir rebeco.capture;
    columns text;
    keys text;
    came_ago bigint; -- transactions
BEGIN
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_id;
    FOR heir IN SELECT h.* FROM rebeco.capture_above(partition) h WHERE h.id <> c.id AND c.records = 'key' LOOP
        SELECT s.columns, s.keys INTO columns, keys FROM rebeco.capture_same_keys(heir, c) s;
        SELECT min(age(i.xmin)) INTO came_ago FROM pg_inherits i WHERE i.inhrelid IN (SELECT * FROM pg_partition_ancestors(partition));
        IF keys IS NULL OR EXISTS (SELECT 1 FROM pg_class r WHERE age(r.xmin) <= came_ago
                                      AND r.oid IN (to_regclass(format('rebeco.log_%s_0', heir.id)), to_regclass(format('rebeco.log_%s_1', heir.id)))) THEN
            EXECUTE format('INSERT INTO rebeco.%I (xid, op) VALUES (txid_current(), ''B'')', log);
            CONTINUE;
        END IF;
        EXECUTE format('INSERT INTO rebeco.%I (%s, xid) SELECT %s, txid_current() FROM rebeco.log_%s l WHERE op IS NULL AND xid >= txid_current() - %s',
                       log, columns, keys, heir.id, came_ago + 1000000);
        EXECUTE format('INSERT INTO rebeco.%I (xid, op) SELECT txid_current(), ''B'' FROM rebeco.log_%s l WHERE op IS NOT NULL AND xid >= txid_current() - %s LIMIT 1',
                       log, heir.id, came_ago + 1000000);
    END LOOP;
END
$$;

-- The key in the text of a trigger's function: the log's columns, the values of transition tables' rows (r), of OLD
-- and of NEW, and the condition that the last two are the same. It names nothing that somebody may rename or move to another schema
-- (ALTER EXTENSION citext SET SCHEMA; ALTER TYPE .. RENAME), since every UPDATE would fail then: such keys are compared as bytes, and
-- one that is only written in another way is logged twice.
CREATE FUNCTION rebeco.capture_keys(c rebeco.capture, OUT columns text, OUT of_rows text, OUT of_old text, OUT of_new text, OUT same text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    SELECT string_agg('k' || k.ordinal, ', ' ORDER BY k.ordinal),
           string_agg(format('r.%I', k.name), ', ' ORDER BY k.ordinal),
           string_agg(format('OLD.%I', k.name), ', ' ORDER BY k.ordinal),
           string_agg(format('NEW.%I', k.name), ', ' ORDER BY k.ordinal),
           string_agg(CASE WHEN c.key_equals[k.ordinal] = 'OPERATOR(pg_catalog.=)' AND d.is_fixed IS NOT FALSE
                           THEN format('OLD.%1$I%2$s OPERATOR(pg_catalog.=) NEW.%1$I%2$s', k.name, d.cast)
                           ELSE format('ROW(OLD.%1$I)::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW.%1$I)::pg_catalog.record', k.name) END,
                      ' AND ' ORDER BY k.ordinal)
      INTO columns, of_rows, of_old, of_new, same
      FROM unnest(c.key_columns) WITH ORDINALITY k (name, ordinal)
      -- The server finds no operator for a domain over an enum, an array or a range.
      LEFT JOIN LATERAL (SELECT '::' || c.key_types[k.ordinal] AS cast,
                                rebeco.base_type(t.oid) < 16384 AND strpos(c.key_types[k.ordinal], ' COLLATE ') = 0 AS is_fixed FROM pg_type t
                          WHERE t.oid = c.key_typids[k.ordinal] AND t.typtype = 'd') d ON true;
END
$$;

-- Whether a capture's function has to SET search_path: the head of this file says why, and why not.
CREATE FUNCTION rebeco.capture_is_pinned(c rebeco.capture) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN c.records <> 'key' OR c.is_partitioned OR c.passes_on
        OR EXISTS (SELECT 1 FROM rebeco.merge m WHERE m.capture_id = c.id)
        OR EXISTS (SELECT 1 FROM unnest(c.key_typids, c.key_equals) k (typid, equals)
                     LEFT JOIN LATERAL (SELECT y.oid, y.typtype, y.typelem FROM pg_type y WHERE y.oid = k.typid OFFSET 0) t ON true
                     LEFT JOIN pg_type e ON e.oid = t.typelem
                    WHERE k.equals <> 'OPERATOR(pg_catalog.=)'
                       OR (t.typtype = 'e' OR t.oid < 16384 AND t.typtype IN ('b', 'r', 'm') AND coalesce(e.typtype, 'b') = 'b') IS NOT TRUE)
        OR EXISTS (SELECT 1 FROM pg_proc p -- its later columns only of the functions that count: of thousands that costs most
                    WHERE p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'rebeco'::regnamespace)
                      AND EXISTS (SELECT 1 FROM unnest((SELECT f.proconfig FROM pg_proc f WHERE f.oid = p.oid)) s (setting)
                                   WHERE s.setting LIKE 'search!_path=%' ESCAPE '!')
                      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))
        OR EXISTS (WITH theirs AS MATERIALIZED (SELECT n.oid FROM pg_namespace n
                                                 WHERE left(n.nspname, 3) <> 'pg_' AND n.nspname NOT IN ('information_schema', 'rebeco'))
                   SELECT 1 FROM theirs s JOIN theirs v ON v.oid > s.oid
                     JOIN pg_class t ON t.relnamespace = s.oid AND t.relkind IN ('r', 'p')
                     JOIN pg_class u ON u.relnamespace = v.oid AND u.relkind IN ('r', 'p') AND u.relname = t.relname);
END
$$;

-- Makes, or makes anew, the trigger function of a captured table, and records what it looks like.
-- All it needs is in the capture's row: the table may have been altered meanwhile.
CREATE FUNCTION rebeco.capture_function(capture_id int, segment_now int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c rebeco.capture;
    log text := format('log_%s_%s', capture_id, segment_now);
    is_partitioned boolean;
    columns text;
    keys text;
    keys_of_old text;
    keys_of_new text;
    same text;
    on_insert text;
    on_update text;
    on_delete text;
    on_truncate text;
    on_unknown text;
    on_renamed text;
    new_column text;
    new_value text;
    first text;
BEGIN
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_id;
    first := CASE WHEN c.passes_on THEN rebeco.chain_origin()
                  WHEN c.is_two_way AND NOT c.asks_depth THEN $f$
    IF pg_catalog.to_hex(pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.=) pg_catalog.current_setting('rebeco.applying_depth', true) THEN
        RETURN NULL;
    END IF;$f$
                  ELSE '' END;
    is_partitioned := c.is_partitioned;
    new_column := CASE WHEN c.is_two_way THEN ', is_new' ELSE '' END;
    new_value := CASE WHEN c.is_two_way THEN ', true' ELSE '' END;
    SELECT k.columns, k.of_rows, k.of_old, k.of_new, k.same INTO columns, keys, keys_of_old, keys_of_new, same FROM rebeco.capture_keys(c) k;

    on_truncate := format($f$INSERT INTO rebeco.%I (xid, op) VALUES (pg_catalog.txid_current(), 'T');$f$, log);
    IF is_partitioned THEN
        IF c.records = 'key' THEN
            first := first || format($f$
    IF TG_LEVEL = 'STATEMENT' AND TG_OP <> 'TRUNCATE' THEN
        IF NOT EXISTS (SELECT 1 FROM pg_partition_ancestors(TG_RELID) a (oid) WHERE a.oid = %s::oid) THEN
            PERFORM rebeco.capture_left(%s, %L, TG_RELID);
        END IF;
        RETURN NULL;
    END IF;$f$, c.relid, c.id, log);
        END IF;
        -- TRUNCATE of the table comes by here for the table first, and then for each partition: what
        -- was in them is dealt with by then, and so is what this transaction wrote since.
        on_truncate := format($f$IF TG_RELID = %1$s THEN
            %2$s
            PERFORM set_config('rebeco.truncated_%3$s', pg_catalog.txid_current()::text, true);
        ELSIF current_setting('rebeco.truncated_%3$s', true) IS DISTINCT FROM pg_catalog.txid_current()::text THEN
            PERFORM rebeco.capture_all(%3$s, %4$L, TG_RELID);
        END IF;$f$, c.relid, on_truncate, c.id, log);
    END IF;
    IF c.form = 'row' THEN
        on_insert := format('INSERT INTO rebeco.%I (%s, xid%s) VALUES (%s, pg_catalog.txid_current()%s);', log, columns, new_column, keys_of_new, new_value);
        on_delete := format('INSERT INTO rebeco.%I (%s, xid) VALUES (%s, pg_catalog.txid_current());', log, columns, keys_of_old);
    ELSE
        on_insert := format('INSERT INTO rebeco.%I (%s, xid%s) SELECT %s, pg_catalog.txid_current()%s FROM new_rows AS r;', log, columns, new_column, keys, new_value);
        on_delete := format('INSERT INTO rebeco.%I (%s, xid) SELECT %s, pg_catalog.txid_current() FROM old_rows AS r;', log, columns, keys);
    END IF;
    IF c.form = 'statement' THEN
        on_update := format('INSERT INTO rebeco.%I (%s, xid) SELECT k.*, pg_catalog.txid_current() FROM (SELECT %s FROM old_rows AS r UNION SELECT %s FROM new_rows AS r) AS k;',
                            log, columns, keys, keys);
    ELSE
        on_update := format($f$INSERT INTO rebeco.%1$I (%2$s, xid) VALUES (%3$s, pg_catalog.txid_current());
        IF (%4$s) IS NOT TRUE THEN
            INSERT INTO rebeco.%1$I (%2$s, xid%5$s) VALUES (%6$s, pg_catalog.txid_current()%7$s);
        END IF;$f$, log, columns, keys_of_old, same, new_column, keys_of_new, new_value);
    END IF;
    on_unknown := format($f$IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW' THEN
                INSERT INTO rebeco.%1$I (xid, op) VALUES (pg_catalog.txid_current(), 'B');
            ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
                INSERT INTO rebeco.%1$I (xid, op) SELECT pg_catalog.txid_current(), 'B' FROM old_rows AS r LIMIT 1;
            ELSE
                INSERT INTO rebeco.%1$I (xid, op) SELECT pg_catalog.txid_current(), 'B' FROM new_rows AS r LIMIT 1;
            END IF;$f$, log);
    on_renamed := format($f$IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW' THEN
                EXECUTE rebeco.capture_renamed(%1$L, 'row', TG_OP, names) USING OLD, NEW;
            ELSE
                EXECUTE rebeco.capture_renamed(%1$L, 'statement', TG_OP, names);
            END IF;$f$, log);
    on_update := rebeco.merge_on_update(c, log, on_update);
    IF c.records <> 'key' THEN
        SELECT i.on_insert, i.on_update, i.on_delete, i.on_truncate, i.on_unknown, i.on_unknown
          INTO on_insert, on_update, on_delete, on_truncate, on_unknown, on_renamed FROM rebeco.image_capture(c, log) i;
    END IF;

    EXECUTE format($f$
CREATE OR REPLACE FUNCTION rebeco.capture_%1$s() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER%3$s
AS %2$L$f$, c.id, format($f$
#variable_conflict use_column
DECLARE
    names pg_catalog.text[];
BEGIN%12$s
    IF %11$s AND TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        %7$s
    ELSIF %11$s AND TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        %6$s
    ELSIF %11$s AND TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        %8$s
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        %1$s
    ELSE
        names := rebeco.capture_columns(%2$L::pg_catalog.regclass, %3$L::pg_catalog.int2[], %4$L::pg_catalog.oid[]);
        IF names IS NULL THEN
            %9$s
        ELSE
            %10$s
            found := true;
        END IF;
    END IF;
    IF found AND pg_catalog.pg_sequence_last_value('rebeco.nap'::pg_catalog.regclass) OPERATOR(pg_catalog.<) 100 THEN
        PERFORM rebeco.capture_wake();
    END IF;
    RETURN NULL;
END
$f$, on_truncate, c.relid, c.key_attnums, c.key_typids, c.key_columns, on_insert, on_update, on_delete, on_unknown, on_renamed,
    format('rebeco.capture_columns(%L::pg_catalog.regclass, %L::pg_catalog.int2[], %L::pg_catalog.oid[]) OPERATOR(pg_catalog.=) %L::pg_catalog.text[]', c.relid, c.key_attnums, c.key_typids, c.key_columns), first),
    CASE WHEN rebeco.capture_is_pinned(c) THEN E'\n    SET search_path = pg_catalog, pg_temp' ELSE '' END);

    UPDATE rebeco.capture SET segment = segment_now, function_md5 = rebeco.capture_function_md5(capture_id),
           function_xmin = (SELECT p.xmin::text FROM pg_proc p WHERE p.oid = format('rebeco.capture_%s()', capture_id)::regprocedure)
     WHERE id = capture_id;
END
$$;

-- Called by a writer that finds the daemon asleep: once per transaction, so that one transaction
-- that lasts does not use up the wake-ups of all others. NOTIFY would make PREPARE TRANSACTION
-- fail, so there is none where that is possible: the daemon looks at the sequence itself. Of two writers that count at once
-- one is not counted, and one that counts on while the daemon wakes up may have some more announce themselves.
CREATE FUNCTION rebeco.capture_wake() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('rebeco.woken', true) IS DISTINCT FROM txid_current()::text THEN
        PERFORM set_config('rebeco.woken', txid_current()::text, true), setval('rebeco.nap', pg_sequence_last_value('rebeco.nap'::regclass) + 1);
        IF current_setting('max_prepared_transactions') = '0' THEN
            PERFORM pg_notify('rebeco_wake', '');
        END IF;
    END IF;
END
$$;

-- Waits until a writer comes by, for so many milliseconds at most; true when one did. For where
-- writers send no NOTIFY. Asking in here costs a tenth of asking from afar.
CREATE FUNCTION rebeco.capture_await(most_ms int, every_ms int) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    FOR look IN 0 .. most_ms / every_ms LOOP
        IF coalesce(pg_sequence_last_value('rebeco.nap'::regclass), 1000) <> 1 THEN
            RETURN true;
        END IF;
        PERFORM pg_sleep(every_ms / 1000.0);
    END LOOP;
    RETURN false;
END
$$;

CREATE FUNCTION rebeco.capture_function_md5(capture_id int) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT md5(concat_ws('|', p.prosrc, p.prosecdef, p.proconfig::text, p.proowner))
              FROM pg_proc p
             WHERE p.oid = to_regprocedure('rebeco.capture_' || capture_id || '()'));
END
$$;

-- Our triggers on a table and its partitions: table, name, state, and the transaction that made or
-- last altered them, so that a trigger that was disabled for a while is noticed. The plan is made when the database has few
-- triggers as a rule, and kept while thousands of ours are made: never by reading all of them.
CREATE FUNCTION rebeco.capture_triggers(capture_id int, relation oid) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
AS $$
BEGIN
    RETURN (
        SELECT coalesce(string_agg(concat_ws(' ', t.tgrelid, t.tgname, t.tgenabled, t.xmin), ', ' ORDER BY t.tgrelid, t.tgname), '')
          FROM rebeco.tree(relation) tree (oid) JOIN pg_trigger t ON t.tgrelid = tree.oid
         WHERE t.tgfoid = to_regprocedure('rebeco.capture_' || capture_id || '()'));
END
$$;

-- Captures a table, and gives the capture's number. `form` is auto, row or statement. What is there
-- and intact stays as it is. What is not is made anew, and then the table must be copied again: the
-- caller asks rebeco.capture_state() before.
-- Another sync may read this table's log. What it has not read yet goes with the old log; it notices
-- by the log's oid, which it knows, that this is another one, and copies the table again.
-- One table per transaction, with a short lock_timeout: the triggers are made last, since they
-- lock the table against writers (SHARE ROW EXCLUSIVE; where old triggers must go, ACCESS
-- EXCLUSIVE) until the transaction ends.
-- `records` is what its log holds: key, image (the table has no key; key_index does not matter then), or
-- nothing but that there was a change. Captures of another database, from a dump, go first (schema/108_by_hand.sql).
CREATE FUNCTION rebeco.capture_install(relation oid, key_index oid, form text, records text DEFAULT 'key', two_way boolean DEFAULT false) RETURNS int
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
DECLARE
    c rebeco.capture;
    wanted rebeco.capture;
    is_there boolean;
BEGIN
    wanted := rebeco.capture_plan(relation, key_index, form, records);
    PERFORM rebeco.capture_drop_strangers(relation);
    SELECT * INTO c FROM rebeco.capture WHERE relid = relation FOR UPDATE;
    is_there := FOUND;
    IF NOT is_there THEN
        INSERT INTO rebeco.capture (relid, table_schema, table_name, form, key_columns, key_index, key_types,
                                    key_attnums, key_typids, key_operators, key_equals, records, is_partitioned, is_two_way, function_md5, triggers)
        VALUES (relation, wanted.table_schema, wanted.table_name, wanted.form, wanted.key_columns, wanted.key_index, wanted.key_types,
                wanted.key_attnums, wanted.key_typids, wanted.key_operators, wanted.key_equals, wanted.records, wanted.is_partitioned, two_way, '', '')
        ON CONFLICT (relid) DO NOTHING
        RETURNING * INTO c;
        IF NOT FOUND THEN -- two syncs begin with the same table at the same moment
            SELECT * INTO STRICT c FROM rebeco.capture WHERE relid = relation FOR UPDATE;
            is_there := true;
        END IF;
    END IF;
    IF is_there THEN
        -- Where others read it, it serves both: nobody loses a log for it that is whole.
        two_way := two_way OR (c.is_two_way AND EXISTS (SELECT 1 FROM rebeco.consumer_table t WHERE t.capture_id = c.id));
        IF two_way AND NOT c.is_two_way AND c.records = 'key' AND rebeco.capture_is_intact(c.id) IS NULL THEN
            PERFORM rebeco.chain_widen(c.id);
            SELECT * INTO STRICT c FROM rebeco.capture WHERE id = c.id;
        END IF;
        -- What was chosen once stays: the table's size may have chosen something else since.
        IF form = 'auto' AND c.records = wanted.records AND 'row' NOT IN (c.form, wanted.form) THEN
            wanted.form := c.form;
        END IF;
        IF c.key_columns = wanted.key_columns AND c.form = wanted.form AND c.records = wanted.records AND c.is_two_way = two_way AND rebeco.capture_is_intact(c.id) IS NULL THEN
            RETURN c.id;
        END IF;
        -- The table is copied again; a partition that has left is not a part of it any more, and its next table has to know.
        PERFORM rebeco.capture_hand_over(c.id, p.oid) FROM rebeco.capture_departed(c) p WHERE c.is_partitioned;
        PERFORM rebeco.capture_drop_triggers(c.id);
        PERFORM rebeco.capture_drop_log(c.id);
        DELETE FROM rebeco.capture_partition p WHERE p.capture_id = c.id;
        UPDATE rebeco.capture u
           SET table_schema = wanted.table_schema, table_name = wanted.table_name, form = wanted.form,
               key_columns = wanted.key_columns, key_index = wanted.key_index, key_types = wanted.key_types,
               key_attnums = wanted.key_attnums, key_typids = wanted.key_typids, key_operators = wanted.key_operators, key_equals = wanted.key_equals,
               records = wanted.records, is_partitioned = wanted.is_partitioned, is_two_way = two_way, installed_at = now()
         WHERE u.id = c.id RETURNING u.* INTO c;
    END IF;
    PERFORM rebeco.capture_create_log(c.id, c.key_types, c.records, c.is_two_way);
    IF c.passes_on THEN
        PERFORM rebeco.chain_defaults(c);
    END IF;
    PERFORM rebeco.capture_create(c.id, 0);
    INSERT INTO rebeco.capture_alive (capture_id) VALUES (c.id) ON CONFLICT DO NOTHING;
    RETURN c.id;
END
$$;

-- What the capture of a table would be: its row, without number and state. An error says why a
-- table, or an index as its key, will not do.
CREATE FUNCTION rebeco.capture_plan(relation oid, key_index oid, form_wanted text, records text) RETURNS rebeco.capture
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted rebeco.capture;
    needs_row boolean;
    is_large boolean;
    is_bounded boolean;
BEGIN
    SELECT n.nspname, c.relname, c.relkind = 'p', rebeco.capture_needs_row(c.oid), pg_relation_size(c.oid) > 10e6
      INTO wanted.table_schema, wanted.table_name, wanted.is_partitioned, needs_row, is_large
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = relation AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't';
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not a table that can be captured', relation::regclass USING ERRCODE = 'wrong_object_type';
    END IF;
    IF form_wanted NOT IN ('auto', 'row', 'statement') OR form_wanted IS NULL THEN
        RAISE EXCEPTION 'capture has the forms auto, row and statement, not %', form_wanted USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- What is captured otherwise already stays so: another sync may read it.
    is_bounded := current_setting('temp_file_limit') <> '-1' AND NOT EXISTS (SELECT 1 FROM rebeco.capture c WHERE c.relid = relation AND c.form <> 'row');
    wanted.form := CASE WHEN form_wanted = 'row' OR needs_row OR form_wanted = 'auto' AND is_bounded THEN 'row'
                        WHEN form_wanted = 'statement' OR records <> 'key' OR is_large THEN 'statement'
                        ELSE 'mixed' END;
    wanted.records := records;
    IF records <> 'key' THEN
        SELECT '', '{}', '{}', coalesce(array_agg(k.name ORDER BY k.ordinal), '{}'), coalesce(array_agg(k.type ORDER BY k.ordinal), '{}'),
               coalesce(array_agg(k.attnum ORDER BY k.ordinal), '{}'), coalesce(array_agg(k.typid ORDER BY k.ordinal), '{}')
          INTO wanted.key_index, wanted.key_operators, wanted.key_equals, wanted.key_columns, wanted.key_types, wanted.key_attnums, wanted.key_typids
          FROM rebeco.image_columns(relation) k
         WHERE records = 'image';
        RETURN wanted;
    END IF;

    SELECT i.relname, array_agg(k.name ORDER BY k.ordinal), array_agg(k.type ORDER BY k.ordinal),
           array_agg(k.attnum ORDER BY k.ordinal), array_agg(k.typid ORDER BY k.ordinal),
           array_agg(k.operator ORDER BY k.ordinal), array_agg(rebeco.operator_name(k.operator) ORDER BY k.ordinal)
      INTO wanted.key_index, wanted.key_columns, wanted.key_types, wanted.key_attnums, wanted.key_typids, wanted.key_operators, wanted.key_equals
      FROM pg_class i, rebeco.capture_key(relation, key_index) k
     WHERE i.oid = key_index
     GROUP BY i.relname;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'index % is no key of %', key_index::regclass, relation::regclass
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A key is a valid unique index on columns that are NOT NULL, without expressions and predicate.';
    END IF;
    RETURN wanted;
END
$$;

-- The key columns of an index, in its order; none when it cannot be the key of the table.
--   type     what the log's column gets: below domains, without length, with the column's collation
--   operator the one with which the index finds equal values; spans of a key WITHOUT OVERLAPS it finds by &&, which is no such one
CREATE FUNCTION rebeco.capture_key(relation oid, key_index oid)
    RETURNS TABLE (ordinal int, name text, type text, attnum smallint, typid oid, operator oid)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT k.n, a.attname::text,
           rebeco.log_type(b.oid, a.attcollation),
           a.attnum, a.atttypid, e.operator
      FROM (SELECT i.*, generate_series(1, i.indnkeyatts) AS n FROM pg_index i
             WHERE i.indexrelid = key_index AND i.indrelid = relation AND rebeco.index_is_key(i.indexrelid)) k
      JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.indkey[k.n - 1]
      JOIN pg_type b ON b.oid = rebeco.base_type(a.atttypid)
     CROSS JOIN LATERAL (SELECT m.amopopr
                           FROM pg_opclass c
                           JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amopstrategy = 3 AND m.amoppurpose = 's'
                                         AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
                          WHERE c.oid = k.indclass[k.n - 1] AND NOT k.indisexclusion
                         UNION ALL
                         SELECT rebeco.type_operator(b.oid) WHERE k.indisexclusion) e (operator)
     WHERE e.operator IS NOT NULL;
END
$$;

-- The form that a capture has: row where statement triggers were asked for and would miss changes.
CREATE FUNCTION rebeco.capture_form(capture_id int) RETURNS text
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.form FROM rebeco.capture c WHERE c.id = capture_id
$$;

-- Whether statement triggers would miss changes of the table.
CREATE FUNCTION rebeco.capture_needs_row(relation oid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM pg_class WHERE oid = relation AND relkind = 'p')
        OR EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = relation)
        OR EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = relation)
        OR EXISTS (SELECT 1 FROM pg_subscription_rel WHERE srrelid = relation);
END
$$;

-- The two segments of a change log, and the view of both. Nothing is ever deleted from a segment one
-- by one, so that autovacuum has no business there. The BRIN index lets a batch read the end of a log
-- that could not be emptied for hours; rebeco.log_summarize() keeps it away from the end that is
-- written, so that an insert only finds out that there is no summary to be kept up to date: 2 us
-- a statement. A million rows: 6 ms instead of 200 to 300 (tests/bench/README.md).
CREATE FUNCTION rebeco.capture_create_log(capture_id int, types text[], records text, two_way boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF records = 'image' THEN
        PERFORM pg_current_wal_insert_lsn(); -- some services refuse it: that must not be found out by who writes to the table
    END IF;
    FOR segment IN 0..1 LOOP
        EXECUTE format('CREATE TABLE rebeco.log_%s_%s (%sxid bigint NOT NULL, op "char"%s%s) WITH (fillfactor = 100, autovacuum_enabled = false, toast.autovacuum_enabled = false)',
                       capture_id, segment,
                       (SELECT string_agg(format('k%s %s, ', k.ordinal, k.type), '' ORDER BY k.ordinal)
                          FROM unnest(types) WITH ORDINALITY k (type, ordinal)),
                       CASE WHEN records = 'image' THEN ', ord bigint NOT NULL DEFAULT (pg_catalog.pg_current_wal_insert_lsn() OPERATOR(pg_catalog.-) ''0/0''::pg_catalog.pg_lsn)::bigint' END,
                       CASE WHEN two_way THEN ', at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), is_new boolean, again boolean, origin text' END);
        EXECUTE format('ALTER TABLE rebeco.log_%s_%s REPLICA IDENTITY FULL', capture_id, segment); -- as of capture_left
        EXECUTE format('CREATE INDEX log_%1$s_%2$s_xid ON rebeco.log_%1$s_%2$s USING brin (xid) WITH (pages_per_range = 4, autosummarize = off)',
                       capture_id, segment);
        PERFORM rebeco.log_protect(capture_id, format('rebeco.log_%s_%s', capture_id, segment));
    END LOOP;
    PERFORM rebeco.capture_create_view(capture_id);
END
$$;

CREATE FUNCTION rebeco.capture_create_view(capture_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE VIEW rebeco.log_%1$s AS SELECT * FROM rebeco.log_%1$s_0 UNION ALL SELECT * FROM rebeco.log_%1$s_1 WHERE %2$s',
                   capture_id,
                   (SELECT string_agg(format('%L::%s IS NOT NULL', u.name, u.type), ' AND ')
                      FROM (VALUES ('rebeco.nap', 'regclass'), ('rebeco.capture_wake()', 'regprocedure'),
                                   ('rebeco.capture_columns(regclass,smallint[],oid[])', 'regprocedure'),
                                   ('rebeco.capture_renamed(text,text,text,text[])', 'regprocedure'),
                                   ('rebeco.merge_fits(regclass,smallint[],oid[],text[])', 'regprocedure'),
                                   ('rebeco.capture_all(int,text,regclass)', 'regprocedure'),
                                   ('rebeco.capture_left(int,text,oid)', 'regprocedure'),
                                   ('rebeco.image_touch(int,text)', 'regprocedure'), ('rebeco.image_truncate(int,text,regclass)', 'regprocedure'),
                                   ('rebeco.image_gone(int,text,regclass)', 'regprocedure')) u (name, type)));
END
$$;

-- Which change log a capture has: another number, another log. Asked as the catalogs are now, and
-- not as they are in the caller's snapshot.
CREATE FUNCTION rebeco.log_oid(capture_id int) RETURNS oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT to_regclass(format('rebeco.log_%s_0', capture_id))::oid
$$;

CREATE FUNCTION rebeco.capture_drop_log(capture_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('DROP VIEW IF EXISTS rebeco.log_%s', capture_id);
    EXECUTE format('DROP TABLE IF EXISTS rebeco.log_%s_0, rebeco.log_%1$s_1', capture_id);
END
$$;

-- Does a foreign key act on the table's rows when what they refer to goes, or changes?
CREATE FUNCTION rebeco.capture_is_acted_on(relation oid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = relation AND k.contype = 'f'
                      AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')));
END
$$;

-- Function and triggers of a capture that has none.
CREATE FUNCTION rebeco.capture_create(capture_id int, segment_now int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE rebeco.capture c SET asks_depth = c.is_two_way AND (c.passes_on OR c.is_partitioned OR c.records <> 'key' OR rebeco.capture_is_acted_on(c.relid))
     WHERE c.id = capture_id;
    PERFORM rebeco.chain_tell_acted(capture_id);
    PERFORM rebeco.merge_make_room(m.capture_id) FROM rebeco.merge m WHERE m.capture_id = capture_create.capture_id;
    PERFORM rebeco.capture_function(capture_id, segment_now);
    -- Who makes a partition has the triggers made for it, and must be allowed to, whatever the default privileges are.
    EXECUTE format('GRANT EXECUTE ON FUNCTION rebeco.capture_%s() TO PUBLIC', capture_id);
    PERFORM rebeco.capture_create_triggers(capture_id, c.relid) FROM rebeco.capture c WHERE c.id = capture_id;
END
$$;

CREATE FUNCTION rebeco.capture_create_triggers(capture_id int, relation oid) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
DECLARE
    t record;
    form_now text;
BEGIN
    SELECT form INTO STRICT form_now FROM rebeco.capture WHERE id = capture_id;
    FOR t IN SELECT * FROM (VALUES
            ('rebeco_insert', 'AFTER INSERT', 'REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT', ARRAY['statement', 'mixed']),
            ('rebeco_update', 'AFTER UPDATE', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT', ARRAY['statement']),
            ('rebeco_update', 'AFTER UPDATE', 'FOR EACH ROW', ARRAY['mixed']),
            ('rebeco_delete', 'AFTER DELETE', 'REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT', ARRAY['statement', 'mixed']),
            ('rebeco_row', 'AFTER INSERT OR UPDATE OR DELETE', 'FOR EACH ROW', ARRAY['row'])) v (name, event, level, forms)
        WHERE form_now = ANY (forms)
    LOOP
        PERFORM rebeco.capture_create_trigger(capture_id, relation, t.name, t.event, t.level);
    END LOOP;
    PERFORM rebeco.capture_create_trigger(capture_id, relation, 'rebeco_truncate', 'BEFORE TRUNCATE', 'FOR EACH STATEMENT');
    PERFORM rebeco.capture_partition_trigger(capture_id, r.oid) FROM rebeco.capture c, rebeco.capture_guarded(c) r (oid) WHERE c.id = capture_id AND c.is_partitioned;
    UPDATE rebeco.capture c SET triggers = rebeco.capture_triggers(c.id, relation) WHERE c.id = capture_id;
    PERFORM rebeco.partition_note_again(capture_id);
END
$$;

-- One trigger; where what we apply is passed on, a second one for that, if it is AFTER: rebeco.chain_origin() says why.
-- On a partitioned table and its partitions it has the capture's number in its name: a table that becomes a partition may be
-- captured by itself, or by the table whose partition it was, and two triggers of one name would make ATTACH fail, or one of
-- the two captures.
CREATE FUNCTION rebeco.capture_create_trigger(capture_id int, relation oid, name text, event text, level text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c rebeco.capture;
    t record;
BEGIN
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_id;
    name := name || CASE WHEN c.is_partitioned THEN '_' || c.id ELSE '' END;
    FOR t IN SELECT * FROM (VALUES
            ('', '', CASE WHEN c.asks_depth AND NOT (c.passes_on AND event LIKE 'BEFORE%') THEN 'DISTINCT' END),
            ('_applied', 'applied', CASE WHEN c.passes_on AND event LIKE 'AFTER%' THEN 'NOT DISTINCT' END)) v (suffix, argument, depth_is)
        WHERE suffix = '' OR depth_is IS NOT NULL
    LOOP
        EXECUTE format('CREATE TRIGGER %I %s ON %s %s WHEN (%s) EXECUTE FUNCTION rebeco.capture_%s(%s)', name || t.suffix, event, relation::regclass, level,
                       CASE WHEN t.depth_is IS NULL THEN format('%L::pg_catalog.regclass IS NOT NULL', 'rebeco.log_' || capture_id)
                            ELSE format('pg_catalog.to_hex(pg_catalog.pg_trigger_depth()) IS %s FROM pg_catalog.current_setting(''rebeco.applying_depth'', %L::pg_catalog.regclass IS NOT NULL)',
                                        t.depth_is, 'rebeco.log_' || capture_id) END,
                       capture_id, quote_literal(nullif(t.argument, '')));
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', relation::regclass, name || t.suffix);
    END LOOP;
END
$$;

-- The trigger that a partition has beside those that come from its table; it stays when the partition leaves. For a
-- statement that names a partition that has partitions only that one's is called, for TRUNCATE also those of all below it.
CREATE FUNCTION rebeco.capture_partition_trigger(capture_id int, partition oid) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT rebeco.capture_create_trigger(capture_id, partition, 'rebeco_truncate',
                                         CASE WHEN c.records = 'key' THEN 'BEFORE UPDATE OR DELETE OR TRUNCATE' ELSE 'BEFORE TRUNCATE' END, 'FOR EACH STATEMENT')
      FROM rebeco.capture c WHERE c.id = capture_id
$$;

-- The partitions of a table that hold rows; nothing for a table that has none.
CREATE FUNCTION rebeco.capture_partitions(relation oid) RETURNS SETOF oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.oid FROM rebeco.tree(relation) tree (oid) JOIN pg_class c ON c.oid = tree.oid
     WHERE c.relkind = 'r' AND c.oid <> relation ORDER BY c.oid
$$;

-- Those that have a trigger of their own: where keys are logged also those that have partitions.
CREATE FUNCTION rebeco.capture_guarded(c rebeco.capture) RETURNS SETOF oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.oid FROM rebeco.tree(c.relid) tree (oid) JOIN pg_class r ON r.oid = tree.oid
     WHERE (r.relkind = 'r' OR r.relkind = 'p' AND c.records = 'key') AND r.oid <> c.relid ORDER BY r.oid
$$;

-- Partitions that have left their table, and the trigger of ours that is still on each.
CREATE FUNCTION rebeco.capture_departed(c rebeco.capture) RETURNS TABLE (oid oid, name name)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.tgrelid, t.tgname FROM pg_trigger t
     WHERE t.tgfoid = to_regprocedure(format('rebeco.capture_%s()', c.id)) AND t.tgname LIKE 'rebeco!_truncate%' ESCAPE '!'
       AND t.tgrelid <> c.relid AND t.tgrelid NOT IN (SELECT * FROM rebeco.capture_guarded(c))
     ORDER BY t.tgrelid
$$;

-- Drops our triggers of a capture, on the table and wherever else they are: on a partition that was
-- detached the one for TRUNCATE stays behind.
CREATE FUNCTION rebeco.capture_drop_triggers(capture_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ours record;
BEGIN
    -- A row trigger of a partition goes with that of its parent.
    FOR ours IN SELECT t.tgname AS name, t.tgrelid::regclass AS relation
                  FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                  LEFT JOIN pg_inherits i ON i.inhrelid = t.tgrelid
                  LEFT JOIN pg_trigger u ON u.tgrelid = i.inhparent AND u.tgname = t.tgname AND u.tgfoid = t.tgfoid
                 WHERE p.pronamespace = 'rebeco'::regnamespace AND p.proname = 'capture_' || capture_id
                   AND (u.oid IS NULL OR t.tgtype & 1 = 0)
                 ORDER BY t.tgrelid, t.tgname
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', ours.name, ours.relation);
    END LOOP;
END
$$;

-- Ends the capture of a table and removes all that belongs to it. Drops triggers: the table is
-- locked against everybody (ACCESS EXCLUSIVE) until the transaction ends.
CREATE FUNCTION rebeco.capture_remove(capture_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
BEGIN
    PERFORM rebeco.capture_drop_triggers(capture_id);
    EXECUTE format('DROP FUNCTION IF EXISTS rebeco.capture_%s()', capture_id);
    PERFORM rebeco.capture_drop_log(capture_id);
    DELETE FROM rebeco.capture_alive a WHERE a.capture_id = capture_remove.capture_id;
    DELETE FROM rebeco.capture_left l WHERE l.capture_id = capture_remove.capture_id;
    DELETE FROM rebeco.capture WHERE id = capture_id;
END
$$;

-- Each of the functions below says in words what is wrong with one side of a capture, or NULL.

-- The logs and the function.
CREATE FUNCTION rebeco.capture_log_problem(c rebeco.capture) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN to_regclass('rebeco.log_' || c.id || '_0') IS NULL
                      OR to_regclass('rebeco.log_' || c.id || '_1') IS NULL THEN 'a segment of its change log is gone'
                    WHEN NOT EXISTS (SELECT 1 FROM rebeco.capture_alive a WHERE a.capture_id = c.id)
                     AND EXISTS (SELECT 1 FROM pg_class t WHERE t.relpersistence = 'u'
                                    AND (t.oid = c.relid OR t.oid IN (SELECT * FROM rebeco.capture_partitions(c.relid))))
                    THEN 'the server has crashed, and emptied what is unlogged'
                    WHEN f.md5 IS NULL THEN format('function rebeco.capture_%s() is gone', c.id)
                    WHEN f.md5 <> c.function_md5 THEN format('function rebeco.capture_%s() was altered', c.id) END
          FROM (SELECT rebeco.capture_function_md5(c.id) AS md5) f);
END
$$;

-- Has a foreign key come that acts on the table, where the function cannot tell that from what we write?
CREATE FUNCTION rebeco.capture_is_behind_action(c rebeco.capture) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.is_two_way AND NOT c.asks_depth AND rebeco.capture_is_acted_on(c.relid)
$$;

-- The key: its columns as they were, an index that keeps them unique, triggers that see all changes.
CREATE FUNCTION rebeco.capture_key_problem(c rebeco.capture, OUT problem text, OUT is_lossy boolean)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT p.problem, p.is_lossy INTO capture_key_problem.problem, capture_key_problem.is_lossy
      FROM (SELECT 0 AS rank, 'the table is gone' AS problem, true AS is_lossy
             WHERE NOT EXISTS (SELECT 1 FROM pg_class t WHERE t.oid = c.relid)
            UNION ALL
            SELECT 1, format('%scolumn %I was dropped', CASE c.records WHEN 'key' THEN 'key ' END, c.key_columns[k.n]), true
              FROM generate_series(1, cardinality(c.key_attnums)) k (n)
             WHERE NOT EXISTS (SELECT 1 FROM pg_attribute a
                                WHERE a.attrelid = c.relid AND a.attnum = c.key_attnums[k.n] AND NOT a.attisdropped)
            UNION ALL
            SELECT 2, format('%scolumn %I was of type %s and is now of type %s', CASE c.records WHEN 'key' THEN 'key ' END, c.key_columns[k.n],
                             format_type(c.key_typids[k.n], NULL), format_type(a.atttypid, NULL)), true
              FROM generate_series(1, cardinality(c.key_attnums)) k (n)
              JOIN pg_attribute a ON a.attrelid = c.relid AND a.attnum = c.key_attnums[k.n]
                                 AND NOT a.attisdropped AND a.atttypid <> c.key_typids[k.n]
            UNION ALL
            SELECT 2, format('%scolumn %I was of collation %s and is now of collation %s', CASE c.records WHEN 'key' THEN 'key ' END, c.key_columns[k.n],
                             l.attcollation::regcollation, a.attcollation::regcollation), true
              FROM generate_series(1, cardinality(c.key_attnums)) k (n)
              JOIN pg_attribute a ON a.attrelid = c.relid AND a.attnum = c.key_attnums[k.n] AND NOT a.attisdropped
              JOIN pg_attribute l ON l.attrelid = to_regclass(format('rebeco.log_%s_0', c.id)) AND l.attname = 'k' || k.n AND l.attcollation <> a.attcollation
            UNION ALL
            SELECT 2, format('column %I was added', a.attname), true
              FROM pg_attribute a
             WHERE c.records = 'image' AND a.attrelid = c.relid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
               AND a.attnum <> ALL (c.key_attnums)
            UNION ALL
            SELECT 3, 'it has become part of an inheritance tree, or is filled by a subscription, where statement triggers do not see all changes', true
             WHERE c.form <> 'row' AND rebeco.capture_needs_row(c.relid)
            UNION ALL
            SELECT 4, format('%scolumn %I is now called %I', CASE c.records WHEN 'key' THEN 'key ' END, c.key_columns[k.n], a.attname), false
              FROM generate_series(1, cardinality(c.key_attnums)) k (n)
              JOIN pg_attribute a ON a.attrelid = c.relid AND a.attnum = c.key_attnums[k.n]
                                 AND NOT a.attisdropped AND a.attname::text <> c.key_columns[k.n]
            UNION ALL
            SELECT 4, format('types of its %s, or what compares them, have other names now', CASE c.records WHEN 'key' THEN 'key' ELSE 'columns' END), false
              FROM rebeco.capture_names(c) n WHERE n.types <> c.key_types OR n.equals <> c.key_equals
            UNION ALL
            SELECT 5, format('there is no unique index on (%s) any more',
                             (SELECT string_agg(quote_ident(n), ', ') FROM unnest(c.key_columns) n)), false
             WHERE c.records = 'key'
               AND NOT EXISTS (SELECT 1 FROM pg_index i
                                WHERE i.indrelid = c.relid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
                                  AND i.indnkeyatts = cardinality(c.key_attnums)
                                  AND i.indkey[0:i.indnkeyatts - 1]::smallint[] @> c.key_attnums)
            UNION ALL
            SELECT 6, 'its columns are others now than those that are merged', false WHERE rebeco.merge_is_behind(c)
            UNION ALL
            SELECT 7, 'a foreign key acts on its rows now', false WHERE rebeco.capture_is_behind_action(c)) p
     ORDER BY p.rank LIMIT 1;
END
$$;

-- The triggers, recorded and present ones, when they are not the same.
CREATE FUNCTION rebeco.capture_trigger_problem(c rebeco.capture, present text, OUT problem text, OUT is_lossy boolean)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    WITH was AS (
        SELECT split_part(t, ' ', 1)::oid AS relid, split_part(t, ' ', 2) AS name, t
          FROM unnest(string_to_array(nullif(c.triggers, ''), ', ')) t
    ), now AS (
        SELECT split_part(t, ' ', 1)::oid AS relid, split_part(t, ' ', 2) AS name, split_part(t, ' ', 3) AS state, t
          FROM unnest(string_to_array(nullif(present, ''), ', ')) t
    ), partition AS (
        SELECT oid FROM rebeco.capture_guarded(c) p (oid)
    )
    SELECT p.problem, p.is_lossy INTO capture_trigger_problem.problem, capture_trigger_problem.is_lossy
      FROM (SELECT 1 AS rank, format('trigger %s on %s %s', coalesce(was.name, now.name), coalesce(was.relid, now.relid)::regclass,
                   CASE WHEN now.name IS NULL THEN 'was dropped'
                        WHEN now.state = 'D' THEN 'is disabled'
                        WHEN now.state <> 'A' THEN 'does not fire in every session'
                        ELSE 'was disabled, altered or made anew meanwhile' END) AS problem, true AS is_lossy
              FROM was LEFT JOIN now ON now.relid = was.relid AND now.name = was.name
             WHERE now.t IS DISTINCT FROM was.t
               AND (was.relid = c.relid OR was.relid IN (SELECT oid FROM partition))
            UNION ALL
            SELECT 2, format('partition %s was dropped, and its rows with it', coalesce(d.name, 'number ' || was.relid)), NOT rebeco.partition_is_known(c, was.relid)
              FROM was LEFT JOIN rebeco.capture_partition d ON d.capture_id = c.id AND d.partition = was.relid
             WHERE NOT EXISTS (SELECT 1 FROM pg_class x WHERE x.oid = was.relid)
            UNION ALL
            SELECT 3, format('partition %s was detached', was.relid::regclass), false
              FROM was WHERE was.relid <> c.relid AND was.name LIKE 'rebeco!_truncate%' ESCAPE '!'
                         AND was.relid NOT IN (SELECT oid FROM partition)
            UNION ALL
            SELECT 4, format('partition %s is new', partition.oid::regclass), false
              FROM partition WHERE NOT EXISTS (SELECT 1 FROM was WHERE was.relid = partition.oid)) p
     ORDER BY NOT p.is_lossy, p.rank, p.problem LIMIT 1;
END
$$;

-- Whether a capture missed nothing since it was installed, and still misses nothing.
--   problem     NULL: it is intact. Else what is wrong, in words.
--   is_lossy    changes may be missing: install it again and copy the table again. When false,
--               rebeco.capture_repair() mends it and nothing is lost.
CREATE FUNCTION rebeco.capture_state(capture_id int, OUT problem text, OUT is_lossy boolean)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    c rebeco.capture;
    present text;
BEGIN
    is_lossy := true;
    SELECT * INTO c FROM rebeco.capture WHERE id = capture_id;
    IF NOT FOUND THEN
        problem := 'the table is not captured';
        RETURN;
    END IF;
    problem := rebeco.capture_log_problem(c);
    IF problem IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT k.problem, k.is_lossy INTO problem, is_lossy FROM rebeco.capture_key_problem(c) k;
    present := rebeco.capture_triggers(c.id, c.relid);
    IF present <> c.triggers AND is_lossy IS NOT TRUE THEN
        SELECT t.problem, t.is_lossy INTO problem, is_lossy FROM rebeco.capture_trigger_problem(c, present) t;
    END IF;
    is_lossy := coalesce(is_lossy, false);
END
$$;

CREATE FUNCTION rebeco.capture_is_intact(capture_id int) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT problem FROM rebeco.capture_state(capture_id)
$$;

-- Reads the keys of partitions that have come or left into the log, in a transaction of its own before capture_repair(), which
-- holds them against writers, or against everybody: that would last as long as the reading. What is done to them between the two is known
-- without: of one that has left by its own trigger; of one that has come by those that it has from its table, where they
-- fire in every session (the server before its minors of August 2021 did not take that over). Who truncates it removes rows
-- that are logged by then. Where a lock is not to be had it fails, and nothing is noted.
CREATE FUNCTION rebeco.capture_log_partitions(capture_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c rebeco.capture;
    partition oid;
BEGIN
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_id;
    FOR partition IN
        WITH ours AS (SELECT t.* FROM pg_trigger t WHERE t.tgfoid = to_regprocedure(format('rebeco.capture_%s()', c.id)) AND c.records = 'key')
        SELECT o.tgrelid FROM ours o JOIN pg_class r ON r.oid = o.tgrelid AND r.relkind = 'r'
         WHERE o.tgname LIKE 'rebeco!_truncate%' ESCAPE '!' AND r.oid <> c.relid AND r.oid NOT IN (SELECT * FROM rebeco.capture_partitions(c.relid))
        UNION ALL
        SELECT p.oid FROM rebeco.capture_partitions(c.relid) p (oid) JOIN ours o ON o.tgrelid = p.oid
         GROUP BY p.oid HAVING bool_and(o.tgname LIKE 'rebeco!_row%' ESCAPE '!' AND o.tgenabled = 'A')
    LOOP
        EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', partition::regclass);
        PERFORM rebeco.capture_left(c.id, format('log_%s_%s', c.id, c.segment), partition);
    END LOOP;
END
$$;

-- Mends what capture_state() calls not lossy, and says what it did; NULL when there was nothing to
-- do. Locks writers out of the table for a moment: one table per transaction, short lock_timeout.
CREATE FUNCTION rebeco.capture_repair(capture_id int) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
DECLARE
    c rebeco.capture;
    done text[] := '{}';
    problem text;
    is_lossy boolean;
    names text[];
    partition record;
    ours oid;
BEGIN
    SELECT s.problem, s.is_lossy INTO problem, is_lossy FROM rebeco.capture_state(capture_id) s;
    IF is_lossy THEN
        RAISE EXCEPTION 'capture % cannot be mended: %', capture_id, problem
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Install it again, and copy the table again.';
    END IF;
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_id FOR UPDATE;
    ours := format('rebeco.capture_%s()', capture_id)::regprocedure;

    names := rebeco.capture_columns(c.relid::regclass, c.key_attnums, c.key_typids);
    IF names <> c.key_columns THEN
        UPDATE rebeco.capture SET key_columns = names WHERE id = capture_id;
        PERFORM rebeco.partition_note_again(capture_id);
        PERFORM rebeco.capture_function(capture_id, c.segment);
        done := done || format('follows the new names of the key columns (%s)', array_to_string(names, ', '));
    END IF;

    UPDATE rebeco.capture k SET key_types = n.types, key_equals = n.equals
      FROM rebeco.capture_names(c) n WHERE k.id = capture_id AND (n.types <> k.key_types OR n.equals <> k.key_equals);
    IF FOUND THEN
        done := done || 'follows the new names of types and operators'::text;
    END IF;

    IF rebeco.merge_is_behind(c) THEN
        PERFORM rebeco.capture_function(capture_id, c.segment);
        done := done || 'merges the columns that there are now'::text;
    END IF;

    IF rebeco.capture_is_behind_action(c) THEN
        PERFORM rebeco.capture_drop_triggers(capture_id), rebeco.capture_create(capture_id, c.segment);
        done := done || 'tells what a foreign key does from what comes from the other end'::text;
    END IF;

    FOR partition IN SELECT p.oid, p.name FROM rebeco.capture_departed(c) p LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', partition.name, partition.oid::regclass);
        IF NOT rebeco.capture_is_logged(capture_id, partition.oid) THEN
            PERFORM rebeco.capture_all(capture_id, format('log_%s_%s', capture_id, c.segment), partition.oid);
        END IF;
        PERFORM rebeco.capture_hand_over(capture_id, partition.oid);
        PERFORM rebeco.capture_take_back(capture_id, format('log_%s_%s', capture_id, c.segment), partition.oid);
        DELETE FROM rebeco.capture_left l WHERE l.capture_id = capture_repair.capture_id AND l.partition = partition.oid;
        DELETE FROM rebeco.capture_partition p WHERE p.capture_id = capture_repair.capture_id AND p.partition = partition.oid;
        done := done || format('partition %s has left', partition.oid::regclass);
    END LOOP;
    FOR partition IN SELECT p.oid FROM rebeco.capture_guarded(c) p (oid)
                      WHERE NOT EXISTS (SELECT 1 FROM pg_trigger t
                                         WHERE t.tgrelid = p.oid AND t.tgfoid = ours AND t.tgname LIKE 'rebeco!_truncate%' ESCAPE '!')
    LOOP
        PERFORM rebeco.capture_partition_trigger(capture_id, partition.oid);
        EXECUTE (SELECT string_agg(format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.tgrelid::regclass, t.tgname), '; ') FROM pg_trigger t
                  WHERE t.tgrelid = partition.oid AND t.tgfoid = ours AND t.tgname LIKE 'rebeco!_row%' ESCAPE '!');
        IF NOT rebeco.capture_is_logged(capture_id, partition.oid) THEN
            PERFORM rebeco.capture_all(capture_id, format('log_%s_%s', capture_id, c.segment), partition.oid);
        END IF;
        DELETE FROM rebeco.capture_left l WHERE l.capture_id = capture_repair.capture_id AND l.partition = partition.oid;
        done := done || format('partition %s is captured', partition.oid::regclass);
    END LOOP;
    done := done || ('partition ' || rebeco.partition_settle(capture_id) || ' was dropped');
    RETURN nullif(array_to_string(done, '; '), '');
END
$$;

-- Looks after the change log of one table, and never waits for a lock. Gives what it did or why it
-- did not: emptied, switched, held (somebody still has a lock on the old segment), needed (a
-- consumer does not have all of it), busy (another session is at it); NULL: nothing to do.
--   the segment that is not written now is emptied when every consumer has all that is in it;
--   writing goes over to the other segment when that is empty and this one exceeds min_bytes.
CREATE FUNCTION rebeco.log_rotate(capture_id int, min_bytes bigint) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    segment_now int;
    other text;
    answer text;
BEGIN
    -- An older snapshot would not show what committed since, and that would be thrown away.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'rebeco.log_rotate needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    SELECT segment INTO segment_now FROM rebeco.capture WHERE id = capture_id FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 'busy';
    END IF;
    other := format('rebeco.log_%s_%s', capture_id, 1 - segment_now);
    IF pg_relation_size(other) > 0 THEN
        answer := rebeco.log_empty(capture_id, other);
        IF answer <> 'emptied' THEN
            RETURN answer;
        END IF;
    END IF;
    IF pg_relation_size(format('rebeco.log_%s_%s', capture_id, segment_now)) > min_bytes THEN
        PERFORM rebeco.capture_function(capture_id, 1 - segment_now);
        answer := 'switched';
    END IF;
    RETURN answer;
END
$$;

-- Empties a segment when nobody writes to it any more and every consumer has all of it. A writer
-- keeps its lock on the segment until its transaction ends, so under the lock taken here there is
-- no row that is still to be committed.
CREATE FUNCTION rebeco.log_empty(capture_id int, segment regclass) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF rebeco.log_is_needed(capture_id, segment) THEN
        RETURN 'needed';
    END IF;
    BEGIN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', segment);
    EXCEPTION WHEN lock_not_available THEN
        RETURN 'held';
    END;
    IF rebeco.log_is_needed(capture_id, segment) THEN
        RETURN 'needed';
    END IF;
    PERFORM rebeco.log_protect(capture_id, segment), set_config('rebeco.emptying', 'on', true); -- what we empty is not lost
    EXECUTE format('TRUNCATE %s', segment);
    PERFORM set_config('rebeco.emptying', '', true);
    RETURN 'emptied';
END
$$;

-- Whether a segment has a row that some consumer has not confirmed.
CREATE FUNCTION rebeco.log_is_needed(capture_id int, segment regclass) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reader record;
    is_needed boolean;
BEGIN
    FOR reader IN SELECT coalesce(t.snapshot, r.snapshot) AS snapshot
                    FROM rebeco.consumer_table t JOIN rebeco.consumer r ON r.consumer = t.consumer
                   WHERE t.capture_id = log_is_needed.capture_id
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s WHERE $1 IS NULL OR xid >= txid_snapshot_xmin($1) AND NOT txid_visible_in_snapshot(xid, $1))',
                       segment) INTO is_needed USING reader.snapshot;
        IF is_needed THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;

-- Brings the index of a segment up to date, except for the last 16 pages, where writers are: what is read
-- twice in every batch is these, and what came since the last call. Goes back from there to the first
-- range that has its summary already. Gives the number of ranges done; 0 as well when another session has a lock.
CREATE FUNCTION rebeco.log_summarize(segment regclass) RETURNS int
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    index regclass := format('rebeco.%I', (SELECT relname FROM pg_class WHERE oid = segment) || '_xid');
    size int := (SELECT substring(array_to_string(reloptions, ' ') FROM 'pages_per_range=(\d+)') FROM pg_class WHERE oid = index);
    range bigint := (pg_relation_size(segment) / current_setting('block_size')::int - 16) / size - 1;
    done int := 0;
BEGIN
    BEGIN
        EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE NOWAIT', segment);
    EXCEPTION WHEN lock_not_available THEN
        RETURN 0;
    END;
    WHILE range >= 0 AND brin_summarize_range(index, range * size) > 0 LOOP
        range := range - 1;
        done := done + 1;
    END LOOP;
    RETURN done;
END
$$;
