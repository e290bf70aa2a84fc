-- Tables whose rows cannot be told apart: their change log holds row images, or only that something
-- has changed.
--
-- Why images are counted as events, and not looked up.
--   The other way was considered: log only which image changed, and set its number at the target to
--   what a batch's snapshot counts at the source. That may be repeated at will, but it reads the whole
--   table at the source in every batch, and most tables without a key are logs that only grow: a row
--   appended to 100 GB would cost 100 GB. Here the source is never scanned, an appended row costs a
--   scan nowhere, and what is removed costs one scan at the target for each batch (or for 8 MB of
--   removed rows), or less where an index finds it. The price: a row is written twice at the source, the copy of such a table is one
--   piece, and exactness hangs on positions, so these must be exact:
-- * A log row is (image, '+' or '-', transaction), written by the transaction that changes the row. So a
--   snapshot sees the one if and only if it sees the other, and what lies between the snapshots A and B
--   is the difference of the two multisets of rows. '+' and '-' of one image cancel out; what is left is
--   applied in the transaction that moves the position from A to B. A crash leaves both or neither.
-- * The first A is the snapshot S that the copy was read in, all of it, partitions and all: S is
--   recorded at the target in the transaction that loads the rows. A copy that breaks off begins again.
-- * A TRUNCATE makes void what was logged before it. The lock that it takes is held until its
--   transaction ends, and every writer holds one that excludes it: so all that was logged by others is
--   either before or after it in time, and `ord` says which: where the WAL ended right before the row was
--   logged, which put more behind it. (A sequence would do, but the writer's lastval() would be about it.)
-- * Images are equal when the text of all columns is, each by its type's own output function: so types
--   without equality work, 1.0 is not 1.00, no collation has a say, and NULL equals NULL. Texts
--   of one server only are compared with each other: at the target, the image goes through the column's
--   type first.
-- * Of equal rows any may be removed, and exactly as many are as the batch says. When the target has
--   fewer, somebody else has written there: the transaction fails, and says so.
-- * An image names the columns that were there when capture was installed. When a column was added,
--   dropped, retyped or renamed since, or rows came or went with a partition, the table is copied again.
--
-- The other way for such tables, and for any small one: the log holds one row for each transaction that
-- has written, and the batch that sees it reads the whole table in its snapshot. That is a state, not
-- an event: repeating it is harmless. The target's transaction removes all rows and writes all anew, so
-- that its readers see the old table or the new one, and never an empty one.


-- The columns of an image: all but the generated ones.
CREATE FUNCTION rebeco.image_columns(relation oid)
    RETURNS TABLE (ordinal int, name text, type text, attnum smallint, typid oid)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT row_number() OVER (ORDER BY a.attnum)::int, a.attname::text,
           rebeco.log_type(rebeco.base_type(a.atttypid), a.attcollation),
           a.attnum, a.atttypid
      FROM pg_attribute a
     WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
$$;

-- Logs that a table has changed, once for each transaction. For tables that are read as a whole.
CREATE FUNCTION rebeco.image_touch(capture_id int, log text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name text := format('rebeco.touched_%s', capture_id);
    value text := format('%s %s', txid_current(), log);
BEGIN
    IF current_setting(name, true) IS DISTINCT FROM value THEN
        PERFORM set_config(name, value, true);
        EXECUTE format('INSERT INTO rebeco.%I (xid, op) VALUES (txid_current(), ''W'')', log);
    END IF;
END
$$;

-- A partition of a table with images is truncated. When the table itself was, in this transaction, only
-- what was written since counts. Otherwise each row of it is logged as removed.
CREATE FUNCTION rebeco.image_truncate(capture_id int, log text, partition regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    truncated text := current_setting(format('rebeco.truncated_%s', capture_id), true);
    has_written boolean;
BEGIN
    IF split_part(truncated, ' ', 1) = txid_current()::text THEN
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM rebeco.log_%s WHERE xid = txid_current() AND ord > $1)', capture_id)
           INTO has_written USING split_part(truncated, ' ', 2)::bigint;
        IF NOT has_written THEN
            RETURN;
        END IF;
    END IF;
    PERFORM rebeco.image_gone(capture_id, log, partition);
END
$$;

-- Logs all rows of a partition as removed; 'B' where they cannot all be seen.
CREATE FUNCTION rebeco.image_gone(capture_id int, log text, partition regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    columns text;
    names text;
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'rows that came after this transaction''s snapshot go too, and are not seen';
    END IF;
    SELECT string_agg('k' || k.ordinal, ', ' ORDER BY k.ordinal), string_agg(quote_ident(k.name), ', ' ORDER BY k.ordinal)
      INTO STRICT columns, names
      FROM rebeco.capture c,
           unnest(rebeco.capture_columns(c.relid::regclass, c.key_attnums, c.key_typids)) WITH ORDINALITY k (name, ordinal)
     WHERE c.id = capture_id
    HAVING count(*) > 0;
    EXECUTE format('INSERT INTO rebeco.%I (%s, xid, op) SELECT %s, txid_current(), ''-'' FROM ONLY %s', log, columns, names, partition);
EXCEPTION WHEN OTHERS THEN
    EXECUTE format('INSERT INTO rebeco.%I (xid, op) VALUES (txid_current(), ''B'')', log);
END
$$;

-- A partition has come, or gone, that capture did not know. With keys it does not matter which of its
-- rows are logged twice; images must be counted again, unless nothing can have been in the partition
-- that was not logged: it was made as a partition by one command (its columns were never touched since,
-- the system's included), or no row was ever in its file.
CREATE FUNCTION rebeco.image_partition(c rebeco.capture, log text, partition oid) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_harmless boolean;
BEGIN
    IF c.records = 'nothing' THEN
        PERFORM rebeco.image_touch(c.id, log);
        RETURN 1;
    END IF;
    SELECT p.relfilenode = p.oid AND EXISTS (SELECT 1 FROM rebeco.capture_partitions(c.relid) t (oid) WHERE t.oid = p.oid)
           AND (pg_relation_size(p.oid) = 0
                OR i.inhparent = c.relid AND i.xmin = s.xmin
                   AND NOT EXISTS (SELECT 1 FROM pg_attribute a
                                    WHERE a.attrelid = p.oid AND a.attnum > 0 AND NOT (a.xmin = s.xmin AND a.cmin = s.cmin)))
      INTO is_harmless
      FROM pg_class p JOIN pg_attribute s ON s.attrelid = p.oid AND s.attname = 'ctid'
      LEFT JOIN pg_inherits i ON i.inhrelid = p.oid
     WHERE p.oid = partition;
    IF is_harmless THEN
        RETURN 0;
    END IF;
    EXECUTE format('INSERT INTO rebeco.%I (xid, op) VALUES (txid_current(), ''B'')', log);
    RETURN 1;
END
$$;

-- What the trigger function of a capture without a key does, as statements of plpgsql.
CREATE FUNCTION rebeco.image_capture(c rebeco.capture, log text, OUT on_insert text, OUT on_update text, OUT on_delete text,
        OUT on_truncate text, OUT on_unknown text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    columns text;
    of_rows text;
    of_old text;
    of_new text;
BEGIN
    on_truncate := format($f$INSERT INTO rebeco.%I (xid, op) VALUES (txid_current(), 'T');$f$, log);
    IF c.records = 'nothing' THEN
        on_delete := format('PERFORM rebeco.image_touch(%s, %L);', c.id, log);
        on_insert := on_delete;
        IF c.form = 'statement' THEN
            on_insert := format('IF EXISTS (SELECT 1 FROM new_rows) THEN %s END IF;', on_delete);
            on_delete := format('IF EXISTS (SELECT 1 FROM old_rows) THEN %s END IF;', on_delete);
        END IF;
        on_update := on_insert;
        on_unknown := 'NULL;';
        RETURN;
    END IF;

    SELECT string_agg('k' || k.ordinal, ', ' ORDER BY k.ordinal), string_agg(format('r.%I', k.name), ', ' ORDER BY k.ordinal),
           string_agg(format('OLD.%I', k.name), ', ' ORDER BY k.ordinal), string_agg(format('NEW.%I', k.name), ', ' ORDER BY k.ordinal)
      INTO columns, of_rows, of_old, of_new
      FROM unnest(c.key_columns) WITH ORDINALITY k (name, ordinal);
    IF c.form = 'row' THEN
        on_insert := format($f$INSERT INTO rebeco.%I (%s, xid, op) VALUES (%s, txid_current(), '+');$f$, log, columns, of_new);
        on_delete := format($f$INSERT INTO rebeco.%I (%s, xid, op) VALUES (%s, txid_current(), '-');$f$, log, columns, of_old);
        on_update := format($f$INSERT INTO rebeco.%1$I (%2$s, xid, op) VALUES (%3$s, txid_current(), '-'), (%4$s, txid_current(), '+');$f$,
                            log, columns, of_old, of_new);
        on_unknown := format($f$INSERT INTO rebeco.%I (xid, op) VALUES (txid_current(), 'B');$f$, log);
    ELSE
        on_insert := format($f$INSERT INTO rebeco.%I (%s, xid, op) SELECT %s, txid_current(), '+' FROM new_rows AS r;$f$, log, columns, of_rows);
        on_delete := format($f$INSERT INTO rebeco.%I (%s, xid, op) SELECT %s, txid_current(), '-' FROM old_rows AS r;$f$, log, columns, of_rows);
        on_update := on_delete || E'\n            ' || on_insert;
        on_unknown := format($f$IF TG_OP = 'DELETE' THEN
                INSERT INTO rebeco.%1$I (xid, op) SELECT txid_current(), 'B' FROM old_rows AS r LIMIT 1;
            ELSE
                INSERT INTO rebeco.%1$I (xid, op) SELECT txid_current(), 'B' FROM new_rows AS r LIMIT 1;
            END IF;$f$, log);
    END IF;
    IF c.is_partitioned THEN
        -- For the table first, and then for each partition.
        on_truncate := format($f$IF TG_RELID = %1$s THEN
            PERFORM set_config('rebeco.truncated_%2$s', concat(txid_current(), ' ', pg_current_wal_insert_lsn() - '0/0'::pg_lsn), true);
            INSERT INTO rebeco.%3$I (xid, op, ord) VALUES (txid_current(), 'T', split_part(current_setting('rebeco.truncated_%2$s'), ' ', 2)::bigint);
        ELSE
            PERFORM rebeco.image_truncate(%2$s, %3$L, TG_RELID);
        END IF;$f$, c.relid, c.id, log);
    END IF;
END
$$;

-- The row of a relation's alias as one text that tells apart all that differs. xml's output leaves out
-- the encoding that the value declares; its text does not.
CREATE FUNCTION rebeco.image_text(names text[], casts text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('ROW(%s)::pg_catalog.text COLLATE "C"', string_agg(concat(n.name, '::' || n.cast_to), ', ' ORDER BY n.ordinal))
      FROM unnest(names, casts) WITH ORDINALITY n (name, cast_to, ordinal)
$$;

-- A number made of a few columns of a row, those that are cheap to look at: rows with equal texts have equal
-- numbers. A type stands for its array; NULL is a column that will not do.
CREATE FUNCTION rebeco.image_number(names text[], arrays text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(string_agg(format('coalesce(pg_catalog.%s, 0)::bigint * %s', replace(h.call, '$', h.name), h.place * 1000 + 1), ' + '), '0::bigint')
      FROM (SELECT n.name, f.call, row_number() OVER (ORDER BY f.rank, n.ordinal) AS place
              FROM unnest(names, arrays) WITH ORDINALITY n (name, array_type, ordinal)
              JOIN (VALUES ('bigint[]', 'hashint8($)', 1), ('integer[]', 'hashint4($)', 1), ('smallint[]', 'hashint2($)', 1),
                           ('uuid[]', 'uuid_hash($)', 1), ('timestamp with time zone[]', 'timestamp_hash($ AT TIME ZONE ''UTC'')', 1),
                           ('timestamp without time zone[]', 'timestamp_hash($)', 1),
                           ('text[]', 'hashtext($ COLLATE "C")', 2), ('character varying[]', 'hashtext($ COLLATE "C")', 2)) f (array_type, call, rank)
                ON f.array_type = n.array_type) h
     WHERE h.place <= 3
$$;

-- The statement that reads a table's changed rows, as the one for keys does. $3 boolean: something was
-- removed, or the table truncated. Where that is not so there is nothing to net, and rows go as they
-- were logged. What is removed comes first.
CREATE FUNCTION rebeco.image_read_statement(doc json) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE doc ->> 'records'
           WHEN 'nothing' THEN format('SELECT true AS is_there, %s FROM %s%I.%I l WHERE $1::bigint IS NOT NULL AND $2::bigint[] IS NOT NULL AND $3::boolean IS NOT NULL',
                                      c.of_table, CASE WHEN (doc ->> 'only')::boolean THEN 'ONLY ' ELSE '' END, doc ->> 'schema', doc ->> 'name')
           ELSE format($f$SELECT true AS is_there, %1$s FROM rebeco.log_%2$s_0 l WHERE NOT $3::boolean AND op = '+' AND %3$s
UNION ALL
SELECT true, %1$s FROM rebeco.log_%2$s_1 l WHERE NOT $3::boolean AND op = '+' AND %3$s
UNION ALL
(SELECT CASE WHEN l.n > 0 THEN true END, %1$s
   FROM (SELECT DISTINCT ON (i.image) i.*, pg_catalog.sum(CASE i.op WHEN '+' THEN 1 ELSE -1 END) OVER (PARTITION BY i.image) AS n
           FROM (SELECT l.*, %4$s AS image
                   FROM (SELECT * FROM rebeco.log_%2$s_0 l WHERE $3::boolean AND op IN ('+', '-') AND %3$s
                         UNION ALL
                         SELECT * FROM rebeco.log_%2$s_1 l WHERE $3::boolean AND op IN ('+', '-') AND %3$s) l
                  WHERE l.ord > (SELECT coalesce(pg_catalog.max(t.ord), 0)
                                   FROM (SELECT ord FROM rebeco.log_%2$s_0 l WHERE $3::boolean AND op = 'T' AND %3$s
                                         UNION ALL
                                         SELECT ord FROM rebeco.log_%2$s_1 l WHERE $3::boolean AND op = 'T' AND %3$s) t)) i
          ORDER BY i.image) l
  CROSS JOIN LATERAL pg_catalog.generate_series(1, pg_catalog.abs(l.n))
  WHERE l.n <> 0
  ORDER BY l.n > 0)$f$, c.of_log, doc ->> 'id', '(xid >= $1::bigint OR xid = ANY ($2::bigint[]))', c.image) END
      FROM (SELECT string_agg(format('%s(l.k%s)%s AS c%s', c.doc ->> 'output', c.ordinal, '::' || (c.doc ->> 'cast'), c.ordinal), ', ' ORDER BY c.ordinal) AS of_log,
                   string_agg(format('%s(l.%I)%s AS c%s', c.doc ->> 'output', c.doc ->> 'name', '::' || (c.doc ->> 'cast'), c.ordinal), ', ' ORDER BY c.ordinal) AS of_table,
                   rebeco.image_text(array_agg('l.k' || c.ordinal ORDER BY c.ordinal), array_agg(c.doc ->> 'copy_cast' ORDER BY c.ordinal)) AS image
              FROM json_array_elements(doc -> 'columns') WITH ORDINALITY c (doc, ordinal)) c
$$;

-- The columns by which an index may find a row: their names, their types, and the expressions that give
-- their values as short texts, NULL where one is NULL or long.
CREATE FUNCTION rebeco.image_finders(columns text[], value_texts text[], arrays text[], OUT names text[], OUT types text[], OUT cells text)
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(c.name ORDER BY c.ordinal), array_agg(rtrim(c.array_type, '[]') ORDER BY c.ordinal),
           string_agg(format('CASE WHEN pg_catalog.octet_length(%1$s::pg_catalog.text) <= 500 THEN %1$s::pg_catalog.text END', c.value), ', ' ORDER BY c.ordinal)
      FROM unnest(columns, value_texts, arrays) WITH ORDINALITY c (name, value, array_type, ordinal)
     WHERE c.array_type IN ('bigint[]', 'integer[]', 'smallint[]', 'numeric[]', 'date[]', 'uuid[]', 'text[]', 'character varying[]',
                            'timestamp with time zone[]', 'timestamp without time zone[]')
$$;

-- The statements that write a table's changed rows: rows as they come, and rows by their image.
CREATE FUNCTION rebeco.image_apply_statements(doc json, OUT upsert text, OUT remove text, OUT clear text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('INSERT INTO %I.%I (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM unnest(%s) AS u (%s)',
                  doc ->> 'schema', doc ->> 'name', c.names, c.values, c.arrays, c.aliases),
           format('SELECT rebeco.image_remove(%L, %L, %L, pg_catalog.array_agg(%s), pg_catalog.array_agg(%s), %L, %L, %s) FROM unnest(%s) AS u (%s)',
                  t.tree, c.image, c.number, c.image_of_values, c.number_of_values, f.names, f.types,
                  coalesce('pg_catalog.array_agg(ARRAY[' || f.cells || '])', 'NULL'), c.arrays, c.aliases),
           format('DELETE FROM %s', t.tree)
      FROM (SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.ordinal) AS names,
                   string_agg(c.value, ', ' ORDER BY c.ordinal) AS values,
                   string_agg(format('$%s::%s', c.ordinal, c.array_type), ', ' ORDER BY c.ordinal) AS arrays,
                   string_agg('c' || c.ordinal, ', ' ORDER BY c.ordinal) AS aliases,
                   rebeco.image_text(array_agg(format('t.%I', c.name) ORDER BY c.ordinal), array_agg(c.copy_cast ORDER BY c.ordinal)) AS image,
                   rebeco.image_number(array_agg(format('t.%I', c.name) ORDER BY c.ordinal), array_agg(c.plain_array ORDER BY c.ordinal)) AS number,
                   rebeco.image_number(array_agg(c.value ORDER BY c.ordinal), array_agg(c.plain_array ORDER BY c.ordinal)) AS number_of_values,
                   rebeco.image_text(array_agg(c.value ORDER BY c.ordinal), array_agg(c.copy_cast ORDER BY c.ordinal)) AS image_of_values,
                   array_agg(c.name ORDER BY c.ordinal) AS all_names, array_agg(c.value ORDER BY c.ordinal) AS all_values,
                   array_agg(c.plain_array ORDER BY c.ordinal) AS all_arrays
              FROM (SELECT e.ordinal, e.doc ->> 'name' AS name, e.doc ->> 'array' AS array_type, e.doc ->> 'copy_cast' AS copy_cast,
                           CASE WHEN e.doc ->> 'cast' IS NULL THEN e.doc ->> 'array' END AS plain_array,
                           format(CASE WHEN e.doc ->> 'input' IS NULL THEN 'u.c%s%s' ELSE '%3$s(u.c%1$s::cstring%4$s)%2$s' END,
                                  e.ordinal, '::' || (e.doc ->> 'cast'), e.doc ->> 'input', e.doc ->> 'input_more') AS value
                      FROM json_array_elements(doc -> 'columns') WITH ORDINALITY e (doc, ordinal)) c) c,
           (SELECT format('%s%I.%I', CASE WHEN (doc ->> 'only')::boolean THEN 'ONLY ' ELSE '' END, doc ->> 'schema', doc ->> 'name') AS tree) t,
           LATERAL rebeco.image_finders(c.all_names, c.all_values, c.all_arrays) f
$$;

-- Which of these columns has an index that finds so many images for less than a scan of the table costs:
-- its place among them, 0 for none. Without statistics only a unique index is trusted.
CREATE FUNCTION rebeco.image_index(relation regclass, names text[], types text[], images bigint) RETURNS int
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((
        SELECT f.ordinal::int
          FROM pg_class c
          JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
          JOIN pg_class ic ON ic.oid = i.indexrelid
          JOIN pg_am m ON m.oid = ic.relam AND m.amname = 'btree'
          JOIN pg_opclass o ON o.oid = i.indclass[0] AND o.opcdefault
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] AND a.attcollation = i.indcollation[0]
          JOIN unnest(names, types) WITH ORDINALITY f (name, type, ordinal) ON f.name = a.attname
                AND f.type = format_type(rebeco.base_type(a.atttypid), -1)
          LEFT JOIN pg_stats s ON s.schemaname = (SELECT n.nspname FROM pg_namespace n WHERE n.oid = c.relnamespace)
                AND s.tablename = c.relname AND s.attname = a.attname AND s.inherited = (c.relkind = 'p')
         CROSS JOIN LATERAL (
               SELECT CASE WHEN i.indisunique AND i.indnkeyatts = 1 THEN 1
                           WHEN s.n_distinct < 0 THEN -1 / s.n_distinct
                           WHEN s.n_distinct > 0 THEN c.reltuples / s.n_distinct END
                      * images + coalesce((s.most_common_freqs)[1], 0) * c.reltuples AS rows) e
         WHERE c.oid = relation AND c.reltuples > 5000 AND e.rows < c.reltuples / 20
         ORDER BY e.rows LIMIT 1), 0)
$$;

-- Removes one row for each image given, and gives how many. It fails when there are fewer. Where an index
-- finds them for less than a scan of the table, it is used, but for images that have no value there.
-- `cells` has for each image its values of the columns `names`.
CREATE FUNCTION rebeco.image_remove(tree text, image text, number text, images text[], numbers bigint[],
        names text[], types text[], cells text[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    removed bigint;
    finder int := rebeco.image_index(regexp_replace(tree, '^ONLY ', '')::regclass, names, types, cardinality(images));
    found_by text[]; by_index text[]; the_rest text[]; their_numbers bigint[];
BEGIN
    IF finder > 0 THEN
        SELECT array_agg(c.cell ORDER BY c.place) INTO found_by
          FROM unnest(cells) WITH ORDINALITY c (cell, place)
         WHERE (c.place - 1) % cardinality(names) = finder - 1;
        SELECT array_agg(i.image) FILTER (WHERE i.cell IS NOT NULL), array_agg(i.image) FILTER (WHERE i.cell IS NULL),
               array_agg(i.number) FILTER (WHERE i.cell IS NULL), array_agg(i.cell) FILTER (WHERE i.cell IS NOT NULL)
          INTO by_index, the_rest, their_numbers, found_by
          FROM unnest(images, numbers, found_by) i (image, number, cell);
        removed := rebeco.image_remove_by_index(tree, image, by_index, found_by, names[finder], types[finder])
                   + rebeco.image_remove_by_scan(tree, image, number, the_rest, their_numbers);
    ELSE
        removed := rebeco.image_remove_by_scan(tree, image, number, images, numbers);
    END IF;
    IF removed < cardinality(images) THEN
        RAISE EXCEPTION '% of % rows that are to be removed from % are not there', cardinality(images) - removed, cardinality(images), tree
            USING ERRCODE = 'RB020', DETAIL = 'Somebody else has changed the table at the target.',
                  HINT = 'Find out who writes there, then have the table copied again: rebeco resync.';
    END IF;
    RETURN removed;
END
$$;

-- In one scan of the table. The text of a row is only made where its number is that of an image (IS TRUE
-- keeps the server from hashing it for every row), unless many images have the same number.
CREATE FUNCTION rebeco.image_remove_by_scan(tree text, image text, number text, images text[], numbers bigint[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = on
    SET enable_hashjoin = on
AS $$
DECLARE
    n bigint;
    is_same text := format('w.image = %s', image);
BEGIN
    IF images IS NULL THEN
        RETURN 0;
    END IF;
    SELECT max(i.n) INTO n
      FROM (SELECT count(DISTINCT i.image COLLATE "C") AS n FROM unnest(images, numbers) i (image, number) GROUP BY i.number) i;
    IF n <= 3 THEN
        is_same := format('w.number = %s AND (%s) IS TRUE', number, is_same);
    END IF;
    RETURN rebeco.image_remove_found(format($f$
        WITH wanted AS MATERIALIZED (SELECT i.image, i.number, count(*) AS n FROM unnest($1, $2::bigint[]) i (image, number) GROUP BY i.image, i.number)
        SELECT f.relation, array_agg(f.place) AS places
          FROM (SELECT t.tableoid AS relation, t.ctid AS place, w.n, row_number() OVER (PARTITION BY w.image) AS number
                  FROM %s t JOIN wanted w ON %s) f
         WHERE f.number <= f.n
         GROUP BY f.relation$f$, tree, is_same), images, numbers::text[]);
END
$$;

-- By an index that begins with the column: a probe for each image. (A seqscan here would be one for each.)
CREATE FUNCTION rebeco.image_remove_by_index(tree text, image text, images text[], cells text[], name text, type text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
AS $$
BEGIN
    IF images IS NULL THEN
        RETURN 0;
    END IF;
    RETURN rebeco.image_remove_found(format($f$
        WITH wanted AS MATERIALIZED (SELECT i.image, i.cell, count(*) AS n FROM unnest($1, $2) i (image, cell) GROUP BY i.image, i.cell)
        SELECT f.relation, array_agg(f.place) AS places
          FROM (SELECT t.relation, t.place, w.n, row_number() OVER (PARTITION BY w.image) AS number
                  FROM wanted w
                 CROSS JOIN LATERAL (SELECT t.tableoid AS relation, t.ctid AS place FROM %s t
                                      WHERE t.%I = w.cell::%s AND (w.image = %s) IS TRUE) t) f
         WHERE f.number <= f.n
         GROUP BY f.relation$f$, tree, name, type, image), images, cells);
END
$$;

-- Removes the rows that a query over two arrays gives: relation oid, places tid[].
CREATE FUNCTION rebeco.image_remove_found(query text, images text[], more text[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
    n bigint;
    removed bigint := 0;
BEGIN
    FOR part IN EXECUTE query USING images, more LOOP
        EXECUTE format('DELETE FROM ONLY %s WHERE ctid = ANY ($1)', part.relation::regclass) USING part.places;
        GET DIAGNOSTICS n = ROW_COUNT;
        removed := removed + n;
    END LOOP;
    RETURN removed;
END
$$;

-- The file of a table, or a number for all the files of its partitions; NULL when it is gone. As it is
-- now, whatever snapshot the transaction has.
CREATE FUNCTION rebeco.image_file(relation oid) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(pg_relation_filenode(relation)::bigint,
                    (SELECT coalesce(sum(t.relid::bigint * pg_relation_filenode(t.relid)::bigint % 1000000007) FILTER (WHERE t.isleaf), 0)::bigint
                       FROM pg_partition_tree(relation) t HAVING count(*) > 0))
$$;

-- Marks a table as copied in one piece, in the transaction that loaded it: its changes count from the
-- snapshot that was read.
CREATE FUNCTION rebeco.image_copied(sync_name text, table_id int, read_in txid_snapshot) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE rebeco.sync_table SET snapshot = read_in WHERE sync = sync_name AND id = table_id
$$;
