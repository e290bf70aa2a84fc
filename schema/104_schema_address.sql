-- Looking up what a copied schema has, where our role may not look into a schema that is there.

-- As before; and what is in a schema that we may not use is not there for us: the object is named with what
-- the server says when it is made, and everything else is made nevertheless. The error as such ended the
-- look at all objects, and no table of any schema was copied.
CREATE OR REPLACE FUNCTION rebeco.schema_has_address(kind text, names text[], args text[]) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_catalog.pg_get_object_address(kind, names, args);
    RAISE EXCEPTION USING ERRCODE = 'RB001', MESSAGE = 'it is here';
EXCEPTION
    WHEN SQLSTATE 'RB001' THEN
        RETURN true;
    WHEN undefined_table OR undefined_object OR undefined_function OR undefined_column
         OR invalid_schema_name OR wrong_object_type OR invalid_parameter_value
         OR syntax_error OR invalid_name OR insufficient_privilege THEN
        RETURN false;
END
$$;
