-- Partitions that were dropped, while nobody could say which rows they had.
--
-- DROP TABLE of a partition calls no trigger, and a job that keeps so many months detaches and drops in one go. The
-- keys of what went are in no log. But each was in the partition, so its row fulfils what the partition took, which the server says as
-- a condition on columns of the key (a unique index of a partitioned table has all columns by which it is partitioned). That condition is
-- noted for each partition when it is captured: the rows that went are among those of the other end that
-- fulfil it, however that end keeps them: in a partition of that name or another, or in none. These keys
-- are read there, in pages, and logged here, as if somebody had touched each; what follows is an ordinary batch, which finds for each key
-- whether its row is there: it may be, in a partition that has taken the place of the one that went. So nothing
-- is removed that is here, and nobody has to know why. replicator/partition.c has the rest of the argument.
--
-- Noted is a condition only if both ends understand the same by it (rebeco.partition_bounds). Else, where the log holds no keys, and
-- where what one pair of syncs writes is passed on to others (schema/073_chain.sql), changes may be missing, as before.
--
-- Every reader of the capture has a target of its own, which may be days behind and has rows of its own to say: each gets a note, in the
-- transaction in which capture_repair() takes the partition for gone. From then on the capture is whole, and the note
-- alone says that the reader owes keys. It goes with the last page. What is copied again owes nothing.

-- The partitions of captured tables, those above others, too, as they were when their triggers were last looked at.
CREATE TABLE rebeco.capture_partition (
    capture_id int NOT NULL REFERENCES rebeco.capture ON DELETE CASCADE,
    partition oid NOT NULL,
    above oid NOT NULL,                 -- of which it is one
    name text NOT NULL,
    bounds text,                        -- the condition that its rows fulfil; NULL: none that another server must understand
    PRIMARY KEY (capture_id, partition)
);

-- Those that were dropped, for each reader whose target may have their rows.
CREATE TABLE rebeco.partition_gone (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL,
    capture_id int NOT NULL,
    name text NOT NULL,
    bounds text NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    after json,                         -- the last key of the last page; NULL: there was none
    logged bigint NOT NULL DEFAULT 0,   -- keys, so far
    FOREIGN KEY (consumer, capture_id) REFERENCES rebeco.consumer_table ON DELETE CASCADE
);

-- What is true of each row of a partition, and of which columns. Not where servers may differ in what it means: the order of texts depends on
-- the collation's version, a type or an operator may be anybody's. A hash names the table by its number, and what a default
-- partition takes changes with its neighbours. The text is to be the same whoever asks.
CREATE FUNCTION rebeco.partition_bounds(partition oid) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
    SET intervalstyle = 'postgres'
    SET extra_float_digits = 3
    SET bytea_output = 'hex'
AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_partition_ancestors(partition) r (oid)
                 JOIN pg_inherits i ON i.inhrelid = r.oid
                 JOIN pg_partitioned_table p ON p.partrelid = i.inhparent
                WHERE p.partstrat NOT IN ('r', 'l') OR p.partexprs IS NOT NULL OR p.partdefid = r.oid
                   OR EXISTS (SELECT 1 FROM generate_series(0, p.partnatts - 1) n
                                JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[n]
                                LEFT JOIN pg_collation c ON c.oid = p.partcollation[n]
                               WHERE p.partclass[n] >= 16384 OR a.atttypid >= 16384
                                  OR p.partcollation[n] NOT IN (0, 950, 951 /* C, POSIX */) AND (p.partstrat = 'r' OR NOT c.collisdeterministic))) THEN
        RETURN NULL;
    END IF;
    RETURN pg_get_partition_constraintdef(partition);
END
$$;

