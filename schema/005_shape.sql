-- How a table looks, as text: what a batch compares with what it was made for.
--
-- What one of these functions calls for each table or column is in PL/pgSQL, which keeps its plans: a
-- function in SQL would be planned anew each time, which costs more than all the rest.

-- A type's name with its modifier, the same at both ends when it is the same type.
CREATE FUNCTION rebeco.type_name(type oid, modifier int) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_depend d
                              WHERE d.classid = 'pg_type'::regclass AND d.deptype = 'e'
                                AND d.objid = CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE t.oid END)
                THEN regexp_replace(format_type(type, modifier), '^("([^"]|"")*"|[^".]+)\.', '')
                ELSE format_type(type, modifier) END
      FROM pg_type t WHERE t.oid = type);
END
$$;

-- What a change log's column is declared as, for values of that type (no domain) and collation.
CREATE FUNCTION rebeco.log_type(type oid, collation_oid oid) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN format_type(type, -1) || coalesce(' COLLATE ' || nullif(collation_oid, 0)::regcollation, '');
END
$$;

-- Whether an index tells the rows of its table apart: unique, over columns that are never null, without predicate or
-- expression. A column whose NOT NULL is NOT VALID (PostgreSQL 18) is attnotnull, and may have been NULL in rows from
-- before: of those a change log of keys would know nothing. check asks the same where nothing of ours is installed:
-- sql/check_keys.sql, check_relations.sql and check_two_way.sql. For functions that have set the search path: to set it
-- anew for each index would cost more than all the rest.
CREATE FUNCTION rebeco.index_is_key(key_index oid) RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
               AND NOT EXISTS (SELECT 1 FROM pg_attribute n
                                WHERE n.attrelid = i.indrelid AND (NOT n.attnotnull OR n.attgenerated <> '')
                                  AND n.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))
               AND NOT EXISTS (SELECT 1 FROM pg_constraint v
                                WHERE v.conrelid = i.indrelid AND v.contype = 'n' AND NOT v.convalidated
                                  AND v.conkey[1] = ANY (i.indkey[0:i.indnkeyatts - 1]))
              FROM pg_index i WHERE i.indexrelid = key_index);
END
$$;

-- The columns of the index that identifies a row, in the index's order: the primary key, else the narrowest that will do.
-- An INSERT can name it in ON CONFLICT unless it is deferrable, or an exclusion constraint (WITHOUT OVERLAPS, PostgreSQL 18).
CREATE FUNCTION rebeco.table_key(relation oid)
    RETURNS TABLE (index_oid oid, is_immediate boolean, ordinal int, column_name name)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT i.indexrelid, i.can_arbitrate, k.ordinal::int, a.attname
      FROM (SELECT x.indexrelid, x.indrelid, x.indkey, x.indnkeyatts, x.indimmediate AND NOT x.indisexclusion AS can_arbitrate
              FROM pg_index x
             WHERE x.indrelid = relation AND x.indisunique AND rebeco.index_is_key(x.indexrelid)
             ORDER BY x.indisprimary DESC, x.indimmediate AND NOT x.indisexclusion DESC, x.indnkeyatts, x.indexrelid
             LIMIT 1) i
     CROSS JOIN LATERAL unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k (attnum, ordinal)
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum;
END
$$;

-- Name, kind, columns in order with type, nullability and how they are generated, and the key.
-- Two tables with the same text can be read and written by the same statements. A type that
-- belongs to an extension is written without its schema, which may differ between the ends.
CREATE FUNCTION rebeco.table_shape(relation oid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('%I.%I %s (%s) key (%s)', n.nspname, c.relname, c.relkind,
        (SELECT string_agg(concat_ws(' ', quote_ident(a.attname), rebeco.type_name(a.atttypid, a.atttypmod),
                    CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation::text END,
                    CASE WHEN a.attnotnull THEN 'not null' END,
                    CASE WHEN a.attgenerated <> '' THEN 'generated ' || a.attgenerated::text END,
                    CASE WHEN a.attidentity <> '' THEN 'identity ' || a.attidentity::text END),
                ', ' ORDER BY a.attnum)
           FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
        (SELECT string_agg(quote_ident(k.column_name), ', ' ORDER BY k.ordinal)
           FROM rebeco.table_key(c.oid) k))
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = relation
$$;

-- A table and all partitions below it. Locks nothing, which pg_partition_tree() does.
CREATE FUNCTION rebeco.tree(relation oid) RETURNS SETOF oid
    LANGUAGE sql STABLE
AS $$
    WITH RECURSIVE tree AS (
        SELECT relation AS oid
        UNION ALL
        SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_class p ON p.oid = t.oid AND p.relkind = 'p'
          JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
    )
    SELECT t.oid FROM tree t
$$;

-- The partitions below a table, as below.
CREATE FUNCTION rebeco.tree_stamp(relation oid) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT md5(string_agg(concat_ws(' ', c.oid, c.relfilenode, c.xmin), ';' ORDER BY c.oid))
      FROM rebeco.tree(relation) tree (oid) JOIN pg_class c ON c.oid = tree.oid);
END
$$;

-- What changes whenever the table, or one of its partitions, is rewritten, truncated, attached or
-- altered: files and the transactions that last touched the catalog's rows. Equal at two moments
-- means that nothing of this happened between them. Asked twice for each table of each batch, so it
-- is kept cheap: no SET clause (our sessions have search_path pinned), the tree only where there is one,
-- and PL/pgSQL, which keeps its plan, where an SQL function is planned at every call.
CREATE FUNCTION rebeco.table_stamp(relation oid) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT concat_ws(' ', c.relfilenode, c.xmin, n.oid, n.xmin,
            (SELECT string_agg(a.xmin::text, ',' ORDER BY a.attnum)
               FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
            (SELECT string_agg(concat_ws('=', i.indexrelid, i.xmin), ',' ORDER BY i.indexrelid)
               FROM pg_index i WHERE i.indrelid = c.oid),
            CASE WHEN c.relkind = 'p' THEN rebeco.tree_stamp(c.oid) END)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = relation);
END
$$;

-- Our triggers on the partitions below a table, as below.
CREATE FUNCTION rebeco.tree_capture_stamp(relation oid) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT md5(string_agg(concat_ws(' ', tree.oid, t.oid, t.xmin), ';' ORDER BY tree.oid, t.oid))
      FROM rebeco.tree(relation) tree (oid) LEFT JOIN pg_trigger t ON t.tgrelid = tree.oid);
