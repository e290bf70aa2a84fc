-- Foreign keys between two ends that both take writes. replicator/batch_foreign_key.c says what is wanted of them
-- and why; here is what it asks.
--
-- "Here" is an end whose rows are about to be sent, "there" the other one. A row of this round here that refers
-- to one that was removed there is an orphan. n numbers the tables of the round; a row's name is its table and key.

-- What was removed here in a round, for each of the tables {n, id, since}: {n, keys: [{k, at}], cut, there}: its keys with
-- the time of their removal; if it was truncated, when, and the keys that it has all the same.
CREATE FUNCTION rebeco.two_way_gone(tables json, until txid_snapshot) RETURNS json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
    SET enable_seqscan = on
AS $$
DECLARE
    doc json;
    t record;
    keys json;
    cut timestamptz;
    there json;
    answer json[] := '{}';
BEGIN
    FOR doc IN SELECT e.v FROM json_array_elements(tables) e (v) LOOP
        SELECT * INTO STRICT t FROM rebeco.two_way_texts((doc ->> 'id')::int);
        EXECUTE format('SELECT json_agg(json_build_object(''k'', json_build_array(%3$s), ''at'', l.at)) '
                       'FROM (SELECT %1$s, max(l.at) AS at FROM %2$s l WHERE op IS NULL GROUP BY %1$s) l '
                       'LEFT JOIN LATERAL (SELECT true AS is_there FROM %4$s x WHERE %5$s LIMIT 1) r ON true WHERE r.is_there IS NULL',
                       t.keys, t.log, t.key_texts, t.relation, t.row_log_match)
           INTO keys USING (doc ->> 'since')::txid_snapshot, until;
        EXECUTE format('SELECT max(l.at) FROM %s l WHERE op = ''T''', t.log)
           INTO cut USING (doc ->> 'since')::txid_snapshot, until;
        there := NULL;
        IF cut IS NOT NULL THEN
            EXECUTE format('SELECT json_agg(json_build_array(%s)) FROM %s x', t.row_texts, t.relation) INTO there;
        END IF;
        CONTINUE WHEN keys IS NULL AND cut IS NULL;
        answer := answer || json_build_object('n', doc -> 'n', 'keys', coalesce(keys, '[]'), 'cut', cut, 'there', coalesce(there, '[]'));
    END LOOP;
    RETURN to_json(answer);
END
$$;

-- The keys among those that are gone there (as two_way_gone() says it) which are not sent from here in this round: they are
-- not in the log, or are left out: [{k, at}]. Those that are left out are written as in that list, whatever each end's log makes of
-- equal values (1.0 and 1.00): whoever gets this compares names.
CREATE FUNCTION rebeco.two_way_unsent(capture_id int, since txid_snapshot, until txid_snapshot, gone json, lost json) RETURNS json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
    SET enable_nestloop = off
AS $$
DECLARE
    t record;
    answer json;
BEGIN
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_id);
    EXECUTE format('WITH l AS MATERIALIZED (SELECT DISTINCT %1$s FROM %2$s l WHERE op IS NULL), f AS MATERIALIZED %3$s, o AS MATERIALIZED %4$s '
                   'SELECT json_agg(json_build_object(''k'', coalesce(h.k, json_build_array(%5$s)), ''at'', g.v -> ''at'')) '
                   'FROM json_array_elements($5) WITH ORDINALITY g (v, n) JOIN f ON f.n = g.n '
                   'LEFT JOIN (SELECT o.*, e.v AS k FROM o JOIN json_array_elements($4) WITH ORDINALITY e (v, n) ON e.n = o.n) h ON %7$s '
                   'WHERE NOT EXISTS (SELECT 1 FROM l WHERE %6$s AND NOT EXISTS (SELECT 1 FROM o AS f WHERE %6$s))',
                   t.keys, t.log, t.given, replace(t.given, '$3', '$4'), t.given_texts, t.log_match, replace(t.log_match, 'l.k', 'h.f'))
       INTO answer USING since, until, (SELECT json_agg(e.v -> 'k' ORDER BY e.n) FROM json_array_elements(gone) WITH ORDINALITY e (v, n)), lost, gone;
    RETURN coalesce(answer, '[]');
