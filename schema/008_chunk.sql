-- Loading a chunk whose rows may be there already, where ON CONFLICT cannot be used.

-- Moves the rows of pg_temp.rebeco_chunk into a table one by one; the first to come stays. Slow, and
-- the only way that is right with deferrable constraints.
CREATE FUNCTION rebeco.chunk_merge(relation regclass, columns text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    place tid;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    FOR place IN SELECT ctid FROM pg_temp.rebeco_chunk LOOP
        BEGIN
            EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM pg_temp.rebeco_chunk WHERE ctid = $1', relation, columns, columns)
              USING place;
        EXCEPTION WHEN unique_violation OR exclusion_violation THEN
            NULL;
        END;
    END LOOP;
END
$$;