-- Notes the partitions that have come. What one takes does not change while it is attached.
CREATE FUNCTION rebeco.partition_note(capture_number int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c rebeco.capture;
BEGIN
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_number;
    INSERT INTO rebeco.capture_partition (capture_id, partition, above, name, bounds)
    SELECT c.id, g.oid, i.inhparent, g.oid::regclass::text, rebeco.partition_bounds(g.oid)
      FROM rebeco.capture_guarded(c) g (oid) JOIN pg_inherits i ON i.inhrelid = g.oid
     WHERE c.is_partitioned AND c.records = 'key'
       AND NOT EXISTS (SELECT 1 FROM rebeco.capture_partition p WHERE p.capture_id = c.id AND p.partition = g.oid);
END
$$;

-- The columns have other names: so have the conditions, but for those of what was dropped before. The other end does not
-- know them then, and the table is copied again.
CREATE FUNCTION rebeco.partition_note_again(capture_number int) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM rebeco.capture_partition p USING pg_class r WHERE p.capture_id = capture_number AND r.oid = p.partition;
    SELECT rebeco.partition_note(capture_number)
$$;

-- Can the keys of a partition that was dropped be found at the other end: by its own condition, or by that of one above it that went, too? They are
-- read in their order, by operators that are found without a schema.
CREATE FUNCTION rebeco.partition_is_known(c rebeco.capture, partition oid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN c.records = 'key' AND NOT c.passes_on
       AND NOT EXISTS (SELECT 1 FROM unnest(c.key_typids) k (typid) JOIN pg_type t ON t.oid = k.typid JOIN pg_type b ON b.oid = rebeco.base_type(t.oid)
                        WHERE NOT (t.oid < 16384 OR t.typtype = 'e' OR b.oid < 16384 AND b.typtype = 'b' AND b.typcategory <> 'A'))
       AND EXISTS (WITH RECURSIVE up AS (
                       SELECT p.* FROM rebeco.capture_partition p WHERE p.capture_id = c.id AND p.partition = partition_is_known.partition
                       UNION ALL
                       SELECT p.* FROM up JOIN rebeco.capture_partition p ON p.capture_id = c.id AND p.partition = up.above)
                   SELECT 1 FROM up WHERE up.bounds IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_class r WHERE r.oid = up.partition));
END
$$;

-- Ends the mending of a capture: its triggers are from now on those that are there. Of partitions that were dropped (of one that had partitions, that
-- one alone) each reader gets a note, in the same statement: what is dropped a moment later is still missed by the next look. One that was
-- detached since its keys were looked for is not passed over. Gives the names of those that were dropped; NULL for none.
CREATE FUNCTION rebeco.partition_settle(capture_number int) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
    unknown text;
    departed text;
BEGIN
    WITH gone AS MATERIALIZED (
        SELECT p.*, rebeco.partition_is_known(c, p.partition) AS is_known
          FROM rebeco.capture c JOIN rebeco.capture_partition p ON p.capture_id = c.id
         WHERE c.id = capture_number AND NOT EXISTS (SELECT 1 FROM pg_class r WHERE r.oid = p.partition)
    ), highest AS MATERIALIZED (
        SELECT g.* FROM gone g
         WHERE g.bounds IS NOT NULL AND NOT EXISTS (SELECT 1 FROM gone a WHERE a.partition = g.above AND a.bounds IS NOT NULL)
    ), noted AS (
        INSERT INTO rebeco.partition_gone (consumer, capture_id, name, bounds)
        SELECT t.consumer, t.capture_id, h.name, h.bounds FROM highest h JOIN rebeco.consumer_table t ON t.capture_id = h.capture_id ORDER BY h.name
    ), forgotten AS (
        DELETE FROM rebeco.capture_partition p USING gone g WHERE p.capture_id = g.capture_id AND p.partition = g.partition
    ), settled AS (
        UPDATE rebeco.capture c SET triggers = rebeco.capture_triggers(c.id, c.relid) WHERE c.id = capture_number
    )
    SELECT (SELECT string_agg(h.name, ', ' ORDER BY h.name) FROM highest h), (SELECT min(g.name) FROM gone g WHERE NOT g.is_known),
           (SELECT min(d.oid::regclass::text) FROM rebeco.capture c CROSS JOIN LATERAL rebeco.capture_departed(c) d WHERE c.id = capture_number)
      INTO names, unknown, departed;
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'partition % was dropped, and its rows with it', unknown USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF departed IS NOT NULL THEN
        RAISE EXCEPTION 'partition % was detached a moment ago', departed USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'The next look mends that, too.';
    END IF;
    PERFORM rebeco.partition_note(capture_number);
    RETURN names;
END
$$;

-- A page of the keys that rows of a table have, here, which fulfil a condition: those after the given one, in an order that is
-- always the same. `last` is the page's last key; NULL: no other page follows. In the order of the key's index, so that a page costs what it has,
-- however many there are.
-- In a two-way sync (`capture_number`, `since`: this end's capture, and the position of what the other end has of it) rows are left out that were
-- inserted here after that: they were never there. What was there, and was changed here since, is for the policy to decide.
CREATE FUNCTION rebeco.partition_keys(relation regclass, bounds text, key_columns text[], after json, most int,
        capture_number int, since txid_snapshot, OUT keys json, OUT last json)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_sort = off
    SET enable_hashjoin = on
AS $$
DECLARE
    columns text;
    texts text;
    ordered text;
    behind text;
    t record;
BEGIN
    SELECT string_agg(format('x.%I', k.name), ', ' ORDER BY k.n),
           string_agg(format('format(''%%s'', x.%I)', k.name), ', ' ORDER BY k.n),
           string_agg(format('x.%I', k.name), ', ' ORDER BY o.ordinal, k.n),
           string_agg(rebeco.from_text(format('$1 ->> %s', k.n - 1), format_type(rebeco.base_type(a.atttypid), -1)), ', ' ORDER BY o.ordinal, k.n)
      INTO columns, texts, ordered, behind
      FROM unnest(key_columns) WITH ORDINALITY k (name, n)
      JOIN pg_attribute a ON a.attrelid = relation AND a.attname = k.name AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN rebeco.table_key(relation) o ON o.column_name = k.name
    HAVING count(*) = cardinality(key_columns);
    IF NOT FOUND THEN
        RAISE EXCEPTION '% does not have all columns of the key (%)', relation, array_to_string(key_columns, ', ') USING ERRCODE = 'undefined_column';
    END IF;
    EXECUTE format('SELECT json_agg(json_build_array(%s)) FROM (SELECT %s FROM %s%s x WHERE (%s)%s ORDER BY %s LIMIT $2) x', texts, columns,
                   (SELECT CASE r.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END FROM pg_class r WHERE r.oid = relation), relation, bounds,
                   CASE WHEN after IS NOT NULL THEN format(' AND (%s) > (%s)', ordered, behind) END, ordered)
       INTO keys USING after, most;
    keys := coalesce(keys, '[]');
    last := CASE WHEN json_array_length(keys) = most THEN keys -> (most - 1) END;
    IF since IS NOT NULL THEN
        SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_number);
        EXECUTE format('WITH f AS MATERIALIZED %s, l AS MATERIALIZED (SELECT %2$s, (array_agg(l.is_new ORDER BY l.at))[1] AS is_new FROM %3$s l WHERE op IS NULL GROUP BY %2$s) '
                       'SELECT coalesce(json_agg($3 -> (f.n - 1)::int ORDER BY f.n), ''[]'') FROM f WHERE NOT EXISTS (SELECT 1 FROM l WHERE l.is_new AND %4$s)',
                       t.given, t.keys, t.log, t.log_match)
           INTO keys USING since, NULL::txid_snapshot, keys;
    END IF;
END
$$;

-- Logs a page of keys for a reader; with the last page its note goes. Gives how many are logged so far; NULL: the note is gone, nothing is owed.
-- In a two-way sync only what is not here is logged, and not in the log anyway beyond `since`, the position of what the other end has: a key that is
-- logged counts as a change of this end, and a row that is here was brought, or written, after the partition went. It counts as removed when that was noticed.
CREATE FUNCTION rebeco.partition_log(consumer_name text, gone_id bigint, keys json, last json, since txid_snapshot) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_hashjoin = on
AS $$
DECLARE
    gone rebeco.partition_gone;
    c rebeco.capture;
    t record;
    columns text;
    n bigint;
BEGIN
    SELECT * INTO gone FROM rebeco.partition_gone g WHERE g.id = gone_id AND g.consumer = consumer_name FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = gone.capture_id FOR UPDATE; -- its segment is the one until we commit
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(c.id);
    SELECT string_agg('k' || k.n, ', ' ORDER BY k.n) INTO columns FROM generate_series(1, cardinality(c.key_types)) k (n);
    IF since IS NULL THEN
        EXECUTE format('INSERT INTO rebeco.log_%s_%s (%s, xid) SELECT %s, txid_current() FROM %s f', c.id, c.segment, columns,
                       replace(columns, 'k', 'f.f'), replace(t.given, '$3', '$1')) USING keys;
    ELSE
        EXECUTE format('WITH f AS MATERIALIZED %s, l AS MATERIALIZED (SELECT DISTINCT %s FROM %s l WHERE op IS NULL) '
                       'INSERT INTO rebeco.log_%s_%s (%s, xid, at) SELECT %s, txid_current(), $4 '
                       'FROM f LEFT JOIN LATERAL (SELECT true AS is_there FROM %s x WHERE %s LIMIT 1) r ON true '
                       'WHERE r.is_there IS NULL AND NOT EXISTS (SELECT 1 FROM l WHERE %s)',
                       t.given, t.keys, t.log, c.id, c.segment, columns, replace(columns, 'k', 'f.f'), t.relation, t.row_match, t.log_match)
          USING since, NULL::txid_snapshot, keys, gone.noticed_at;
    END IF;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF last IS NULL THEN
        DELETE FROM rebeco.partition_gone g WHERE g.id = gone.id;
    ELSE
        UPDATE rebeco.partition_gone g SET after = last, logged = gone.logged + n WHERE g.id = gone.id;
    END IF;
    RETURN gone.logged + n;
END
$$;