END
$$;

-- What changes whenever one of our triggers on the table, or on one of its partitions, or their
-- function is touched. Equal at two moments means that capture was not interrupted between them.
CREATE FUNCTION rebeco.capture_stamp(capture_id int, relation oid) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN concat_ws(' ',
            (SELECT string_agg(concat_ws('=', t.oid, t.xmin), ',' ORDER BY t.oid)
               FROM pg_trigger t WHERE t.tgrelid = relation AND NOT t.tgisinternal),
            (SELECT string_agg(concat_ws('=', p.oid, p.xmin), ',')
               FROM pg_proc p WHERE p.oid = to_regproc('rebeco.capture_' || capture_id)),
            (SELECT concat_ws('=', c.xmin, to_regclass('rebeco.log_' || c.id || '_0')::oid, to_regclass('rebeco.log_' || c.id || '_1')::oid)
               FROM rebeco.capture c WHERE c.id = capture_id),
            (SELECT CASE WHEN r.relkind = 'p' THEN rebeco.tree_capture_stamp(r.oid) END
               FROM pg_class r WHERE r.oid = relation));
END
$$;

-- Is the constraint enforced? From PostgreSQL 18 on a foreign key may be NOT ENFORCED: it refuses nothing, and does nothing.
CREATE FUNCTION rebeco.is_enforced(k pg_constraint) RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(pg_catalog.to_jsonb(k) ->> 'conenforced', 'true') = 'true'
$$;

-- The type below a domain, or a domain over a domain; any other type itself.
CREATE FUNCTION rebeco.base_type(type oid) RETURNS oid
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_type record;
BEGIN
    LOOP
        SELECT t.oid, t.typtype, t.typbasetype INTO found_type FROM pg_type t WHERE t.oid = type;
        IF found_type.typtype IS DISTINCT FROM 'd' THEN
            RETURN found_type.oid;
        END IF;
        type := found_type.typbasetype;
    END LOOP;
END
$$;

