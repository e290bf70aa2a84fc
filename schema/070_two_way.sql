-- What a two-way sync needs at both ends: which keys were changed at both, who wins, and what was lost.
-- replicator/two_way.c says in which order these functions are called, and why that converges.
--
-- A change is in the round from `since` to `until` when its transaction is visible in `until` and not in
-- `since`: exact, whenever it is asked. Keys travel as JSON arrays of their columns' text.

-- Rows that were changed at both ends, and what was decided. The same rows at both ends.
CREATE TABLE rebeco.conflict (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync text NOT NULL,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    key json NOT NULL,
    kind text NOT NULL,                 -- as PostgreSQL 18 would call it at this end; parent_kept, parent_removed: batch_foreign_key.c
    source_row json,                    -- NULL: it was deleted there
    target_row json,
    source_at timestamptz NOT NULL,     -- when it was changed, by each end's own clock
    target_at timestamptz NOT NULL,
    policy text NOT NULL,
    decision text NOT NULL,             -- source, target or skip
    batch text NOT NULL,                -- the snapshots of both ends in which the rows were read
    decided_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE UNIQUE INDEX conflict_once ON rebeco.conflict (sync, table_schema, table_name, md5(key::text), source_at, target_at);
CREATE INDEX conflict_age ON rebeco.conflict (decided_at);

-- Who wins where both ends have changed a row. Depends on nothing but its arguments: two rounds that
-- see the same facts decide the same. `target_at` is by the source's clock here. A tie is the source's.
CREATE FUNCTION rebeco.conflict_winner(policy text, source_at timestamptz, target_at timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE policy WHEN 'latest' THEN CASE WHEN target_at > source_at THEN 'target' ELSE 'source' END ELSE policy END
$$;

-- A row in JSON, as it can be taken apart: a column of type json may hold escapes (\u0000, half a surrogate pair) that it can hold and
-- nothing can read, and then no part of the document can be read. Each \u becomes a character and a u; and back, as text.
CREATE FUNCTION rebeco.json_shielded(doc json) RETURNS json
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT replace(doc::text, '\u', '\u0001u')::json
$$;

CREATE FUNCTION rebeco.json_bare(doc json) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT replace(doc::text, '\u0001u', '\u')
$$;

-- The same, only where there may be such an escape: for eyes, and for columns in which there is no room for it.
CREATE FUNCTION rebeco.json_readable(doc json) RETURNS json
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN doc::text ~* '\\u(0000|d[89a-f])' THEN rebeco.json_shielded(doc) ELSE doc END
$$;

-- What PostgreSQL 18 calls a conflict at the end where `local` is, when the other's row arrives.
CREATE FUNCTION rebeco.conflict_kind(local_row json, other_row json, both_new boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN other_row IS NULL THEN 'delete_origin_differs'
                WHEN local_row IS NULL THEN 'update_missing'
                WHEN both_new THEN 'insert_exists'
                ELSE 'update_origin_differs' END
$$;

-- No trigger of a two-way sync's table may do again, for rows that arrive, what it did at the other end, and no rule: what a rule
-- adds is a statement of ours, which nothing captures, and the server takes none in our INSERT (data-modifying statements in WITH),
-- whatever its condition is. Where another sync reads the table, what we apply must be logged for it.
CREATE FUNCTION rebeco.two_way_may_capture(capture_id int, consumer text, two_way boolean) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    unsafe text;
BEGIN
    IF two_way THEN
        SELECT rebeco.acts_on_arrivals(c.relid) INTO unsafe FROM rebeco.capture c WHERE c.id = two_way_may_capture.capture_id;
    END IF;
    IF unsafe IS NOT NULL THEN
        RAISE EXCEPTION 'this would act here on rows that arrive from the other end: %', unsafe
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Make each trigger anew at both ends with WHEN (current_setting(''rebeco.applying'', true) IS DISTINCT FROM ''on''), and put such a one in the place of a rule; or disable it, or leave the table out of the sync.';
    END IF;
    PERFORM rebeco.chain_join(capture_id, consumer);
    RETURN true;
END
$$;

-- The texts of which the statements below are made. In them l is the log, f the keys that were given, x
-- the table; $1 and $2 are the round's snapshots, $3 the given keys. What the asking session's own pair of
-- syncs has applied is left out (schema/073_chain.sql). Of a key's log rows (l, grouped) `is_acted` says whether all that changed it was a
-- foreign key, after our own writing. The time of the last change is that of any: by it batch_half.c knows what came after a decision.
CREATE FUNCTION rebeco.two_way_texts(capture_id int, OUT log text, OUT keys text, OUT key_texts text, OUT given text,
        OUT given_texts text, OUT log_match text, OUT row_match text, OUT row_texts text, OUT row_log_match text, OUT row_md5 text, OUT relation text, OUT is_acted text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format($f$(SELECT * FROM rebeco.log_%1$s_0 WHERE xid >= txid_snapshot_xmin($1) AND NOT txid_visible_in_snapshot(xid, $1)
                         AND ($2 IS NULL OR txid_visible_in_snapshot(xid, $2))
                         AND (origin IS NULL OR origin <> coalesce(current_setting('rebeco.origin', true), ''))
                      UNION ALL
                      SELECT * FROM rebeco.log_%1$s_1 WHERE xid >= txid_snapshot_xmin($1) AND NOT txid_visible_in_snapshot(xid, $1)
                         AND ($2 IS NULL OR txid_visible_in_snapshot(xid, $2))
                         AND (origin IS NULL OR origin <> coalesce(current_setting('rebeco.origin', true), '')))$f$, c.id),
           string_agg('l.k' || k.n, ', ' ORDER BY k.n),
           string_agg(format('l.k%s::text', k.n), ', ' ORDER BY k.n),
           format('(SELECT e.n, %s FROM json_array_elements($3) WITH ORDINALITY e (v, n))',
                  string_agg(format('%s AS f%s', rebeco.from_text(format('e.v ->> %s', k.n - 1), k.type), k.n), ', ' ORDER BY k.n)),
           string_agg(format('f.f%s::text', k.n), ', ' ORDER BY k.n),
           string_agg(format('l.k%s %s f.f%s', k.n, k.equals, k.n), ' AND ' ORDER BY k.n),
           string_agg(format('x.%I%s %s f.f%s', k.name, d.cast, k.equals, k.n), ' AND ' ORDER BY k.n),
           string_agg(format('(x.%I::%s)::text COLLATE "C"', k.name, k.type), ', ' ORDER BY k.n), -- types may have collations, of which only one may be in a list
           string_agg(format('x.%I%s %s l.k%s', k.name, d.cast, k.equals, k.n), ' AND ' ORDER BY k.n),
           (SELECT format('md5(ROW(%s)::text)', string_agg(format('x.%I', a.attname), ', ' ORDER BY a.attname COLLATE "C"))
              FROM pg_attribute a WHERE a.attrelid = c.relid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
           format('%s%s', CASE WHEN c.is_partitioned THEN '' ELSE 'ONLY ' END, c.relid::regclass),
           CASE WHEN c.passes_on THEN 'false' ELSE 'bool_and(again IS FALSE)' END
      FROM rebeco.capture c, unnest(c.key_columns, c.key_types, c.key_equals) WITH ORDINALITY k (name, type, equals, n)
      LEFT JOIN LATERAL (SELECT '::' || k.type AS cast FROM rebeco.capture o JOIN pg_type t ON t.oid = o.key_typids[k.n]
                          WHERE o.id = two_way_texts.capture_id AND t.typtype = 'd') d ON true -- as in rebeco.capture_keys()
     WHERE c.id = two_way_texts.capture_id
     GROUP BY c.id, c.is_partitioned, c.relid, c.passes_on
$$;

-- Where many keys were changed in a round, each is read once, and kept with its number (n) and what two_way_details() says of
-- it until the transaction ends: a round costs either end one reading of its log, and a search in an index for each key, in
-- however many slices they are asked about. Gives the table's name, or NULL where this role may make none: then each slice reads the log.
-- The index is made with the operators of the key's own, so that it finds whatever is equal there.
CREATE FUNCTION rebeco.two_way_gather(capture_id int, since txid_snapshot, until txid_snapshot) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
AS $$
DECLARE
    gathered text := format('pg_temp.rebeco_round_%s', capture_id);
    operators text;
    t record;
BEGIN
    IF to_regclass(gathered) IS NOT NULL THEN
        RETURN gathered;
    END IF;
    SELECT string_agg(format('k%s %I.%I', k.n, s.nspname, o.opcname), ', ' ORDER BY k.n) INTO operators
      FROM rebeco.capture c
      JOIN pg_index i ON i.indrelid = c.relid
      JOIN pg_class r ON r.oid = i.indexrelid AND r.relname = c.key_index
     CROSS JOIN generate_series(1, i.indnkeyatts) k (n)
      JOIN pg_opclass o ON o.oid = i.indclass[k.n - 1]
      JOIN pg_namespace s ON s.oid = o.opcnamespace
     WHERE c.id = capture_id;
    IF operators IS NULL OR NOT has_database_privilege(current_database(), 'TEMPORARY') THEN
        RETURN NULL;
    END IF;
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_id);
    EXECUTE format('CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT 0::bigint AS n, %s, at, is_new, again AS is_acted FROM rebeco.log_%s_0 l WITH NO DATA', gathered, t.keys, capture_id);
    EXECUTE format('INSERT INTO %s SELECT row_number() OVER (), l.* FROM (SELECT %2$s, max(l.at), (array_agg(l.is_new ORDER BY l.at))[1], %4$s FROM %3$s l WHERE op IS NULL GROUP BY %2$s) l',
                   gathered, t.keys, t.log, t.is_acted) USING since, until;
    EXECUTE format('CREATE INDEX ON %s (n)', gathered);
    EXECUTE format('CREATE INDEX ON %s (%s)', gathered, operators);
    RETURN gathered;
END
$$;

-- The keys that were changed here in a round: those among the given ones; all of them where none are
-- given (NULL) or `with_own`; and `with_given`, because this end was truncated, every given one. Many of this end's are
-- taken in slices: the daemon holds one at a time. Only the end that is asked first has slices; the other one finds
-- a slice's keys among all of its own, by their operators, so nothing depends on how both ends write them.
CREATE FUNCTION rebeco.two_way_keys(capture_id int, since txid_snapshot, until txid_snapshot, given json,
        with_own boolean, with_given boolean, slice int DEFAULT 0, slices int DEFAULT 1) RETURNS json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
    SET enable_nestloop = off
AS $$
DECLARE
    gathered text := CASE WHEN slices > 1 AND NOT with_given THEN rebeco.two_way_gather(capture_id, since, until) END;
    t record;
    answer json;
BEGIN
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_id);
    IF gathered IS NULL THEN
        EXECUTE format('WITH l AS MATERIALIZED (SELECT DISTINCT %1$s FROM %2$s l WHERE op IS NULL), f AS MATERIALIZED %3$s '
                       'SELECT json_agg(doc) FROM (SELECT json_build_array(%4$s) AS doc FROM l%5$s%6$s) a',
                       t.keys, t.log, t.given, t.key_texts,
                       CASE WHEN NOT with_own AND given IS NOT NULL THEN format(' WHERE EXISTS (SELECT 1 FROM f WHERE %s)', t.log_match)
                            WHEN slices > 1 THEN format(' WHERE (''x'' || substr(md5(json_build_array(%s)::text), 1, 7))::bit(28)::int %% $5 = $4', t.key_texts) END,
                       CASE WHEN with_given THEN format(' UNION ALL SELECT json_build_array(%s) FROM f WHERE NOT EXISTS (SELECT 1 FROM l WHERE %s)',
                                                        t.given_texts, t.log_match) END)
           INTO answer USING since, until, coalesce(given, '[]'), slice, slices;
    ELSIF given IS NULL OR with_own THEN
        EXECUTE format('WITH m AS MATERIALIZED (SELECT coalesce(max(n), 0) AS n FROM %1$s) '
                       'SELECT json_agg(json_build_array(%2$s)) FROM %1$s l WHERE l.n > (SELECT m.n * $1 / $2 FROM m) AND l.n <= (SELECT m.n * ($1 + 1) / $2 FROM m)',
                       gathered, t.key_texts)
           INTO answer USING slice, slices;
    ELSE
        EXECUTE format('SELECT json_agg(json_build_array(%s)) FROM (SELECT DISTINCT ON (l.n) l.* FROM %s f CROSS JOIN LATERAL '
                       '(SELECT l.* FROM %s l WHERE %s OFFSET 0) l ORDER BY l.n) l', t.key_texts, t.given, gathered, t.log_match)
           INTO answer USING since, until, given;
    END IF;
    RETURN coalesce(answer, '[]');
END
$$;

-- Of the given keys those that were changed here in a round, a truncation counting for all that are not
-- here any more: what is here and not in the log came from the other end afterwards. Their place in the list (i), key (k), time of the last change (at), whether the
-- first was an INSERT (new), whether nothing but a foreign key has changed it, at our writing (acted), whether there may be more than two ends (chain), the row, and whether it was changed after the
-- round (later), so that the row is not the round's: at the end that is not asked in the round's snapshot (the row: shielded); what the
-- row is to the letter (md5): in JSON a jsonb null looks like NULL, arrays have no bounds, and types that have a cast to it may leave out more.
-- and where rows are merged, what rebeco.merge_details() says (half_of, side: as there). In a round with slices there was no truncation.
--
-- Rows may be large and many: a page ends with the key by which it comes to `max_bytes` (NULL: never), and `done` is how many of the
-- given keys it is about, in their order. Rows are read one by one, and none that is not in it.
CREATE FUNCTION rebeco.two_way_page(capture_id int, since txid_snapshot, until txid_snapshot, given json, slices int,
        half_of text, side text, max_bytes bigint, OUT details json, OUT done int)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
    SET cursor_tuple_fraction = 1
AS $$
DECLARE
    gathered text := format('pg_temp.rebeco_round_%s', capture_id);
    t record;
    one refcursor;
    n bigint;
    doc json;
    docs json[] := '{}';
    bytes bigint := 0;
BEGIN
    IF slices > 1 THEN
        gathered := rebeco.two_way_gather(capture_id, since, until);
    ELSIF to_regclass(gathered) IS NULL THEN
        gathered := NULL;
    END IF;
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_id);
    OPEN one NO SCROLL FOR EXECUTE format('WITH f AS MATERIALIZED %1$s, after AS MATERIALIZED (SELECT * FROM %13$s l WHERE again IS NOT TRUE), %2$s '
                   'SELECT f.n, json_build_object(''i'', f.n, ''k'', f.k, ''at'', f.at, ''new'', f.is_new, ''acted'', f.is_acted, ''chain'', %4$L::boolean, ''row'', r.doc, ''md5'', r.md5, ''later'', f.is_later, ''merge'', f.merge) '
                   'FROM (SELECT f.*, json_build_array(%3$s) AS k, greatest(l.at, cut.at) AS at, l.at IS NOT NULL AS is_logged, l.is_new, l.is_acted AND cut.at IS NULL AS is_acted, a.is_later, m.doc AS merge '
                   'FROM cut CROSS JOIN f LEFT JOIN LATERAL (SELECT l.* FROM %5$s l WHERE %6$s%7$s) l ON true '
                   'LEFT JOIN json_array_elements(rebeco.merge_details(%10$s, $1, $2, $3, %14$L, %15$L)) m (doc) ON (m.doc ->> ''i'')::bigint = f.n '
                   'LEFT JOIN (SELECT DISTINCT %11$s FROM after l WHERE op IS NULL) h ON %12$s '
                   'CROSS JOIN LATERAL (SELECT h.k1 IS NOT NULL OR (SELECT count(*) FROM after WHERE op = ''T'') > 0 AS is_later) a '
                   'WHERE l.at IS NOT NULL OR cut.at IS NOT NULL ORDER BY f.n OFFSET 0) f '
                   'LEFT JOIN LATERAL (SELECT rebeco.json_shielded(row_to_json(x.*)) AS doc, %16$s AS md5 FROM %8$s x WHERE %9$s LIMIT 1) r ON true '
                   'WHERE f.is_logged OR r.doc IS NULL OR f.is_later',
                   t.given,
                   CASE WHEN gathered IS NOT NULL THEN 'cut AS (SELECT NULL::timestamptz AS at)'
                        ELSE format('c AS MATERIALIZED (SELECT %1$s, max(l.at) AS at, (array_agg(l.is_new ORDER BY l.at))[1] AS is_new, %4$s AS is_acted FROM %2$s l '
                                    'WHERE op IS NULL AND EXISTS (SELECT 1 FROM f WHERE %3$s) GROUP BY %1$s), '
                                    'cut AS MATERIALIZED (SELECT max(l.at) AS at FROM %2$s l WHERE op = ''T'')', t.keys, t.log, t.log_match, t.is_acted) END,
                   t.given_texts, (SELECT c.passes_on FROM rebeco.capture c WHERE c.id = capture_id),
                   coalesce(gathered, 'c'), t.log_match,
                   CASE WHEN gathered IS NOT NULL THEN ' OFFSET 0' ELSE '' END, t.relation, t.row_match, capture_id,
                   t.keys, replace(t.log_match, 'l.k', 'h.k'), replace(replace(t.log, '$2', 'NULL::txid_snapshot'), '$1', '$2'), half_of, side, t.row_md5)
      USING since, until, given;
    LOOP
        FETCH one INTO n, doc;
        IF NOT FOUND THEN
            done := json_array_length(given);
            EXIT;
        END IF;
        docs := docs || doc;
        bytes := bytes + octet_length(doc::text);
        IF bytes >= max_bytes THEN
            done := n;
            EXIT;
        END IF;
    END LOOP;
    CLOSE one;
    details := concat('[', array_to_string(docs, ','), ']')::json;
END
$$;

-- All of them as one.
CREATE FUNCTION rebeco.two_way_details(capture_id int, since txid_snapshot, until txid_snapshot, given json, slices int DEFAULT 1,
        half_of text DEFAULT NULL, side text DEFAULT NULL) RETURNS json
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.details FROM rebeco.two_way_page(capture_id, since, until, given, slices, half_of, side, NULL) p
$$;

-- Decides, at the target, every key that both ends have changed. `source` is what two_way_details says
-- there; half_of: as in rebeco.merge_details(), for the target. Rows that are equal are no conflict, and what only a foreign key has done at one end, at our
-- writing, is none either: it gives way to the change of the other. Where rows are equal, and the target's has become so after the round, neither goes to the other end, since
-- what would come from there is how it was in the round. A policy with a dot in it is a function of the user's: (table text, key json, source_row json,
-- target_row json, source_at timestamptz, target_at timestamptz), which answers source, target or skip.
-- Result: read, keep: keys that are not sent to the target, as the source and as the target write them;
-- back_read, back_keep: those not sent to the source, as the target and as the source write them;
-- records for rebeco.conflicts_add, rows as text, so that the daemon leaves their numbers alone; abort: how many
-- are not to be decided; merge, back_merge: keys of rows of which both changes are kept, with what is written at
-- the target and at the source; they are not sent else; pairs: the merged rows' keys at both ends and which columns
-- are set there; again: a row that is merged has gone or come meanwhile, so that the round must be made again;
-- done: a page of details (rebeco.two_way_page) was decided up to this place of its keys only, since the rows here are large;
-- NULL: all of it.
CREATE FUNCTION rebeco.two_way_decide(capture_id int, since txid_snapshot, until txid_snapshot, source json,
        policy text, target_is_ahead interval, half_of text DEFAULT NULL, slices int DEFAULT 1, max_bytes bigint DEFAULT NULL) RETURNS json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
AS $$
DECLARE
    theirs json;
    decided int;
    table_name text;
    resolver text;
    pair record;
    winner text;
    to_target json[] := '{}';
    kept_at_target json[] := '{}';
    to_source json[] := '{}';
    kept_at_source json[] := '{}';
    records json[] := '{}';
    aborted int := 0;
    merges boolean;
    blocks jsonb;
    pairs json[] := '{}';
    is_merged boolean;
    is_unsure boolean := false;
    is_clash boolean := false;
    clash_source_at timestamptz;
    clash_target_at timestamptz;
    merged_at_source jsonb;
    merged_at_target jsonb;
    ours text[] := ARRAY[current_setting('rebeco.applying', true), current_setting('rebeco.applying_depth', true), current_setting('rebeco.origin', true)];
    to_merge json[] := '{}';
    back_to_merge json[] := '{}';
BEGIN
    SELECT true, rebeco.merge_blocks(m.capture_id) INTO merges, blocks FROM rebeco.merge m WHERE m.capture_id = two_way_decide.capture_id;
    SELECT format('%I.%I', n.nspname, r.relname) INTO STRICT table_name
      FROM rebeco.capture c JOIN pg_class r ON r.oid = c.relid JOIN pg_namespace n ON n.oid = r.relnamespace
     WHERE c.id = capture_id;
    IF strpos(policy, '.') > 0 THEN
        resolver := format('SELECT %s($1, $2, $3, $4, $5, $6)', policy::regproc);
    END IF;
    SELECT p.details, p.done INTO theirs, decided
      FROM rebeco.two_way_page(capture_id, since, until, (SELECT json_agg(g.doc -> 'k' ORDER BY g.n) FROM json_array_elements(source) WITH ORDINALITY g (doc, n)),
                               slices, half_of, 'target', max_bytes) p;
    IF resolver IS NOT NULL THEN -- what the function writes is nothing that the other end has: it is a change of this one
        PERFORM set_config('rebeco.applying', '', true), set_config('rebeco.applying_depth', '', true), set_config('rebeco.origin', '', true);
    END IF;
    FOR pair IN
        SELECT s.k AS source_key, t.k AS target_key, s.row AS source_row, t.row AS target_row, s.at AS source_at, t.at AS target_at,
               coalesce(s.new AND t.new, false) AS both_new, s.chain OR t.chain AS in_chain,
               coalesce(s.acted, false) AS source_is_acted, coalesce(t.acted, false) AS target_is_acted, t.later AS is_later, s.md5 IS NOT DISTINCT FROM t.md5 AS is_same, s.merge AS source_merge, t.merge AS target_merge,
               NOT coalesce((s.merge ->> 'whole')::boolean OR (t.merge ->> 'whole')::boolean, true) AS is_merged
          FROM ROWS FROM (json_to_recordset(source) AS (k json, at timestamptz, new boolean, acted boolean, chain boolean, "row" json, md5 text, merge json)) WITH ORDINALITY s (k, at, new, acted, chain, "row", md5, merge, n)
          JOIN json_to_recordset(theirs) t (i bigint, k json, at timestamptz, new boolean, acted boolean, chain boolean, "row" json, md5 text, later boolean, merge json) ON t.i = s.n
    LOOP
        is_merged := merges IS NOT NULL AND pair.is_merged;
        IF NOT is_merged AND pair.is_same THEN
            CONTINUE WHEN NOT pair.is_later;
            to_target := to_target || pair.source_key;
            kept_at_target := kept_at_target || pair.target_key;
            to_source := to_source || pair.target_key;
            kept_at_source := kept_at_source || pair.source_key;
            CONTINUE;
        END IF;
        IF pair.source_is_acted AND NOT pair.target_is_acted THEN
            to_target := to_target || pair.source_key;
            kept_at_target := kept_at_target || pair.target_key;
            CONTINUE;
        ELSIF pair.target_is_acted AND NOT pair.source_is_acted THEN
            to_source := to_source || pair.target_key;
            kept_at_source := kept_at_source || pair.source_key;
            CONTINUE;
        END IF;
        IF is_merged THEN
            is_unsure := is_unsure OR (pair.source_merge ->> 'unsure')::boolean OR (pair.target_merge ->> 'unsure')::boolean;
            SELECT r.* INTO is_clash, clash_source_at, clash_target_at, merged_at_source, merged_at_target
              FROM rebeco.merge_row(blocks, pair.source_merge, pair.target_merge, NULL) r;
            pair.source_at := coalesce(clash_source_at, pair.source_at);
            pair.target_at := coalesce(clash_target_at, pair.target_at);
        END IF;
        winner := CASE WHEN pair.in_chain THEN rebeco.chain_winner(policy, pair.source_at, pair.target_at, pair.source_row, pair.target_row)
                       ELSE rebeco.conflict_winner(policy, pair.source_at, pair.target_at - target_is_ahead) END;
        IF is_merged AND NOT is_clash THEN
            winner := NULL;
        ELSIF resolver IS NOT NULL THEN
            EXECUTE resolver INTO winner USING table_name, pair.source_key, rebeco.json_bare(pair.source_row)::json, rebeco.json_bare(pair.target_row)::json, pair.source_at, pair.target_at;
        END IF;
        IF winner = 'abort' THEN
            aborted := aborted + 1;
            CONTINUE;
        ELSIF is_merged AND NOT is_clash THEN
            NULL;
        ELSIF winner IS NULL OR winner NOT IN ('source', 'target', 'skip') THEN
            RAISE EXCEPTION 'the conflict policy % answered % for %', policy, coalesce(quote_literal(winner), 'NULL'), table_name
                USING ERRCODE = 'invalid_parameter_value', HINT = 'It must answer source, target or skip.';
        END IF;
        IF is_merged AND winner IS NOT NULL THEN
            SELECT r.to_source, r.to_target INTO merged_at_source, merged_at_target
              FROM rebeco.merge_row(blocks, pair.source_merge, pair.target_merge, winner) r;
            SELECT v.source_row, v.target_row INTO pair.source_row, pair.target_row
              FROM rebeco.merge_versions(blocks, pair.source_merge, pair.target_merge, pair.source_row, pair.target_row) v;
        END IF;
        IF is_merged AND merged_at_target IS NOT NULL THEN
            to_merge := to_merge || (pair.target_key::jsonb || jsonb_build_array(merged_at_target))::json;
        END IF;
        IF is_merged AND merged_at_source IS NOT NULL THEN
            back_to_merge := back_to_merge || (pair.source_key::jsonb || jsonb_build_array(merged_at_source))::json;
        END IF;
        IF is_merged THEN
            pairs := pairs || json_build_object('source', pair.source_key, 'target', pair.target_key,
                'source_set', ARRAY(SELECT jsonb_object_keys(merged_at_source -> 'set')), 'target_set', ARRAY(SELECT jsonb_object_keys(merged_at_target -> 'set')));
        END IF;
        IF is_merged OR winner <> 'source' THEN
            to_target := to_target || pair.source_key;
            kept_at_target := kept_at_target || pair.target_key;
        END IF;
        IF is_merged OR winner <> 'target' THEN
            to_source := to_source || pair.target_key;
            kept_at_source := kept_at_source || pair.source_key;
        END IF;
        CONTINUE WHEN winner IS NULL;
        records := records || json_build_object('key', pair.source_key, 'source_row', rebeco.json_bare(pair.source_row), 'target_row', rebeco.json_bare(pair.target_row),
            'source_at', pair.source_at, 'target_at', pair.target_at, 'both_new', pair.both_new, 'decision', winner);
    END LOOP;
    IF resolver IS NOT NULL THEN
        PERFORM set_config('rebeco.applying', coalesce(ours[1], ''), true), set_config('rebeco.applying_depth', coalesce(ours[2], ''), true),
                set_config('rebeco.origin', coalesce(ours[3], ''), true);
    END IF;
    RETURN json_build_object('read', to_json(to_target), 'keep', to_json(kept_at_target), 'back_read', to_json(to_source),
                             'back_keep', to_json(kept_at_source), 'records', to_json(records), 'abort', aborted,
                             'merge', to_json(to_merge), 'back_merge', to_json(back_to_merge), 'pairs', to_json(pairs), 'again', is_unsure,
                             'done', CASE WHEN decided < json_array_length(source) THEN (source -> (decided - 1) ->> 'i')::int END);
END
$$;

-- Forgets what is older than `keep`, a piece at a time; a round that does so too may be open for long.
CREATE FUNCTION rebeco.conflicts_prune(keep interval) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM rebeco.conflict o
     WHERE o.id IN (SELECT x.id FROM rebeco.conflict x WHERE x.decided_at < clock_timestamp() - keep ORDER BY x.decided_at LIMIT 1000 FOR UPDATE SKIP LOCKED)
$$;

-- Writes down what was decided, in the transaction that carries it out at this end (`side`: source or
-- target). A round that is made again finds what it wrote before. What is older than `keep` goes.
CREATE FUNCTION rebeco.conflicts_add(sync_name text, side text, table_schema text, table_name text, policy text,
        batch text, records json, keep interval) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT rebeco.conflicts_prune(keep);
    INSERT INTO rebeco.conflict (sync, table_schema, table_name, key, kind, source_row, target_row, source_at, target_at, policy, decision, batch)
    SELECT sync_name, table_schema, table_name, r.key,
           coalesce(substring(r.kind FROM '^parent_.*'),
                    rebeco.conflict_kind(CASE side WHEN 'source' THEN r.source_row ELSE r.target_row END::json,
                                         CASE side WHEN 'source' THEN r.target_row ELSE r.source_row END::json, r.both_new)),
           r.source_row::json, r.target_row::json, r.source_at, r.target_at, policy, r.decision, batch
      FROM json_to_recordset(records) r (key json, kind text, source_row text, target_row text, both_new boolean, source_at timestamptz, target_at timestamptz, decision text)
    ON CONFLICT DO NOTHING
$$;

-- What was decided in the last round that was carried out at this end, for the other one: its commit there may have failed, or been
-- rolled back because a row was changed meanwhile. What was decided before is known there: this is asked before each round
-- that comes after such a half one. Rows are text here, which need not be readable as JSON. In pages, the newest records first, since
-- there may be many: `round`, NULL for the first page, and `before` are what the last one said, which ended at `max_bytes`; `before`
-- NULL: that was all. What a page brings to the other end may be of another round than the last one there.
CREATE FUNCTION rebeco.conflicts_recent(sync_name text, max_bytes bigint, INOUT round text, INOUT before bigint, OUT records json)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    pages CURSOR (upper bigint) FOR
        SELECT c.id, c.sync, c.table_schema, c.table_name, c.key, c.kind, c.source_row::text, c.target_row::text, c.source_at, c.target_at,
               c.policy, c.decision, c.batch, c.decided_at, c.kind = 'insert_exists' AS both_new
          FROM rebeco.conflict c
         WHERE c.sync = sync_name AND c.batch = round AND c.id < upper ORDER BY c.id DESC;
    c record;
    docs json[] := '{}';
    bytes bigint := 0;
BEGIN
    round := coalesce(round, (SELECT l.batch FROM rebeco.conflict l WHERE l.sync = sync_name ORDER BY l.id DESC LIMIT 1));
    OPEN pages (coalesce(before, 9223372036854775807));
    LOOP
        FETCH pages INTO c; -- one at a time: rows may be large
        before := c.id;
        EXIT WHEN NOT FOUND;
        docs := docs || row_to_json(c);
        bytes := bytes + octet_length(docs[cardinality(docs)]::text);
        EXIT WHEN bytes >= max_bytes;
    END LOOP;
    CLOSE pages;
    records := to_json(docs);
END
$$;

-- The same in a few letters, without the rows.
CREATE FUNCTION rebeco.conflicts_digest(sync_name text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat(count(*), ' ', md5(string_agg(d.one, '' ORDER BY d.one COLLATE "C")))
      FROM (SELECT md5(ROW(c.batch, c.table_schema, c.table_name, c.key, c.source_at, c.target_at)::text) AS one FROM rebeco.conflict c
             WHERE c.sync = sync_name AND c.batch = (SELECT l.batch FROM rebeco.conflict l WHERE l.sync = sync_name ORDER BY l.id DESC LIMIT 1)) d
$$;

-- Takes over from the other end what is not here. What is old may have been here, and be forgotten.
CREATE FUNCTION rebeco.conflicts_share(side text, records json, keep interval) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT rebeco.conflicts_add(r.sync, side, r.table_schema, r.table_name, r.policy, r.batch, r.docs, keep)
      FROM (SELECT e.r ->> 'sync' AS sync, e.r ->> 'table_schema' AS table_schema, e.r ->> 'table_name' AS table_name,
                   e.r ->> 'policy' AS policy, e.r ->> 'batch' AS batch, json_agg(e.r ORDER BY e.n) AS docs
              FROM json_array_elements(records) WITH ORDINALITY e (r, n)
             WHERE (e.r ->> 'decided_at')::timestamptz > clock_timestamp() - keep / 2
             GROUP BY 1, 2, 3, 4, 5) r
$$;

-- What others have changed here after a snapshot and is committed now, for the captures that are asked for and
-- have anything: {"id": {"keys": [...], "cut": was it truncated, "lost": is a row that was inserted not there any more,
-- though nobody but a foreign key can have removed it, "spares": rebeco.two_way_may_spare()}}; and the
-- captures that pass on what is applied here: {"passes": [ids]}, if any. `merged` are the rows that the round merges here,
-- {"id": [...]}: changes of those that do no harm are left out.
CREATE FUNCTION rebeco.two_way_late(capture_ids int[], since txid_snapshot, merged json DEFAULT '{}') RETURNS json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    id int;
    t record;
    one jsonb;
    lost boolean;
    found_any jsonb := '{}';
BEGIN
    FOREACH id IN ARRAY capture_ids LOOP
        SELECT * INTO STRICT t FROM rebeco.two_way_texts(id);
        IF t.relation ~ '^(ONLY )?\d+$' THEN -- a number is no name
            RAISE EXCEPTION 'a table was dropped while the round was under way' USING ERRCODE = 'serialization_failure';
        END IF;
        EXECUTE format('SELECT json_build_object(''keys'', coalesce(json_agg(DISTINCT jsonb_build_array(%s)) FILTER (WHERE op IS NULL), ''[]''), ''cut'', bool_or(op IS NOT NULL)) '
                       'FROM %s l WHERE again IS NOT TRUE AND xid <> txid_current()%s HAVING count(*) > 0', t.key_texts, t.log,
                       CASE WHEN merged -> id::text IS NOT NULL THEN ' AND NOT ' || rebeco.merge_is_beside(id, t.given, t.log_match) END)
           INTO one USING since, NULL::txid_snapshot, merged -> id::text;
        CONTINUE WHEN one IS NULL;
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM (SELECT %1$s, (array_agg(l.is_new ORDER BY l.at DESC))[1] AS is_new FROM %2$s l WHERE op IS NULL AND again IS NOT TRUE AND xid <> txid_current() GROUP BY %1$s) l '
                       'LEFT JOIN LATERAL (SELECT true AS is_there FROM %3$s x WHERE %4$s LIMIT 1) r ON true WHERE l.is_new AND r.is_there IS NULL)',
                       t.keys, t.log, t.relation, t.row_log_match)
           INTO lost USING since, NULL::txid_snapshot;
        found_any := found_any || jsonb_build_object(id::text, one || jsonb_build_object('lost', lost, 'spares', rebeco.two_way_may_spare(id)));
    END LOOP;
    SELECT found_any || jsonb_build_object('passes', jsonb_agg(c.id)) INTO one
      FROM rebeco.capture c WHERE c.id = ANY (capture_ids) AND c.passes_on HAVING count(*) > 0;
    RETURN coalesce(one, found_any)::json;
END
$$;

-- Before the commit of what was written to these tables, at the end where that is: has a foreign key acted on a table whose
-- capture took that for ours (the head of schema/010_capture.sql)? One that came before our first lock is seen by now, others wait for it.
-- The same of triggers and rules: what one has made of a row here is not what the row is at the other end.
CREATE FUNCTION rebeco.two_way_check_actions(written oid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    acted regclass;
BEGIN
    SELECT w INTO acted FROM unnest(written) w WHERE rebeco.acts_on_arrivals(w) IS NOT NULL LIMIT 1;
    IF acted IS NOT NULL THEN
        RAISE EXCEPTION 'what acts on rows that arrive came to % a moment ago: %', acted, rebeco.acts_on_arrivals(acted)
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'The table stands still for it in a moment; the others go on.';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_class r WHERE r.oid = ANY (written) AND r.relkind = 'p')
       AND NOT EXISTS (SELECT 1 FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint
                        WHERE t.tgrelid = ANY (written) AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))) THEN
        RETURN;
    END IF;
    SELECT min(c.relid) INTO acted FROM rebeco.capture c WHERE rebeco.capture_is_behind_action(c);
    IF acted IS NOT NULL THEN
        RAISE EXCEPTION 'a foreign key that acts on % came a moment ago', acted
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'How that table is captured is changed for it; the changes are sent again by themselves after that.';
    END IF;