END
$$;

-- A row here that refers to another one, and what the foreign key does when that goes.
CREATE TYPE rebeco.two_way_edge AS (child text, parent text, action "char", at timestamptz, is_new boolean, doc json, parent_doc json);

-- The condition under which row c refers to row x by this foreign key.
CREATE FUNCTION rebeco.two_way_match(foreign_key oid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(format('x.%I OPERATOR(%I.%s) c.%I', pa.attname, n.nspname, o.oprname, ca.attname), ' AND ')
      FROM pg_constraint k CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) u (conkey, confkey, op)
      JOIN pg_attribute ca ON ca.attrelid = k.conrelid AND ca.attnum = u.conkey
      JOIN pg_attribute pa ON pa.attrelid = k.confrelid AND pa.attnum = u.confkey
      JOIN pg_operator o ON o.oid = u.op JOIN pg_namespace n ON n.oid = o.oprnamespace
     WHERE k.oid = foreign_key
$$;

-- The keys that are left out on the way there, but for those of rows that go on to refer by these columns to what they refer to here:
-- that are merged, or stay as they are.
CREATE FUNCTION rebeco.two_way_lost(t json, names text[]) RETURNS json
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
    SET enable_nestloop = off
AS $$
    SELECT coalesce(json_agg(l.v), '[]')
      FROM json_array_elements(t -> 'lost') l (v)
      LEFT JOIN (SELECT (e.v -> 'k')::jsonb AS k, bool_or((e.v -> 'set')::jsonb ?| names) AS is_set FROM json_array_elements(t -> 'merged') e (v) GROUP BY 1) m
        ON m.k = l.v::jsonb
      LEFT JOIN (SELECT DISTINCT e.v::jsonb AS k FROM json_array_elements(t -> 'stays') e (v)) s ON s.k = l.v::jsonb
     WHERE CASE WHEN m.k IS NULL THEN s.k IS NULL ELSE m.is_set END
$$;

-- The rows here of table c that refer to rows of table p (both {n, id, since, lost, stays, merged}): those in the log of this round that are
-- not left out, or those with own_keys. What they refer to are the rows with parent_keys, and named like these, or, where is_cut, all but those.
CREATE FUNCTION rebeco.two_way_references(c json, p json, until txid_snapshot, own_keys json, parent_keys json, is_cut boolean)
    RETURNS SETOF rebeco.two_way_edge
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
AS $$
DECLARE
    child record;
    parent record;
    f record;
    own text;
