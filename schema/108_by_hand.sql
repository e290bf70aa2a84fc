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
    SET enable_seqscan = off -- as rebeco.capture_triggers()
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
    END LOOP;
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER before_truncate, ENABLE ALWAYS TRIGGER truncate, ENABLE ALWAYS TRIGGER delete', segment);
END
$$;

-- Removes captures of another database whose triggers are on a table, or on its partitions. One that is recorded for the table, or for one
-- above it, is ours, and one of which a trigger is recorded that is still on a partition that has left.
CREATE FUNCTION rebeco.capture_drop_strangers(relation oid) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off -- as rebeco.capture_triggers()
AS $$
DECLARE
    stranger int;
BEGIN
    FOR stranger IN
        SELECT DISTINCT substr(p.proname, 9)::int
          FROM rebeco.tree(relation) r (oid)
          JOIN pg_trigger t ON t.tgrelid = r.oid
         CROSS JOIN LATERAL (SELECT f.pronamespace, f.proname FROM pg_proc f WHERE f.oid = t.tgfoid OFFSET 0) p -- not all of ours, one by one
          LEFT JOIN rebeco.capture c ON c.id = CASE WHEN p.proname ~ '^capture_[0-9]{1,9}$' THEN substr(p.proname, 9)::int END
         WHERE p.pronamespace = 'rebeco'::regnamespace AND p.proname ~ '^capture_[0-9]{1,9}$'
           AND (c.id IS NULL OR c.relid <> r.oid AND c.relid NOT IN (SELECT * FROM pg_partition_ancestors(r.oid))
                                AND strpos(', ' || c.triggers, format(', %s ', r.oid)) = 0)
    LOOP
        PERFORM rebeco.capture_remove(stranger);
    END LOOP;
END
$$;
