-- A two-way sync may have one of its directions closed: replicator/direction.c says what that means.

-- Of the sync that a person has configured; that of its way back says nothing.
ALTER TABLE rebeco.sync
    ADD COLUMN direction text NOT NULL DEFAULT 'both', -- or source-to-target, target-to-source
    ADD COLUMN direction_since timestamptz;            -- NULL: from the beginning

CREATE FUNCTION rebeco.direction_set(sync_name text, our_number bigint, wanted text) RETURNS timestamptz
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    since timestamptz;
BEGIN
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    UPDATE rebeco.sync s SET direction = wanted, direction_since = clock_timestamp() WHERE s.name = sync_name
    RETURNING s.direction_since INTO since;
    RETURN since;
END
$$;
