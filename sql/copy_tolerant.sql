-- Makes the statements around a chunk whose rows may be there already (another snapshot read them
-- before they moved): it goes through a temporary table, and the first to come stays; the catch-up
-- puts it right. The server does not take ON CONFLICT where a unique constraint is deferrable, or the
-- table has rules.
-- $1 text, $2 text: schema and name at the target; $3 text[]: columns
-- Result: before text, after text. Lowest server version: 10.
SELECT pg_catalog.format('CREATE TEMPORARY TABLE rebeco_chunk ON COMMIT DROP AS SELECT %s FROM %I.%I WITH NO DATA', c.names, $1::text, $2::text) AS before,
       CASE WHEN t.takes_on_conflict
            THEN pg_catalog.format('INSERT INTO %I.%I (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM pg_temp.rebeco_chunk ON CONFLICT DO NOTHING', $1::text, $2::text, c.names, c.names)
            ELSE pg_catalog.format('SELECT rebeco.chunk_merge(%L::pg_catalog.regclass, %L)', pg_catalog.format('%I.%I', $1::text, $2::text), c.names) END AS after
  FROM (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n), ', ' ORDER BY o) AS names
          FROM pg_catalog.unnest($3::text[]) WITH ORDINALITY u (n, o)) c,
       (SELECT NOT pg_catalog.bool_or(r.relhasrules OR EXISTS (
                   SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = r.oid AND i.indisunique AND NOT i.indimmediate
                   UNION ALL SELECT 1 FROM pg_catalog.pg_constraint x WHERE x.conrelid = r.oid AND x.contype = 'x' AND x.condeferrable)) AS takes_on_conflict
          FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
         WHERE n.nspname = $1::text AND r.relname = $2::text) t
