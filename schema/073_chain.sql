-- More than two nodes. A table that several syncs read at one node, a two-way sync among them, passes on
-- what each of them applies there: such a capture also logs the writes of our own sessions, with the origin
-- (the pair of syncs that applied them) and with the time at which the row was changed where that was done.
--
-- Why that is enough
-- * Seen from one pair, what another pair applies at a node is nothing but a write of the application there: it
--   is logged by the same triggers, in the transaction that writes the row, so that positions (snapshots)
--   stay exact and a kill leaves nothing half done. The argument at the head of replicator/two_way.c
--   holds for each pair by itself: with both its logs empty, its two ends are equal. With all logs
--   empty all nodes are equal, since each is tied to each by pairs.
-- * No echo: a pair leaves out the log rows that have its own origin, in every look at the log.
-- * It ends. A row that is already as it should be is not written, so nothing is logged and nothing passed
--   on. In a tree (a chain, a star) a change crosses each pair at most once, away from where it was made;
--   where two meet, one of them ends, whatever the policy. In a ring they may follow each other round and round
--   without ever meeting in one pair, unless an older one is stopped wherever it meets a newer
--   one: only `latest` does that. With it a node's row never gets older: while both ends of a pair have a
--   change that the other has not seen, the newer wins; and where only one has, it is the newer one, because
--   the other end's was exchanged before. This needs one order of times for all nodes:
--   - they travel with the rows, uncorrected: clocks are not allowed for, as they are between two ends alone;
--   - a node's clock does not stay behind what has arrived (rebeco.chain_now), so that who changes a
--     row after having received it is later than it, also with a clock that is slow;
--   - where times are equal the rows decide, and not the place (rebeco.chain_winner).
--   What remains is an update that changes nothing: it arrives nowhere as a change, so its time is not known there, and
--   two changes may follow each other until the second one is read together with the first. That takes as many
--   rounds as chance wants.
-- * A truncation that a pair carries out is passed on as the removals that it was; those have its time.
-- * What foreign keys do at a node when a row is removed there is a change of that node: it has no origin and goes to all, back to
--   where the removal came from, too. That end need not know it: the row that was acted on may have come from a third node, or
--   be one that has just been written here. It ends all the same: a foreign key acts on a row that is there, and refers to what
--   goes; where it has acted, or the other node's has, nothing is left to act on, and what arrives is
--   nothing new. So each removal causes at most one such change of each row at each node. With `latest` it
--   is later than all that had arrived before its batch (chain_now); times come behind the rows of a batch, so that a node whose clock is slow may
--   date it before the removal that has caused it, by as much as it is slow.
-- * What is logged again for a foreign key's sake (two_way_again) has no origin either: it is for the pair that leaves it out of
--   a round. Others read it once more than they need to.
--
-- The moment when a second sync comes, or the one before the last goes, is a transaction that holds the table
-- against writers: the triggers are made anew, the log and every position stay. Until then, and where there are
-- two ends only, triggers ignore our own sessions and nothing of this costs anything.

-- How late it is at the other nodes, as far as that has been heard: microseconds since 1970.
CREATE SEQUENCE rebeco.chain_clock MINVALUE 0 START 0;

-- The time of a change that is made here: never before what has arrived here.
CREATE FUNCTION rebeco.chain_now() RETURNS timestamptz
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT greatest(clock_timestamp(), timestamptz 'epoch'
                    + (coalesce(pg_sequence_last_value('rebeco.chain_clock'::regclass), 0) + 1) * interval '1 microsecond')
$$;

CREATE FUNCTION rebeco.chain_clock_set(reached timestamptz) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    us bigint := (extract(epoch FROM reached) * 1000000)::bigint;
BEGIN
    IF reached <= clock_timestamp() THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('rebeco chain clock', 0));
    IF us > coalesce(pg_sequence_last_value('rebeco.chain_clock'::regclass), 0) THEN
        PERFORM setval('rebeco.chain_clock', us);
    END IF;
END
$$;

-- Who wins between rows with the same time, where there may be more than two ends: the same everywhere.
CREATE FUNCTION rebeco.chain_winner(policy text, source_at timestamptz, target_at timestamptz, source_row json, target_row json) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN policy = 'latest' AND source_at = target_at
                THEN CASE WHEN coalesce(target_row::jsonb::text, '') COLLATE "C" > coalesce(source_row::jsonb::text, '') COLLATE "C"
                          THEN 'target' ELSE 'source' END
                ELSE rebeco.conflict_winner(policy, source_at, target_at) END
