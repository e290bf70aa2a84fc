-- What people do to our objects at the source, who do not know them.
--
-- A disk is full, and a change log is what has grown: somebody empties it by hand. Then changes are gone that the target
-- does not have, and nothing told so: a log without rows is that of a table that nobody writes to. So a log says of itself that it was
-- emptied: with a row 'B', written by whoever empties it, in the same transaction, which every reader takes as ever: the table is
-- copied again. Where every reader had all of it, nothing is lost, and nothing is said. The triggers are of statements
-- that only people make, and cost those nothing that write to the log.
--
-- A database is made from a dump of a source (pg_dump and pg_restore; heroku pg:copy), and becomes the source of a rehearsal, or that of the
-- same sync after `accept`. The dump has our objects, too: captures with the numbers that the tables had in the other
-- database, and triggers on them, which log 'B' for every change, since their tables are not theirs, and stood in the way of new
-- ones with their names. Such triggers are told by this: the capture that they belong to is of no table that is here under the number it
-- knows, or is not recorded at all. It is removed when its table is captured.

CREATE FUNCTION rebeco.log_guard() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_lost text := 'rebeco.lost_' || TG_RELID;
BEGIN
    IF TG_OP = 'TRUNCATE' AND TG_WHEN = 'BEFORE' THEN
        -- In an older snapshot not all is seen that goes.
        PERFORM set_config(is_lost, CASE WHEN current_setting('transaction_isolation') = 'read committed'
                                          AND NOT rebeco.log_is_needed(TG_ARGV[0]::int, TG_RELID) THEN 'no' ELSE 'yes' END, true);
        RETURN NULL;
    END IF;
    IF TG_OP = 'TRUNCATE' AND current_setting(is_lost, true) = 'no' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT 1 FROM old_rows) THEN
            RETURN NULL;
        END IF;
    END IF;
    EXECUTE format('INSERT INTO rebeco.%I (xid, op) VALUES (txid_current(), ''B'')', TG_TABLE_NAME);
    RETURN NULL;
END
$$;

-- Makes the triggers of a segment, where it does not have them: one that an earlier version has made gets them when we empty it.
CREATE FUNCTION rebeco.log_protect(capture_id int, segment regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t record;
BEGIN
    IF EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = segment AND g.tgfoid = 'rebeco.log_guard()'::regprocedure) THEN
        RETURN;
    END IF;
    FOR t IN SELECT * FROM (VALUES ('before_truncate', 'BEFORE TRUNCATE', ''), ('truncate', 'AFTER TRUNCATE', ''),
                                   ('delete', 'AFTER DELETE', 'REFERENCING OLD TABLE AS old_rows')) v (name, event, rows) LOOP
        EXECUTE format('CREATE TRIGGER %I %s ON %s %s FOR EACH STATEMENT WHEN (pg_catalog.current_setting(''rebeco.emptying'', true) IS DISTINCT FROM ''on'') '
                       'EXECUTE FUNCTION rebeco.log_guard(%s)', t.name, t.event, segment, t.rows, capture_id);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', segment, t.name);
    END LOOP;
END
$$;

-- Removes captures of another database whose triggers are on a table, or on its partitions. One that is recorded for the table, or for one
-- above it, is ours, and one of which a trigger is recorded that is still on a partition that has left.
CREATE FUNCTION rebeco.capture_drop_strangers(relation oid) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stranger int;
BEGIN
    FOR stranger IN
        SELECT DISTINCT substr(p.proname, 9)::int
          FROM rebeco.tree(relation) r (oid)
          JOIN pg_trigger t ON t.tgrelid = r.oid
          JOIN pg_proc p ON p.oid = t.tgfoid
          LEFT JOIN rebeco.capture c ON p.proname = 'capture_' || c.id
         WHERE p.pronamespace = 'rebeco'::regnamespace AND p.proname ~ '^capture_[0-9]{1,9}$'
           AND (c.id IS NULL OR c.relid <> r.oid AND c.relid NOT IN (SELECT * FROM pg_partition_ancestors(r.oid))
                                AND strpos(', ' || c.triggers, format(', %s ', r.oid)) = 0)
    LOOP
        PERFORM rebeco.capture_remove(stranger);
    END LOOP;
END
$$;

-- As before; and with these triggers.
CREATE OR REPLACE FUNCTION rebeco.capture_create_log(capture_id int, types text[], records text, two_way boolean) RETURNS void
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

-- As before; what we empty is not lost.
CREATE OR REPLACE FUNCTION rebeco.log_empty(capture_id int, segment regclass) RETURNS text
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
    PERFORM rebeco.log_protect(capture_id, segment), set_config('rebeco.emptying', 'on', true);
    EXECUTE format('TRUNCATE %s', segment);
    PERFORM set_config('rebeco.emptying', '', true);
    RETURN 'emptied';
END
$$;

-- As before, without the captures of another database.
CREATE OR REPLACE FUNCTION rebeco.capture_install(relation oid, key_index oid, form text, records text DEFAULT 'key', two_way boolean DEFAULT false) RETURNS int
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
                                    key_attnums, key_typids, key_equals, records, is_partitioned, is_two_way, function_md5, triggers)
        VALUES (relation, wanted.table_schema, wanted.table_name, wanted.form, wanted.key_columns, wanted.key_index, wanted.key_types,
                wanted.key_attnums, wanted.key_typids, wanted.key_equals, wanted.records, wanted.is_partitioned, two_way, '', '')
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
        PERFORM rebeco.capture_drop_triggers(c.id);
        PERFORM rebeco.capture_drop_log(c.id);
        UPDATE rebeco.capture u
           SET table_schema = wanted.table_schema, table_name = wanted.table_name, form = wanted.form,
               key_columns = wanted.key_columns, key_index = wanted.key_index, key_types = wanted.key_types,
               key_attnums = wanted.key_attnums, key_typids = wanted.key_typids, key_equals = wanted.key_equals,
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
