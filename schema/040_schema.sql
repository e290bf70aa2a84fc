-- What copying the schema keeps at the target.

-- One row per sync whose schema is copied by us: it was decided once, on an empty target, and a
-- start after a crash goes on with it.
CREATE TABLE rebeco.schema_copy (
    sync text PRIMARY KEY REFERENCES rebeco.sync ON DELETE CASCADE,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    pre_at timestamptz,                 -- types, functions, tables, views: done
    post_at timestamptz                 -- indexes, constraints, triggers: done
);

-- What the last run of a stage (pre, post) found in the source's schema, and how to find the same
-- object here. `failed`: it is missing here, and rebeco.problem says why.
CREATE TABLE rebeco.schema_object (
    sync text NOT NULL REFERENCES rebeco.sync ON DELETE CASCADE,
    stage text NOT NULL,
    id int NOT NULL,                    -- the archive's
    kind text NOT NULL,                 -- these three: pg_identify_object_as_address()
    names text[] NOT NULL,
    args text[] NOT NULL,
    parent text[],                      -- of a partition, or of its index: schema and name
    detail text NOT NULL DEFAULT '',    -- primary: a primary key; attach: belongs to its parent
    label text NOT NULL,                -- as in rebeco.problem.object
    failed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (sync, stage, id)
);

-- Whether this database has the object. Looking one up locks it; the exception gives the lock back,
-- so that thousands can be looked up in one statement. What is in a schema that our role may not use is not
-- there for us: the object is named with what the server says when it is made, and everything else is made
-- nevertheless; the error as such would end the look at all objects, and no table of any schema would be copied.
CREATE FUNCTION rebeco.schema_has_address(kind text, names text[], args text[]) RETURNS boolean
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

-- Of each object: 'missing', 'there', or 'renamed': there under another name. Any primary key will
-- do for a table's primary key, and any index that is attached to the parent's index for an index of
-- a partition. A partition is there as such when it is attached.
CREATE VIEW rebeco.schema_state AS
SELECT o.sync, o.stage, o.id, o.kind, o.failed,
       CASE WHEN o.detail = 'attach' THEN CASE WHEN EXISTS (
                SELECT 1 FROM pg_catalog.pg_namespace n
                  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
                  JOIN pg_catalog.pg_inherits h ON h.inhrelid = c.oid
                  JOIN pg_catalog.pg_class p ON p.oid = h.inhparent
                  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
                 WHERE n.nspname = o.names[1] AND c.relname = o.names[2]
                   AND pn.nspname = o.parent[1] AND p.relname = o.parent[2]) THEN 'there' ELSE 'missing' END
            WHEN rebeco.schema_has_address(o.kind, o.names, o.args) THEN 'there'
            WHEN o.detail = 'primary' AND EXISTS (
                SELECT 1 FROM pg_catalog.pg_namespace n
                  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
                  JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
                 WHERE n.nspname = o.names[1] AND c.relname = o.names[2]) THEN 'renamed'
            WHEN o.parent IS NOT NULL AND EXISTS (
                SELECT 1 FROM pg_catalog.pg_namespace n
                  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
                  JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
                  JOIN pg_catalog.pg_inherits h ON h.inhrelid = i.indexrelid
                  JOIN pg_catalog.pg_class p ON p.oid = h.inhparent
                  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
                 WHERE n.nspname = o.parent[3] AND c.relname = o.parent[4]
                   AND pn.nspname = o.parent[1] AND p.relname = o.parent[2]) THEN 'renamed'
            ELSE 'missing' END AS state
  FROM rebeco.schema_object o;

-- Runs statements that were made by the source's server, each by itself; returns what the server
-- said to each that failed, as one text with detail and hint.
CREATE FUNCTION rebeco.schema_run(statements json) RETURNS TABLE (id int, message text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one record;
    detail text;
    hint text;
BEGIN
    FOR one IN SELECT (s ->> 'id')::int AS id, s ->> 'text' AS text
                 FROM pg_catalog.json_array_elements(statements) s LOOP
        BEGIN
            EXECUTE one.text;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
                                    hint = PG_EXCEPTION_HINT;
            message := pg_catalog.concat(message, E'\nDETAIL:  ' || nullif(detail, ''),
                                         E'\nHINT:  ' || nullif(hint, ''));
            id := one.id;
            RETURN NEXT;
        END;
    END LOOP;
END
$$;