BEGIN
    FOR f IN
        SELECT k.confdeltype AS action,
               rebeco.two_way_match(k.oid) AS match,
               ARRAY(SELECT x.attname::text FROM pg_attribute x WHERE x.attrelid = k.conrelid AND x.attnum = ANY (k.conkey)) AS names,
               (SELECT string_agg(format('f.f%1$s AS k%1$s', g), ', ') FROM generate_series(1, cardinality(a.key_columns)) g) AS given_keys
          FROM rebeco.capture a, rebeco.capture b, pg_constraint k
         WHERE a.id = (c ->> 'id')::int AND b.id = (p ->> 'id')::int
           AND k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = a.relid AND k.confrelid = b.relid AND rebeco.is_enforced(k)
    LOOP
        SELECT * INTO STRICT child FROM rebeco.two_way_texts((c ->> 'id')::int);
        SELECT * INTO STRICT parent FROM rebeco.two_way_texts((p ->> 'id')::int);
        IF own_keys IS NULL THEN
            own := format('SELECT %1$s, max(l.at) AS at, (array_agg(l.is_new ORDER BY l.at))[1] AS is_new FROM %2$s l WHERE op IS NULL GROUP BY %1$s', child.keys, child.log);
        ELSE
            own := format('SELECT %s, NULL::timestamptz AS at, NULL::boolean AS is_new FROM %s f', f.given_keys, replace(child.given, '$3', '$5'));
        END IF;
        RETURN QUERY EXECUTE format(
            'WITH l AS MATERIALIZED (%1$s), f AS MATERIALIZED %2$s, o AS MATERIALIZED %3$s '
            'SELECT $6 || json_build_array(%4$s)::text, $7 || y.k::text, $8, l.at, l.is_new, row_to_json(c.*), y.doc '
            'FROM l CROSS JOIN LATERAL (SELECT * FROM %5$s x WHERE %6$s LIMIT 1) c '
            'CROSS JOIN LATERAL (SELECT json_build_array(%7$s) AS k, row_to_json(x.*) AS doc FROM %8$s x%10$s WHERE %9$s%11$s) y '
            'WHERE NOT EXISTS (SELECT 1 FROM o AS f WHERE %12$s)',
            own, parent.given, replace(child.given, '$3', '$4'), child.key_texts, child.relation, child.row_log_match,
            CASE WHEN is_cut THEN parent.row_texts ELSE parent.given_texts END, parent.relation, f.match,
            CASE WHEN NOT is_cut THEN format(' JOIN f ON %s', parent.row_match) END,
            CASE WHEN is_cut THEN format(' AND NOT EXISTS (SELECT 1 FROM f WHERE %s)', parent.row_match) END, child.log_match)
            USING (c ->> 'since')::txid_snapshot, until, parent_keys, rebeco.two_way_lost(c, f.names), own_keys, (c ->> 'n') || ' ', (p ->> 'n') || ' ', f.action;
    END LOOP;
END
$$;

-- The names of rows as {n: keys}.
CREATE FUNCTION rebeco.two_way_by_table(names text[]) RETURNS TABLE (n int, keys json)
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT split_part(x, ' ', 1)::int, json_agg(substr(x, strpos(x, ' ') + 1)::json) FROM unnest(names) x GROUP BY 1
$$;