$$;

-- From here on a capture logs, or does not log, what our own sessions write. Holds the table against everybody
-- until the transaction ends.
CREATE FUNCTION rebeco.chain_set(capture_id int, passes boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
DECLARE
    c rebeco.capture;
BEGIN
    UPDATE rebeco.capture u SET passes_on = passes WHERE u.id = capture_id AND u.is_two_way AND u.passes_on <> passes RETURNING u.* INTO c;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF passes AND EXISTS (SELECT 1 FROM rebeco.merge m WHERE m.capture_id = c.id) THEN
        RAISE EXCEPTION 'a sync that merges its rows reads the changes of this table'
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'A table of conflict.merge or conflict.counters can be in no other sync: take it out of those, or out of this sync.';
    END IF;
    PERFORM rebeco.capture_drop_triggers(c.id);
    PERFORM rebeco.chain_defaults(c);
    PERFORM rebeco.capture_create(c.id, c.segment);
END
$$;

-- What the triggers leave out of a log row.
CREATE FUNCTION rebeco.chain_defaults(c rebeco.capture) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    FOR segment IN 0..1 LOOP
        EXECUTE format('ALTER TABLE rebeco.log_%s_%s ALTER COLUMN at SET DEFAULT %s, ALTER COLUMN origin SET DEFAULT %s', c.id, segment,
                       CASE WHEN c.passes_on THEN 'rebeco.chain_now()' ELSE 'pg_catalog.clock_timestamp()' END,
                       CASE WHEN c.passes_on THEN $d$nullif(pg_catalog.current_setting('rebeco.logged_origin', true), '')$d$ ELSE 'NULL' END);
    END LOOP;
END
$$;

-- Where the triggers of a table ask for the depth they also log, among two ends, what a foreign key does after our own writing, as such:
-- `again` is false there (two_way.c says what for). Logs that are as they should be are not touched: that would wait for their readers.
CREATE FUNCTION rebeco.chain_tell_acted(capture_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    l record;
BEGIN
    FOR l IN SELECT a.attrelid::regclass AS log, x.is_wanted
               FROM rebeco.capture c CROSS JOIN generate_series(0, 1) g
               JOIN pg_attribute a ON a.attrelid = to_regclass(format('rebeco.log_%s_%s', c.id, g)) AND a.attname = 'again'
              CROSS JOIN LATERAL (SELECT c.asks_depth AND NOT c.passes_on AS is_wanted) x
              WHERE c.id = chain_tell_acted.capture_id AND c.is_two_way AND a.atthasdef <> x.is_wanted
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN again %s', l.log,
                       CASE WHEN l.is_wanted THEN $d$SET DEFAULT CASE WHEN pg_catalog.current_setting('rebeco.applying_depth', true) OPERATOR(pg_catalog.<>) '' THEN false END$d$
                            ELSE 'DROP DEFAULT' END);
    END LOOP;
END
$$;

-- What the function of such a capture does first: it says whose change it logs. What foreign keys do after our own writing is a
-- change of this node, and only WHEN can tell it: the function is called when the statement ends, at the depth of that. So there are
-- two triggers of which one fires, and the one for what we apply has an argument. A truncation's is called at once.
CREATE FUNCTION rebeco.chain_origin() RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT $f$
    PERFORM set_config('rebeco.logged_origin', coalesce(CASE WHEN TG_NARGS = 1 OR TG_OP = 'TRUNCATE' AND pg_trigger_depth() = 1 THEN current_setting('rebeco.origin', true) END, ''), true);$f$
$$;

-- A capture for one direction becomes one for both, with the log and the readers that it has. Nothing may be written anew: a reader
-- with an older snapshot would find an empty log, and take that for no changes. A default of now() is kept once for all rows.
CREATE FUNCTION rebeco.chain_widen(capture_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
DECLARE
    c rebeco.capture;
BEGIN
    UPDATE rebeco.capture u SET is_two_way = true WHERE u.id = capture_id AND NOT u.is_two_way RETURNING u.* INTO STRICT c;
    PERFORM rebeco.capture_drop_triggers(c.id);
    EXECUTE format('DROP VIEW rebeco.log_%s', c.id);
    FOR segment IN 0..1 LOOP
        EXECUTE format('ALTER TABLE rebeco.log_%s_%s ADD COLUMN at timestamptz NOT NULL DEFAULT pg_catalog.now(), '
                       'ADD COLUMN is_new boolean, ADD COLUMN again boolean, ADD COLUMN origin text', c.id, segment);
        EXECUTE format('ALTER TABLE rebeco.log_%s_%s ALTER COLUMN at SET DEFAULT pg_catalog.clock_timestamp()', c.id, segment);
    END LOOP;
    PERFORM rebeco.capture_create_view(c.id);
    PERFORM rebeco.capture_create(c.id, c.segment);
END
$$;

-- A sync begins to read a table: the others pass on what it applies, and it what they apply.
CREATE FUNCTION rebeco.chain_join(capture_id int, consumer_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM rebeco.consumer_table t WHERE t.capture_id = chain_join.capture_id AND t.consumer <> consumer_name) THEN
        PERFORM rebeco.chain_set(capture_id, true);
    END IF;
END
$$;

-- One has gone: where nobody is left to whom anything could be passed on, that ends.
CREATE FUNCTION rebeco.chain_leave(capture_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM 1 FROM rebeco.capture c WHERE c.id = chain_leave.capture_id AND c.passes_on FOR UPDATE;
    IF FOUND AND (SELECT count(*) FROM rebeco.consumer_table t WHERE t.capture_id = chain_leave.capture_id) = 1 THEN
        PERFORM rebeco.chain_set(capture_id, false);
    END IF;
END
$$;

-- The times of a round's changes at this end, for the other one: {"cut": of the last truncation} if there
-- was one, then {"keys": [[time, key ...] ...]}, so many at a time.
CREATE FUNCTION rebeco.chain_times(capture_id int, since txid_snapshot, until txid_snapshot) RETURNS SETOF json
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t record;
BEGIN
    SELECT * INTO STRICT t FROM rebeco.two_way_texts(capture_id);
    RETURN QUERY EXECUTE format('SELECT json_build_object(''cut'', max(l.at)) FROM %s l WHERE op = ''T'' HAVING count(*) > 0', t.log)
      USING since, until;
    RETURN QUERY EXECUTE format('SELECT json_build_object(''keys'', json_agg(json_build_array(l.at, %1$s))) '
                                'FROM (SELECT %2$s, max(l.at) AS at, (row_number() OVER () - 1) / 5000 AS part FROM %3$s l WHERE op IS NULL GROUP BY %2$s) l GROUP BY l.part',
                                t.key_texts, t.keys, t.log)
      USING since, until;
END
$$;

-- Gives what this transaction has logged the times that chain_times() says at the other end.
CREATE FUNCTION rebeco.chain_stamp(capture_id int, times json) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = on
AS $$
DECLARE
    c rebeco.capture;
    t record;
    reached timestamptz;
    latest timestamptz;
BEGIN
    SELECT * INTO STRICT c FROM rebeco.capture WHERE id = capture_id;
    SELECT string_agg(format('%s AS f%s', rebeco.from_text(format('e.v ->> %s', k.n), k.type), k.n), ', ' ORDER BY k.n) AS given,
           string_agg(format('l.k%s %s f.f%s', k.n, k.equals, k.n), ' AND ' ORDER BY k.n) AS match
      INTO t FROM unnest(c.key_types, c.key_equals) WITH ORDINALITY k (type, equals, n);
    FOR segment IN 0..1 LOOP
        IF times -> 'keys' IS NULL THEN
            EXECUTE format('WITH u AS (UPDATE rebeco.log_%s_%s l SET at = $1 WHERE l.xid = txid_current() AND l.origin = current_setting(''rebeco.origin'') RETURNING l.at) '
                           'SELECT max(u.at) FROM u', c.id, segment) INTO reached USING (times ->> 'cut')::timestamptz;
        ELSE
            EXECUTE format('WITH f AS MATERIALIZED (SELECT (e.v ->> 0)::timestamptz AS at, %s FROM json_array_elements($1) e (v)), '
                           'u AS (UPDATE rebeco.log_%s_%s l SET at = f.at FROM f WHERE %s AND l.xid = txid_current() AND l.origin = current_setting(''rebeco.origin'') RETURNING l.at) '
                           'SELECT max(u.at) FROM u', t.given, c.id, segment, t.match) INTO reached USING times -> 'keys';
        END IF;
        latest := greatest(latest, reached);
    END LOOP;
    PERFORM rebeco.chain_clock_set(latest);
END
$$;
