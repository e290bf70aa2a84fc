-- What is called otherwise at the target.

-- The source's sequences (as sequence_read gives them) under the names that belong to the target: one
-- that a table owns goes with it (both are always in one schema), another with its schema if all tables of that
-- went to one. By which name a table goes that has another one, its sequences need not: `any_name`.
CREATE FUNCTION rebeco.sequence_renamed(sync_name text, sequences jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH renamed AS MATERIALIZED (
        SELECT * FROM rebeco.sync_table t WHERE t.sync = sync_name
    ), schemas AS MATERIALIZED (
        SELECT r.source_schema, min(r.target_schema) AS target_schema
          FROM renamed r GROUP BY r.source_schema HAVING count(DISTINCT r.target_schema) = 1
    )
    SELECT CASE WHEN EXISTS (SELECT 1 FROM renamed r WHERE (r.source_schema, r.source_name) <> (r.target_schema, r.target_name))
                THEN (SELECT coalesce(jsonb_agg(CASE WHEN r.id IS NOT NULL
                                                     THEN s.doc || jsonb_build_object('seq_schema', r.target_schema,
                                                              'owner_schema', r.target_schema, 'owner_table', r.target_name,
                                                              'any_name', r.source_name <> r.target_name)
                                                     WHEN m.target_schema IS NOT NULL
                                                     THEN s.doc || jsonb_build_object('seq_schema', m.target_schema)
                                                     ELSE s.doc END
                                                ORDER BY s.n), '[]')
                        FROM jsonb_array_elements(sequences) WITH ORDINALITY s (doc, n)
                        LEFT JOIN renamed r ON r.source_schema = s.doc ->> 'owner_schema' AND r.source_name = s.doc ->> 'owner_table'
                        LEFT JOIN schemas m ON m.source_schema = s.doc ->> 'seq_schema')
                ELSE sequences END
$$;
