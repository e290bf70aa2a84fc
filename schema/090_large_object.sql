-- Large objects. No trigger fires for them: they are copied at the beginning and when somebody asks for
-- it, in pieces, under the numbers that they have at the source, because rows refer to them by these.
--
-- A piece and the note of how far the copy is are one transaction: what is killed goes on where it was.

-- How far the copy is. One row per sync, at the target.
CREATE TABLE rebeco.large_object_copy (
    sync text PRIMARY KEY REFERENCES rebeco.sync ON DELETE CASCADE,
    scope text NOT NULL,                -- all: every object is compared; new: those that are not here yet
    source text NOT NULL,               -- which database they come from
    request bigint,                     -- the row of rebeco.command that asked for it; NULL: nobody did
    is_final boolean NOT NULL,          -- begun when the sync followed: nothing is owed any more
    next_oid bigint NOT NULL DEFAULT 0, -- all before it have been looked at
    next_place bigint NOT NULL DEFAULT 0, -- of that object: the bytes that are here
    copied bigint NOT NULL DEFAULT 0,   -- objects
    bytes bigint NOT NULL DEFAULT 0,
    ended_at timestamptz
);

-- The objects of the target that are the source's, and those that should be and are not.
CREATE TABLE rebeco.large_object (
    sync text NOT NULL REFERENCES rebeco.sync ON DELETE CASCADE,
    loid oid NOT NULL,
    is_ours boolean NOT NULL,           -- made by us: it may be written and removed
    is_done boolean NOT NULL DEFAULT false,
    refused text,                       -- why it is not here, in the server's words
    PRIMARY KEY (sync, loid)
);

-- Finds where the copy stands. A new one begins when there was none, when the source is another one,
-- and after the last one has ended: when it was asked for, and once when the sync follows, for what came
-- while the tables were copied.
CREATE FUNCTION rebeco.large_objects_begin(sync_name text, our_number bigint, wanted text, asked bigint, follows boolean)
    RETURNS rebeco.large_object_copy
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c rebeco.large_object_copy;
    here text;
BEGIN
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    SELECT concat_ws('/', s.source_system, s.source_timeline, s.source_database) INTO here
      FROM rebeco.sync s WHERE s.name = sync_name;
    SELECT * INTO c FROM rebeco.large_object_copy l WHERE l.sync = sync_name;
    IF c.source = here AND (c.ended_at IS NULL
                            OR (asked IS NULL OR c.request IS NOT DISTINCT FROM asked) AND (c.is_final OR NOT follows)) THEN
        RETURN c;
    END IF;
    DELETE FROM rebeco.large_object_copy l WHERE l.sync = sync_name;
    INSERT INTO rebeco.large_object_copy (sync, scope, source, request, is_final)
    VALUES (sync_name, CASE WHEN c.source <> here THEN 'all' ELSE coalesce(wanted, 'new') END, here, asked, follows)
    RETURNING * INTO c;
    RETURN c;
END
$$;

