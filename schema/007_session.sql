-- Switches the session to replica role, so that the application's triggers and foreign keys do not
-- fire for rows that arrive by replication. False where the role may not: then they fire.
CREATE FUNCTION rebeco.session_replica_role() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('session_replication_role', 'replica', false);
    RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN false;
END
$$;
