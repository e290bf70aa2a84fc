-- Constraints of the target while a batch is written. Where the role may not switch to replica role they
-- stay on, and foreign keys have to wait for the end of the batch: only then all rows are there.

-- Changes with every foreign key that comes, goes or acts otherwise.
CREATE FUNCTION rebeco.foreign_keys_stamp() RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat(f.oid, f.confdeltype, f.confupdtype, CASE WHEN NOT rebeco.is_enforced(f) THEN '-' END), ',' ORDER BY f.oid)), '')
      FROM pg_catalog.pg_constraint f WHERE f.contype = 'f'
$$;

-- Puts off what can be put off, and makes the foreign keys from and to these tables such that they can,
-- until constraints_settle(): nobody else ever sees that. Fails when the foreign keys are not those that
-- the order of the batch was made for.
CREATE FUNCTION rebeco.constraints_defer(tables oid[], known text) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    patience text := pg_catalog.current_setting('lock_timeout');
    changed text := '';
    f record;
    said text;
BEGIN
    IF known <> rebeco.foreign_keys_stamp() THEN
        RAISE EXCEPTION 'the foreign keys of the target have changed' USING ERRCODE = 'serialization_failure';
    END IF;
    PERFORM pg_catalog.set_config('lock_timeout', '2s', true);
    FOR f IN
        WITH RECURSIVE tree AS (
            SELECT pg_catalog.unnest(tables) AS oid
            UNION
            SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_class p ON p.oid = tree.oid AND p.relkind = 'p'
              JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid
        )
        SELECT c.oid, c.conname, c.conrelid, c.conrelid::pg_catalog.regclass::text AS relation
          FROM pg_catalog.pg_constraint c
         WHERE c.contype = 'f' AND c.conparentid = 0 AND NOT c.condeferrable AND rebeco.is_enforced(c)
           AND (c.conrelid IN (SELECT oid FROM tree) OR c.confrelid IN (SELECT oid FROM tree))
         ORDER BY c.conrelid, c.oid
    LOOP
        BEGIN
            EXECUTE pg_catalog.format('ALTER TABLE %s ALTER CONSTRAINT %I DEFERRABLE INITIALLY DEFERRED', f.relation, f.conname);
        EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
            GET STACKED DIAGNOSTICS said = MESSAGE_TEXT;
            RAISE EXCEPTION 'foreign key % of % cannot be put off to the end of a batch: %', f.conname, f.relation, said
                USING ERRCODE = 'foreign_key_violation',
                      HINT = pg_catalog.format('At the target: ALTER TABLE %s ALTER CONSTRAINT %I DEFERRABLE (until the cutover); '
                                               'or let our role set session_replication_role.', f.relation, f.conname);
        END;
        changed := changed || ' ' || f.oid;
    END LOOP;
    PERFORM pg_catalog.set_config('lock_timeout', patience, true);
    PERFORM pg_catalog.set_config('rebeco.deferred', pg_catalog.ltrim(changed), true);
    SET CONSTRAINTS ALL DEFERRED;
END
$$;

-- Everything is there: what was put off is checked now, so that what fails is known by its table (the
-- root of a partition), and not at COMMIT. Then the foreign keys become what they were.
CREATE FUNCTION rebeco.constraints_settle() RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    f record;
    state text; said text; more text; at_schema text; at_table text; at_constraint text;
BEGIN
    BEGIN
        SET CONSTRAINTS ALL IMMEDIATE;
    EXCEPTION WHEN integrity_constraint_violation THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL,
            at_schema = SCHEMA_NAME, at_table = TABLE_NAME, at_constraint = CONSTRAINT_NAME;
        SELECT n.nspname, c.relname INTO at_schema, at_table
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid = (SELECT coalesce(pg_catalog.pg_partition_root(r), r)
                          FROM (SELECT pg_catalog.to_regclass(pg_catalog.format('%I.%I', at_schema, at_table)) AS r) x);
        RAISE EXCEPTION USING ERRCODE = state, MESSAGE = said, DETAIL = more, SCHEMA = coalesce(at_schema, ''),
            TABLE = coalesce(at_table, ''), CONSTRAINT = at_constraint;
    END;
    IF coalesce(pg_catalog.current_setting('rebeco.deferred', true), '') = '' THEN
        RETURN;
    END IF;
    FOR f IN
        SELECT c.conname, c.conrelid::pg_catalog.regclass::text AS relation
          FROM pg_catalog.regexp_split_to_table(pg_catalog.current_setting('rebeco.deferred'), ' ') o
          JOIN pg_catalog.pg_constraint c ON c.oid = o::oid
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ALTER CONSTRAINT %I NOT DEFERRABLE', f.relation, f.conname);
    END LOOP;
    PERFORM pg_catalog.set_config('rebeco.deferred', '', true);
END
$$;
