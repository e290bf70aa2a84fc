-- Makes the two COPY statements for a chunk. A follower or an older server reads the same text.
-- $1 text: what is read, quoted; $2 bigint, $3 bigint: first block and the one after the last,
-- NULL for no bound; $4 text[]: columns; $5 boolean: binary; $6 text, $7 text: schema and name of
-- the table at the target; $8 boolean: into the session's temporary table instead; $9 text[]: what each
-- column is cast to in text, NULL for nothing; $10 text: which rows, an expression, NULL for all; $11 text:
-- the table's name in it; $12 text[]: the key's columns, where keys and values come as bytes
-- Result: output text (at the source), input text (at the target). Lowest server version: 10.
SELECT CASE WHEN $12::text[] IS NULL AND $2::bigint IS NULL AND $3::bigint IS NULL AND $10::text IS NULL AND c.names = c.values
                 AND NOT r.is_partitioned
            THEN pg_catalog.format('COPY %s (%s) TO STDOUT (FORMAT %s)', $1::text, c.names, f.name)
            ELSE pg_catalog.format('COPY (SELECT %s FROM %s%s AS %I WHERE %s) TO STDOUT (FORMAT %s)', coalesce(k.bytes || ', ' || c.bytes, c.values),
                     CASE WHEN NOT r.is_partitioned THEN 'ONLY ' END, $1::text, $11::text,
                     pg_catalog.concat_ws(' AND ', 'true',
                        CASE WHEN $2::bigint IS NOT NULL THEN pg_catalog.format('ctid >= %L::tid', '(' || $2 || ',0)') END,
                        CASE WHEN $3::bigint IS NOT NULL THEN pg_catalog.format('ctid < %L::tid', '(' || $3 || ',0)') END,
                        CASE WHEN $10::text IS NOT NULL THEN pg_catalog.format(E'(%s\n)', $10::text) END),
                     f.name)
       END AS output,
       pg_catalog.format('COPY %s (%s) FROM STDIN (FORMAT %s)',
            CASE WHEN $12::text[] IS NOT NULL THEN 'pg_temp.rebeco_raw' WHEN $8::boolean THEN 'pg_temp.rebeco_chunk' ELSE pg_catalog.format('%I.%I', $6::text, $7::text) END,
            CASE WHEN $12::text[] IS NOT NULL THEN c.raw ELSE c.names END, f.name) AS input
  FROM (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n), ', ' ORDER BY o) AS names,
               pg_catalog.string_agg(pg_catalog.concat(pg_catalog.quote_ident(n), CASE WHEN NOT $5::boolean THEN '::' || t END), ', ' ORDER BY o) AS values,
               'key, ' || pg_catalog.string_agg(pg_catalog.format('c%s', o), ', ' ORDER BY o) AS raw,
               pg_catalog.string_agg(pg_catalog.format('CASE WHEN pg_catalog.num_nulls(%1$I) = 0 THEN pg_catalog.convert_to(pg_catalog.format(''%%s'', %1$I%2$s), ''UTF8'') END',
                                                       n, '::' || t), ', ' ORDER BY o) AS bytes
          FROM unnest($4::text[], $9::text[]) WITH ORDINALITY u (n, t, o)) c,
       (SELECT 'pg_catalog.convert_to(pg_catalog.json_build_array(' || pg_catalog.string_agg(pg_catalog.format('%I%s::text', k.name, '::' || u.cast_to), ', ' ORDER BY k.ordinal)
               || ')::text, ''UTF8'')' AS bytes
          FROM pg_catalog.unnest($12::text[]) WITH ORDINALITY k (name, ordinal)
          JOIN unnest($4::text[], $9::text[]) u (name, cast_to) ON u.name = k.name) k,
       (SELECT CASE WHEN $5::boolean OR $12::text[] IS NOT NULL THEN 'binary' ELSE 'text' END AS name) f,
       (SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class p WHERE p.oid = pg_catalog.to_regclass($1::text) AND p.relkind = 'p') AS is_partitioned) r