END
$$;

-- After a truncation in a round: the keys that are here. They came after it, some from the other end.
CREATE FUNCTION rebeco.two_way_survivors(capture_id int) RETURNS json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = on
AS $$
DECLARE
    t record;
    answer json;
BEGIN
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_id);
    EXECUTE format('SELECT json_agg(json_build_array(%s)) FROM %s x', t.row_texts, t.relation) INTO answer;
    RETURN coalesce(answer, '[]');
END
$$;

-- Carries out a truncation of the other end: all rows go but those that win against it, those that it has all the same (a foreign
-- key would act on their removal), and those that were changed here after the round (`until`, NULL: these, too), where that does no
-- harm: batch_late.c. What is to go is locked first; then a new statement sees whatever was changed before the lock, and removes nothing unseen.
CREATE FUNCTION rebeco.two_way_clear(capture_id int, winners json, survivors json, until txid_snapshot) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
AS $$
DECLARE
    stay json := (winners::jsonb || survivors::jsonb)::json;
    t record;
    late text := 'false';
BEGIN
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_id);
    IF until IS NOT NULL AND rebeco.two_way_may_spare(capture_id) THEN
        EXECUTE format('WITH f AS MATERIALIZED %s SELECT FROM %s x WHERE NOT EXISTS (SELECT 1 FROM f WHERE %s) FOR UPDATE OF x', t.given, t.relation, t.row_match)
          USING NULL::txid_snapshot, NULL::txid_snapshot, stay;
        late := format('EXISTS (SELECT 1 FROM l WHERE %s)', t.row_log_match);
    END IF;
    EXECUTE format('WITH f AS MATERIALIZED %s, l AS MATERIALIZED (SELECT DISTINCT %s FROM %s l WHERE op IS NULL AND again IS NOT TRUE AND xid <> txid_current()) '
                   'DELETE FROM %s x WHERE NOT EXISTS (SELECT 1 FROM f WHERE %s) AND NOT %s', t.given, t.keys, t.log, t.relation, t.row_match, late)
      USING until, NULL::txid_snapshot, stay;
END
$$;