-- Of the source's objects between two numbers, those that are to be read. What was copied from there
-- and is not there any more is removed.
CREATE FUNCTION rebeco.large_objects_page(sync_name text, our_number bigint, first_oid bigint, last_oid bigint, there oid[])
    RETURNS oid[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gone oid;
    wanted oid[];
BEGIN
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    FOR gone IN SELECT l.loid FROM rebeco.large_object l
                 WHERE l.sync = sync_name AND l.loid::bigint BETWEEN first_oid AND last_oid
                   AND NOT EXISTS (SELECT FROM unnest(there) o WHERE o = l.loid) LOOP
        BEGIN
            PERFORM lo_unlink(m.oid) FROM pg_largeobject_metadata m JOIN rebeco.large_object l ON l.loid = m.oid
              WHERE m.oid = gone AND l.sync = sync_name AND l.is_ours;
        EXCEPTION WHEN insufficient_privilege THEN
            NULL; -- it is somebody else's by now
        END;
        DELETE FROM rebeco.large_object l WHERE l.sync = sync_name AND l.loid = gone;
    END LOOP;
    SELECT array_agg(o ORDER BY o) INTO wanted
      FROM unnest(there) o
      LEFT JOIN rebeco.large_object l ON l.sync = sync_name AND l.loid = o
      JOIN rebeco.large_object_copy c ON c.sync = sync_name
     WHERE c.scope = 'all' OR l.is_done IS NOT TRUE;
    RETURN coalesce(wanted, '{}');
END
$$;

-- Reads objects, in the order of their numbers, from a place on: about so many bytes. At the source.
-- next_oid is NULL when all are read to their end. One that our role may not read has a refusal;
-- one that is gone meanwhile is passed over.
CREATE FUNCTION rebeco.large_objects_read(wanted oid[], from_oid bigint, from_place bigint, budget int,
        OUT oids oid[], OUT places bigint[], OUT pieces bytea[], OUT is_last boolean[], OUT refusals text[],
        OUT abouts text[], OUT next_oid bigint, OUT next_place bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most constant int := 500;
    o oid;
    place bigint;
    piece bytea;
    size int;
    refusal text;
    room int := budget;
BEGIN
    oids := '{}'; places := '{}'; pieces := '{}'; is_last := '{}'; refusals := '{}'; abouts := '{}';
    FOREACH o IN ARRAY wanted LOOP
        CONTINUE WHEN o::bigint < from_oid;
        place := CASE WHEN o::bigint = from_oid THEN from_place ELSE 0 END;
        IF room <= 0 OR cardinality(oids) >= most THEN
            next_oid := o; next_place := place;
            RETURN;
        END IF;
        size := greatest(room, 65536);
        piece := NULL;
        refusal := NULL;
        BEGIN
            piece := lo_get(o, place, size);
        EXCEPTION WHEN undefined_object THEN
            CONTINUE;
        WHEN insufficient_privilege OR data_corrupted THEN
            refusal := SQLERRM;
        END;
        oids := oids || o; places := places || place; pieces := pieces || piece; refusals := refusals || refusal;
        is_last := is_last || (coalesce(length(piece), 0) < size);
        abouts := abouts || rebeco.large_object_about(o);
        room := room - coalesce(length(piece), 0);
        IF length(piece) = size THEN
            next_oid := o; next_place := place + size;
            RETURN;
        END IF;
    END LOOP;
END
$$;

-- What else belongs to an object, as JSON: its comment, and to whom it is granted. NULL: nothing.
CREATE FUNCTION rebeco.large_object_about(o oid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object('comment', d.comment,
               'grants', (SELECT json_agg(json_build_object('role', CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
                                                            'privilege', a.privilege_type, 'option', a.is_grantable))
                            FROM aclexplode(m.lomacl) a WHERE a.grantee <> m.lomowner))::text
      FROM pg_largeobject_metadata m
     CROSS JOIN LATERAL (SELECT obj_description(m.oid, 'pg_largeobject') AS comment) d
     WHERE m.oid = o AND (d.comment IS NOT NULL OR m.lomacl IS NOT NULL)
$$;

-- Writes what large_objects_read() gave, and how far that is.
CREATE FUNCTION rebeco.large_objects_write(sync_name text, our_number bigint, oids oid[], places bigint[], pieces bytea[],
        is_last boolean[], refusals text[], abouts text[], until_oid bigint, until_place bigint)
    RETURNS rebeco.large_object_copy
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c rebeco.large_object_copy;
    done bigint := 0;
    size bigint := 0;
BEGIN
    PERFORM 1 FROM rebeco.sync s WHERE s.name = sync_name AND s.owner = our_number FOR SHARE;
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    FOR i IN 1 .. cardinality(oids) LOOP
        IF refusals[i] IS NOT NULL THEN
            PERFORM rebeco.large_object_refuse(sync_name, oids[i], refusals[i]);
        ELSIF rebeco.large_object_put(sync_name, oids[i], places[i], pieces[i], is_last[i], abouts[i]) THEN
            size := size + length(pieces[i]);
            done := done + is_last[i]::int;
        END IF;
    END LOOP;
    UPDATE rebeco.large_object_copy l
       SET next_oid = until_oid, next_place = until_place, copied = l.copied + done, bytes = l.bytes + size
     WHERE l.sync = sync_name
    RETURNING * INTO c;
    RETURN c;
END
$$;

CREATE FUNCTION rebeco.large_object_refuse(sync_name text, o oid, why text) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO rebeco.large_object AS l (sync, loid, is_ours, refused) VALUES (sync_name, o, false, why)
        ON CONFLICT (sync, loid) DO UPDATE SET is_done = false, refused = excluded.refused
$$;

-- The object may be written: this sync has made it, or another one that has the same source.
CREATE FUNCTION rebeco.large_object_is_ours(sync_name text, o oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM rebeco.large_object l JOIN rebeco.sync s ON s.name = l.sync
                     JOIN rebeco.sync me ON me.name = sync_name
                    WHERE l.loid = o AND l.is_ours
                      AND (s.name = me.name OR (s.source_system, s.source_database) = (me.source_system, me.source_database)))
$$;

-- Makes a piece of an object what it is at the source. False when the object is refused: another one has
-- its number here, or it may not be written. What is equal already is not written, and a piece of zeros
-- behind the end stays a hole.
CREATE FUNCTION rebeco.large_object_put(sync_name text, o oid, place bigint, piece bytea, is_end boolean, about text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    taken constant text := 'the target has another large object of this number';
    is_mine boolean;
    is_new boolean := false;
    here bytea := '';
    size bigint := place + length(piece);
    fd int;
BEGIN
    IF place = 0 THEN
        is_mine := rebeco.large_object_is_ours(sync_name, o);
        IF NOT EXISTS (SELECT FROM pg_largeobject_metadata m WHERE m.oid = o) THEN
            PERFORM lo_create(o);
            is_new := true;
            is_mine := true;
        END IF;
        INSERT INTO rebeco.large_object AS l (sync, loid, is_ours) VALUES (sync_name, o, is_mine)
            ON CONFLICT (sync, loid) DO UPDATE SET is_ours = is_mine, is_done = false, refused = NULL;
    ELSE
        SELECT l.is_ours INTO is_mine FROM rebeco.large_object l WHERE l.sync = sync_name AND l.loid = o AND l.refused IS NULL;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END IF;
    IF NOT is_new AND length(piece) > 0 THEN
        here := lo_get(o, place, length(piece));
    END IF;
    IF here <> piece AND NOT is_mine THEN
        PERFORM rebeco.large_object_refuse(sync_name, o, taken);
        RETURN false;
    ELSIF here <> piece AND (here <> '' OR btrim(piece, '\x00') <> '') THEN
        PERFORM lo_put(o, place, piece);
    END IF;
    IF NOT is_end THEN
        RETURN true;
    END IF;
    fd := lo_open(o, CASE WHEN is_mine THEN x'60000'::int ELSE x'40000'::int END); -- INV_WRITE, INV_READ
    IF lo_lseek64(fd, 0, 2) <> size THEN
        IF NOT is_mine THEN
            PERFORM lo_close(fd);
            PERFORM rebeco.large_object_refuse(sync_name, o, taken);
            RETURN false;
        END IF;
        PERFORM lo_truncate64(fd, size);
    END IF;
    PERFORM lo_close(fd);
    IF is_mine AND about IS NOT NULL THEN
        PERFORM rebeco.large_object_dress(o, about::json);
    END IF;
    UPDATE rebeco.large_object l SET is_done = true WHERE l.sync = sync_name AND l.loid = o;
    RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM rebeco.large_object_refuse(sync_name, o, SQLERRM);
    RETURN false;
END
$$;

-- Comment and grants, as far as the roles are here too. The owner is our role, as of all that we make.
CREATE FUNCTION rebeco.large_object_dress(o oid, about json) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    g record;
BEGIN
    EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', o, about ->> 'comment');
    FOR g IN SELECT * FROM json_to_recordset(CASE json_typeof(about -> 'grants') WHEN 'array' THEN about -> 'grants' ELSE '[]' END)
                          AS x (role text, privilege text, option boolean)
              WHERE x.role = '' OR x.role IN (SELECT r.rolname FROM pg_roles r) LOOP
        EXECUTE format('GRANT %s ON LARGE OBJECT %s TO %s%s', g.privilege, o,
                       CASE WHEN g.role = '' THEN 'PUBLIC' ELSE quote_ident(g.role) END,
                       CASE WHEN g.option THEN ' WITH GRANT OPTION' END);
    END LOOP;
END
$$;

-- All have been looked at. What is refused is a problem that status shows, until a later copy finds none.
CREATE FUNCTION rebeco.large_objects_end(sync_name text, our_number bigint)
    RETURNS TABLE (all_copied bigint, all_bytes bigint, all_refused bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM rebeco.sync_check_owner(sync_name, our_number);
    UPDATE rebeco.large_object_copy c SET ended_at = clock_timestamp() WHERE c.sync = sync_name AND c.ended_at IS NULL;
    SELECT c.copied, c.bytes, (SELECT count(*) FROM rebeco.large_object l WHERE l.sync = sync_name AND l.refused IS NOT NULL)
      INTO all_copied, all_bytes, all_refused
      FROM rebeco.large_object_copy c WHERE c.sync = sync_name;
    DELETE FROM rebeco.problem p WHERE p.sync = sync_name AND p.kind = 'large-object' AND all_refused = 0;
    INSERT INTO rebeco.problem AS p (sync, kind, object, message, hint)
    SELECT sync_name, 'large-object', 'LARGE OBJECTS',
           format('%s large objects are not at the target: %s%s', all_refused, string_agg(format('%s (%s)', l.loid, l.why), ', ' ORDER BY l.loid),
                  CASE WHEN all_refused > 5 THEN ', ...' ELSE '' END),
           'Let our role read them (GRANT SELECT ON LARGE OBJECT ... at the source), or remove what has their number at the '
           'target (SELECT lo_unlink(...)); rebeco.large_object lists all. Then: rebeco resync --large-objects new'
      FROM (SELECT r.loid, r.refused AS why FROM rebeco.large_object r
             WHERE r.sync = sync_name AND r.refused IS NOT NULL ORDER BY r.loid LIMIT 5) l
    HAVING count(*) > 0
        ON CONFLICT (sync, kind, object) DO UPDATE SET message = excluded.message, hint = excluded.hint, at = clock_timestamp();
    RETURN NEXT;
END
$$;