-- What reads a value of a base type from its text. A cast does, as the type itself would, but to regclass: that one knows
-- neither '-' nor the number of a table that is gone. Through an array the type is asked.
CREATE FUNCTION rebeco.from_text(expression text, type text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format(CASE type WHEN 'regclass' THEN '(ARRAY[%s]::text::%s[])[1]' ELSE '(%s)::%s' END, expression, type)
$$;

-- Is it a domain that is NOT NULL, or one over such a domain?
CREATE FUNCTION rebeco.type_refuses_null(type oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE down AS (
        SELECT t.typtype, t.typbasetype, t.typnotnull FROM pg_type t WHERE t.oid = type
        UNION ALL
        SELECT t.typtype, t.typbasetype, t.typnotnull
          FROM down d JOIN pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd'
    )
    SELECT bool_or(typtype = 'd' AND typnotnull) FROM down
$$;

-- An operator as a statement names it. Its schema is in no search_path of ours: without it citext would be compared as text,
-- case and all.
CREATE FUNCTION rebeco.operator_name(operator oid) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
              FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = operator);
END
$$;

-- The operator by which a btree index over the type finds equal values.
CREATE FUNCTION rebeco.type_operator(type oid) RETURNS oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.amopopr
      FROM pg_type t
     CROSS JOIN LATERAL (SELECT CASE WHEN t.typcategory = 'A' THEN 'anyarray' WHEN t.typtype = 'e' THEN 'anyenum'
                                     WHEN t.typtype = 'r' THEN 'anyrange' WHEN t.typtype = 'm' THEN 'anymultirange'
                                     WHEN t.typtype = 'c' THEN 'record' END AS name) any_such
      JOIN pg_opclass c ON c.opcdefault AND c.opcmethod = (SELECT a.oid FROM pg_am a WHERE a.amname = 'btree')
       AND (c.opcintype = t.oid OR c.opcintype = to_regtype(any_such.name)
            OR EXISTS (SELECT 1 FROM pg_cast k WHERE k.castsource = t.oid AND k.casttarget = c.opcintype
                          AND k.castmethod = 'b' AND k.castcontext = 'i'))
      JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amopstrategy = 3 AND m.amoppurpose = 's'
                    AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
     WHERE t.oid = type
     ORDER BY c.opcintype = t.oid DESC
     LIMIT 1
$$;

CREATE FUNCTION rebeco.type_equals(type oid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT rebeco.operator_name(rebeco.type_operator(type))
$$;

-- What the enums and composites of users are made of, in which the values of a table's columns are, or are parts: labels by their
-- numbers, attributes by theirs. Neither a label's new name nor another attribute writes a row or touches the table.
CREATE FUNCTION rebeco.table_types(relation oid) RETURNS json
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        WITH RECURSIVE inside AS (
            SELECT a.atttypid AS oid FROM pg_attribute a
             WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384
            UNION
            SELECT x.oid
              FROM inside i JOIN pg_type t ON t.oid = i.oid
             CROSS JOIN LATERAL (
                   SELECT unnest(ARRAY[t.typbasetype, t.typelem])
                   UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid
                   UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) x (oid)
             WHERE x.oid >= 16384
        )
        SELECT json_object_agg(rebeco.type_name(t.oid, NULL),
               CASE t.typtype WHEN 'e' THEN json_build_object('labels', (
                                   SELECT json_object_agg(e.oid, e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
                              ELSE json_build_object('attributes', (
                                   SELECT json_object_agg(a.attnum, concat_ws(' ', quote_ident(a.attname), rebeco.type_name(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
                                     FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)) END
               ORDER BY t.oid)
          FROM inside i JOIN pg_type t ON t.oid = i.oid AND t.typtype IN ('e', 'c'));
END
$$;

-- The triggers of a user, and the rules, that would act on what comes from the other end of a two-way sync; NULL: none. A rule's
-- condition does not count: the server takes no DO ALSO rule in our INSERT. Of a trigger's, as the catalog keeps it, it is asked whether the
-- bytes of rebeco.applying are in it: pg_get_triggerdef() would wait for whoever holds the table. Of partitions, whose rows we
-- write by way of their table, only row triggers of their own: what they have from it is a copy.
CREATE FUNCTION rebeco.acts_on_arrivals(relation oid) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off -- as rebeco.capture_triggers()
AS $$
BEGIN -- asked for each table that a round has written: it keeps its plan
    RETURN (SELECT string_agg(a.what, ', ' ORDER BY a.what)
              FROM (SELECT 'trigger ' || quote_ident(t.tgname) || CASE WHEN t.tgrelid <> relation THEN ' on ' || t.tgrelid::regclass ELSE '' END AS what
                      FROM rebeco.tree(relation) r (oid) JOIN pg_trigger t ON t.tgrelid = r.oid JOIN pg_proc p ON p.oid = t.tgfoid
                     WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND p.pronamespace <> 'rebeco'::regnamespace
                       AND (t.tgrelid = relation OR t.tgtype & 1 = 1
                            AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.refclassid = 'pg_trigger'::regclass))
                       AND coalesce(strpos(t.tgqual::text, '114 101 98 101 99 111 46 97 112 112 108 121 105 110 103'), 0) = 0
                    UNION ALL
                    SELECT 'rule ' || quote_ident(r.rulename)
                      FROM pg_rewrite r WHERE r.ev_class = relation AND r.ev_type <> '1' AND r.ev_enabled IN ('O', 'A')) a);
END
$$;

-- Which table it is and where it keeps its values: its file, for each column its number, the transaction that last
-- touched its definition, and what rows from before it was added have; and the types of users. From two of them it can be told
-- whether the values under the names may have changed without a row being written.
CREATE FUNCTION rebeco.table_layout(relation oid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object('oid', c.oid::bigint, 'file', (
               WITH RECURSIVE tree AS (
                   SELECT c.oid
                   UNION ALL
                   SELECT i.inhrelid FROM tree t JOIN pg_class p ON p.oid = t.oid AND p.relkind = 'p'
                     JOIN pg_inherits i ON i.inhparent = t.oid
               )
               SELECT string_agg(f.relfilenode::text, ',' ORDER BY f.oid) FROM tree JOIN pg_class f ON f.oid = tree.oid),
           'columns', coalesce((SELECT json_object_agg(a.attname, json_build_array(a.attnum, a.xmin::text, a.attmissingval::text))
                                  FROM pg_attribute a
                                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '{}'),
           'types', rebeco.table_types(c.oid))::text
      FROM pg_class c WHERE c.oid = relation
$$;