-- Every reference that ends at a row which is gone there, over rows of this round here: an orphan may be what others refer to.
CREATE FUNCTION rebeco.two_way_edges(tables json, gone jsonb, until txid_snapshot) RETURNS rebeco.two_way_edge[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ends jsonb := gone;
    edges rebeco.two_way_edge[] := '{}';
    found_now rebeco.two_way_edge[];
    seen text[] := '{}';
    next text[];
BEGIN
    LOOP
        SELECT array_agg(e) INTO found_now
          FROM jsonb_array_elements(ends) g (v)
          JOIN json_array_elements(tables) p (v) ON p.v ->> 'n' = g.v ->> 'n'
         CROSS JOIN json_array_elements(tables) c (v)
         CROSS JOIN LATERAL rebeco.two_way_references(c.v, p.v, until, NULL, (g.v -> 'keys')::json, (g.v ->> 'is_cut')::boolean) e
         WHERE (c.v ->> 'changed')::boolean;
        EXIT WHEN found_now IS NULL;
        edges := edges || found_now;
        SELECT array_agg(DISTINCT e.child) INTO next FROM unnest(found_now) e WHERE e.child NOT IN (SELECT unnest(seen));
        EXIT WHEN next IS NULL;
        seen := seen || next;
        SELECT jsonb_agg(jsonb_build_object('n', b.n, 'keys', b.keys, 'is_cut', false)) INTO ends FROM rebeco.two_way_by_table(next) b;
    END LOOP;
    RETURN edges;
END
$$;

-- Which removals there are refused, as one server would refuse them, and which rows here have to wait for what the foreign key does.
-- tables: {n, id, since, lost, stays, merged, changed, gone}: lost are the keys that are left out on the way there, stays those over which nothing
-- goes here, merged those of both ({k, set}) of which both changes are kept, with the columns that are set here, gone is what two_way_gone() says there. Result: kept: rows to be kept, {n, k, at, row}, row as text, so that the daemon leaves its numbers alone; waits: rows that wait, {n, k, at, new, row,
-- parent_at, goes}, these last ones for those that the foreign key will change or (goes) remove. needed: rows {n, k} that
-- cannot be removed, as two_way_needed() has found.
CREATE FUNCTION rebeco.two_way_orphans(tables json, until txid_snapshot, needed json) RETURNS json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
AS $$
DECLARE
    unsent jsonb;
    gone jsonb;
    edges rebeco.two_way_edge[];
    more_edges rebeco.two_way_edge[];
    orphans text[];
    stay text[] := (SELECT coalesce(array_agg(concat(e.v ->> 'n', ' ', (e.v -> 'k')::jsonb)), '{}') FROM json_array_elements(needed) e (v));
    kept text[];
    more text[];
    waits text[] := '{}';
    recorded jsonb := '{}';
    added jsonb;
    removed jsonb; -- {row: when}, of many
    cuts jsonb;    -- the same of truncated tables
BEGIN
    -- Where a table was truncated there, what is gone is all but what it has, or what is sent from here.
    SELECT coalesce(jsonb_agg(jsonb_build_object('n', t.v -> 'n', 'cut', t.v -> 'gone' -> 'cut', 'keys', CASE WHEN t.v -> 'gone' ->> 'cut' IS NULL
                THEN rebeco.two_way_unsent(id, since, until, t.v -> 'gone' -> 'keys', t.v -> 'lost')::jsonb
                ELSE (t.v -> 'gone' -> 'there')::jsonb || (SELECT coalesce(jsonb_agg(k.v), '[]')
                        FROM json_array_elements(rebeco.two_way_without(id, rebeco.two_way_keys(id, since, until, NULL, true, false), t.v -> 'lost')) k (v)) END)), '[]')
      INTO unsent
      FROM json_array_elements(tables) t (v) CROSS JOIN LATERAL (SELECT (t.v ->> 'id')::int AS id, (t.v ->> 'since')::txid_snapshot AS since) x
     WHERE json_typeof(t.v -> 'gone') = 'object';
    SELECT coalesce(jsonb_agg(jsonb_build_object('n', u.v -> 'n', 'is_cut', u.v ->> 'cut' IS NOT NULL, 'keys',
                CASE WHEN u.v ->> 'cut' IS NULL THEN (SELECT coalesce(jsonb_agg(k.v -> 'k'), '[]') FROM jsonb_array_elements(u.v -> 'keys') k (v)) ELSE u.v -> 'keys' END)), '[]')
      INTO gone FROM jsonb_array_elements(unsent) u (v) WHERE u.v ->> 'cut' IS NOT NULL OR u.v -> 'keys' <> '[]';
    edges := rebeco.two_way_edges(tables, gone, until);
    IF cardinality(edges) = 0 THEN
        RETURN '{"kept": [], "waits": []}';
    END IF;
    SELECT array_agg(DISTINCT e.child) INTO orphans FROM unnest(edges) e;
    SELECT coalesce(jsonb_object_agg(concat(u.v ->> 'n', ' ', k.v ->> 'k'), k.v -> 'at'), '{}') INTO removed
      FROM jsonb_array_elements(unsent) u (v) CROSS JOIN LATERAL jsonb_array_elements(u.v -> 'keys') k (v)
     WHERE u.v ->> 'cut' IS NULL;
    SELECT coalesce(jsonb_object_agg(u.v ->> 'n', u.v -> 'cut'), '{}') INTO cuts FROM jsonb_array_elements(unsent) u (v) WHERE u.v ->> 'cut' IS NOT NULL;

    -- What a row refers to by a foreign key that does nothing stays, and so does what a row that stays refers to.
    LOOP
        SELECT array_agg(DISTINCT e.parent) INTO more FROM unnest(edges) e
         WHERE (e.action IN ('a', 'r') OR e.child IN (SELECT unnest(stay))) AND e.parent NOT IN (SELECT unnest(stay));
        EXIT WHEN more IS NULL;
        stay := stay || more;
    END LOOP;
    SELECT coalesce(array_agg(x), '{}') INTO kept FROM unnest(stay) x WHERE x NOT IN (SELECT unnest(orphans));
    more := kept;
    WHILE cardinality(more) > 0 LOOP
        SELECT coalesce(array_agg(e), '{}') INTO more_edges
          FROM rebeco.two_way_by_table(more) m
          JOIN json_array_elements(tables) c (v) ON (c.v ->> 'n')::int = m.n
         CROSS JOIN jsonb_array_elements(gone) g (v)
          JOIN json_array_elements(tables) p (v) ON p.v ->> 'n' = g.v ->> 'n'
         CROSS JOIN LATERAL rebeco.two_way_references((c.v::jsonb || '{"lost": []}')::json, p.v, until, m.keys, (g.v -> 'keys')::json, (g.v ->> 'is_cut')::boolean) e;
        edges := edges || more_edges;
        SELECT array_agg(DISTINCT e.parent) INTO more FROM unnest(more_edges) e WHERE e.parent NOT IN (SELECT unnest(kept));
        kept := kept || coalesce(more, '{}');
    END LOOP;

    -- The others wait until the removal has come here, with what refers to them.
    LOOP
        SELECT array_agg(DISTINCT e.child) INTO more FROM unnest(edges) e
         WHERE e.child IN (SELECT unnest(orphans)) AND e.child NOT IN (SELECT unnest(waits))
           AND CASE WHEN e.parent IN (SELECT unnest(orphans)) THEN e.parent IN (SELECT unnest(waits)) ELSE e.parent NOT IN (SELECT unnest(kept)) END;
        EXIT WHEN more IS NULL;
        waits := waits || more;
    END LOOP;
    -- Of these, what is removed or changed: directly, or after what goes with its parent.
    LOOP
        SELECT jsonb_object_agg(x.child, jsonb_build_object('at', x.at, 'goes', x.goes)) INTO added
          FROM (SELECT e.child, max(coalesce(recorded -> e.parent ->> 'at', removed ->> e.parent, cuts ->> split_part(e.parent, ' ', 1))) AS at,
                       bool_or(e.action = 'c') AS goes
                  FROM unnest(edges) e
                 WHERE e.child IN (SELECT unnest(waits)) AND NOT recorded ? e.child
                   AND CASE WHEN e.parent IN (SELECT unnest(orphans)) THEN (recorded -> e.parent ->> 'goes')::boolean ELSE e.parent NOT IN (SELECT unnest(kept)) END
                 GROUP BY e.child) x;
        EXIT WHEN added IS NULL;
        recorded := recorded || added;
    END LOOP;
    RETURN json_build_object(
        'kept', (SELECT coalesce(json_agg(json_build_object('n', split_part(k.parent, ' ', 1)::int, 'k', substr(k.parent, strpos(k.parent, ' ') + 1)::json,
                                                            'at', coalesce(removed ->> k.parent, cuts ->> split_part(k.parent, ' ', 1)), 'row', k.doc::text)), '[]')
                   FROM (SELECT DISTINCT ON (e.parent) e.parent, e.parent_doc AS doc FROM unnest(edges) e WHERE e.parent IN (SELECT unnest(kept))) k),
        'waits', (SELECT coalesce(json_agg(json_build_object('n', split_part(w.child, ' ', 1)::int, 'k', substr(w.child, strpos(w.child, ' ') + 1)::json,
                                                             'at', w.at, 'new', w.is_new, 'row', w.doc::text, 'parent_at', recorded -> w.child -> 'at',
                                                             'goes', recorded -> w.child -> 'goes')), '[]')
                    FROM (SELECT DISTINCT ON (e.child) e.child, e.at, e.is_new, e.doc FROM unnest(edges) e
                           WHERE e.child IN (SELECT unnest(waits)) AND e.at IS NOT NULL) w));
END
$$;

-- The rows here, changed or not, that refer to the given ones by a foreign key that refuses or cascades; each is named by its capture
-- and key.
CREATE FUNCTION rebeco.two_way_referrers(parent_id int, parent_keys json) RETURNS TABLE (child text, parent text, action "char")
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
AS $$
DECLARE
    p record;
    c record;
    f record;
BEGIN
    SELECT * INTO STRICT p FROM rebeco.two_way_texts(parent_id);
    FOR f IN
        SELECT a.id, k.confdeltype AS action,
               rebeco.two_way_match(k.oid) AS match
          FROM rebeco.capture b JOIN pg_constraint k ON k.confrelid = b.relid JOIN rebeco.capture a ON a.relid = k.conrelid
         WHERE b.id = parent_id AND k.contype = 'f' AND k.conparentid = 0 AND k.confdeltype IN ('a', 'r', 'c') AND rebeco.is_enforced(k)
    LOOP
        SELECT * INTO STRICT c FROM rebeco.two_way_texts(f.id);
        RETURN QUERY EXECUTE format(
            'WITH f AS MATERIALIZED %1$s SELECT $1 || r.k::text, $2 || json_build_array(%2$s)::text, $4 '
            'FROM f CROSS JOIN LATERAL (SELECT * FROM %3$s x WHERE %4$s LIMIT 1) x JOIN %5$s c ON %6$s '
            'CROSS JOIN LATERAL (SELECT json_build_array(%7$s) AS k FROM (SELECT c.*) x) r',
            p.given, p.given_texts, p.relation, p.row_match, c.relation, f.match, c.row_texts)
            USING f.id || ' ', parent_id || ' ', parent_keys, f.action;
    END LOOP;
END
$$;

-- Which of these rows {id, k} cannot go with their parents, since other rows here refer to them by a foreign key that does nothing,
-- or to what goes with them. The application at this end may have written those without knowing that. Result: places in the list.
CREATE FUNCTION rebeco.two_way_needed(going json) RETURNS json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ends text[];
    seen text[] := '{}';
    children text[];
    parents text[];
    actions "char"[];
    child text[] := '{}';
    parent text[] := '{}';
    action "char"[] := '{}';
    needed text[] := '{}';
    more text[];
BEGIN
    SELECT array_agg(concat(e.v ->> 'id', ' ', (e.v -> 'k')::jsonb)) INTO ends FROM json_array_elements(going) e (v);
    WHILE ends IS NOT NULL LOOP
        SELECT array_agg(r.child), array_agg(r.parent), array_agg(r.action) INTO children, parents, actions
          FROM rebeco.two_way_by_table(ends) b CROSS JOIN LATERAL rebeco.two_way_referrers(b.n, b.keys) r;
        EXIT WHEN children IS NULL;
        child := child || children;
        parent := parent || parents;
        action := action || actions;
        seen := seen || ends;
        SELECT array_agg(DISTINCT e.c) INTO ends FROM unnest(children, actions) e (c, a) WHERE e.a = 'c' AND e.c NOT IN (SELECT unnest(seen));
    END LOOP;
    LOOP
        SELECT array_agg(DISTINCT e.p) INTO more FROM unnest(child, parent, action) e (c, p, a)
         WHERE (e.a <> 'c' OR e.c IN (SELECT unnest(needed))) AND e.p NOT IN (SELECT unnest(needed));
        EXIT WHEN more IS NULL;
        needed := needed || more;
    END LOOP;
    RETURN (SELECT coalesce(json_agg(e.n - 1), '[]') FROM json_array_elements(going) WITH ORDINALITY e (v, n)
             WHERE concat(e.v ->> 'id', ' ', (e.v -> 'k')::jsonb) IN (SELECT unnest(needed)));
END
$$;

-- Writes keys into the log again: {k, at, new, acted, waits, ahead}; acted: nothing but a foreign key has changed it, at our writing; ahead: by how many seconds the clock that `at` was read from is before
-- ours (times that are passed on are not corrected, schema/073_chain.sql). replicator/batch_again.c says who does that, and why before a
-- position goes past the key, or with it. It is no change, so the late look at the log (two_way_late) does not count it. Where rows are merged, what
-- the round's log says of a row that waits is moved, not copied: a difference that stood there twice would be added twice.
CREATE FUNCTION rebeco.two_way_again(capture_id int, since txid_snapshot, until txid_snapshot, given json) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
    SET enable_nestloop = off
AS $$
DECLARE
    t record;
    log text;
    seconds text;
    moves text := '';
BEGIN
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_id);
    SELECT format('rebeco.log_%s_%s', c.id, c.segment), CASE WHEN c.passes_on THEN '0' ELSE 'coalesce((g.v ->> ''ahead'')::float8, 0)' END
      INTO log, seconds FROM rebeco.capture c WHERE c.id = two_way_again.capture_id;
    IF EXISTS (SELECT 1 FROM rebeco.merge m WHERE m.capture_id = two_way_again.capture_id) THEN
        SELECT string_agg(format('gone_%3$s AS (DELETE FROM rebeco.log_%1$s_%3$s l USING f WHERE op IS NULL AND xid >= txid_snapshot_xmin($1) '
                                 'AND NOT txid_visible_in_snapshot(xid, $1) AND txid_visible_in_snapshot(xid, $2) AND %2$s '
                                 'AND EXISTS (SELECT 1 FROM json_array_elements($4) WITH ORDINALITY g (v, n) WHERE g.n = f.n AND (g.v ->> ''waits'')::boolean) RETURNING f.n, l.*), ',
                                 capture_id, t.log_match, g), '') ||
               format('moved AS (INSERT INTO %1$s (%2$s, xid, at, is_new, again, origin, cols, added, adds) SELECT %3$s, txid_current(), l.at, l.is_new, true, NULL, l.cols, l.added, l.adds '
                      'FROM (SELECT * FROM gone_0 UNION ALL SELECT * FROM gone_1) l) ', log, replace(t.keys, 'l.k', 'k'), t.keys)
          INTO moves FROM generate_series(0, 1) g;
    END IF;
    PERFORM set_config('rebeco.emptying', 'on', true); -- what goes from a log comes back to it: nobody has emptied it (rebeco.log_guard)
    EXECUTE format('WITH f AS MATERIALIZED %4$s%5$s INSERT INTO %1$s (%2$s, xid, at, is_new, again, origin) SELECT %3$s, txid_current(), (g.v ->> ''at'')::timestamptz - %7$s * interval ''1 second'', (g.v ->> ''new'')::boolean, (g.v ->> ''acted'')::boolean IS NOT TRUE, NULL '
                   'FROM json_array_elements($4) WITH ORDINALITY g (v, n) JOIN f ON f.n = g.n%6$s',
                   log, replace(t.keys, 'l.k', 'k'), replace(t.keys, 'l.k', 'f.f'), t.given,
                   CASE WHEN moves = '' THEN ' ' ELSE ', ' || moves END,
                   CASE WHEN moves = '' THEN '' ELSE ' WHERE f.n NOT IN (SELECT n FROM gone_0 UNION ALL SELECT n FROM gone_1)' END, seconds)
      USING since, until, (SELECT json_agg(e.v -> 'k' ORDER BY e.n) FROM json_array_elements(given) WITH ORDINALITY e (v, n)), given;
    PERFORM set_config('rebeco.emptying', '', true);
END
$$;
