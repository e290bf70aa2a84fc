-- Rows that a trigger of the application at the target drops without an error (it returns NULL), where our role may not keep
-- triggers from firing. A COPY says how many rows it has taken; this is for chunks that go through a temporary table.

-- True where every row of pg_temp.rebeco_chunk has one with its key in the table, but for the refused ones; else an
-- error. Asked only where a trigger could have dropped some. `conflict` are the key's columns, NULL: not to be looked at.
CREATE FUNCTION rebeco.chunk_is_whole(relation regclass, conflict text, refused json) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing bigint;
BEGIN
    IF conflict IS NULL OR NOT EXISTS (
            SELECT 1 FROM rebeco.tree(relation) r (oid) JOIN pg_trigger t ON t.tgrelid = r.oid
             WHERE NOT t.tgisinternal AND t.tgtype & 7 = 7 -- for each row, before, insert
               AND t.tgenabled::text = ANY (CASE current_setting('session_replication_role') WHEN 'replica' THEN '{A,R}' ELSE '{A,O}' END::text[])) THEN
        RETURN true;
    END IF;
    EXECUTE format('SELECT count(*) FROM pg_temp.rebeco_chunk c LEFT JOIN %s t USING (%s) WHERE t.tableoid IS NULL', relation, conflict) INTO missing;
    missing := missing - coalesce(json_array_length(refused), 0);
    IF missing > 0 THEN
        RAISE EXCEPTION '% rows of % were dropped by a trigger there', missing, relation
            USING ERRCODE = 'RB040', HINT = 'A trigger BEFORE INSERT returns NULL for them. Until the cutover: ALTER TABLE ... DISABLE TRIGGER ...; '
                                            'or let our role set session_replication_role. If it shall drop rows: tables.fire_triggers.';
    END IF;
    RETURN true;
END
$$;
