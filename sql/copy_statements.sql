-- Makes the two COPY statements for a chunk. A follower or an older server reads the same text.
-- $1 text: what is read, quoted; $2 bigint, $3 bigint: first block and the one after the last,
-- NULL for no bound; $4 text[]: columns; $5 boolean: binary; $6 text, $7 text: schema and name of
-- the table at the target; $8 boolean: into the session's temporary table instead
-- Result: output text (at the source), input text (at the target). Lowest server version: 10.
SELECT CASE WHEN $2::bigint IS NULL AND $3::bigint IS NULL
            THEN pg_catalog.format('COPY %s (%s) TO STDOUT (FORMAT %s)', $1::text, c.names, f.name)
            ELSE pg_catalog.format('COPY (SELECT %s FROM ONLY %s WHERE %s) TO STDOUT (FORMAT %s)', c.names, $1::text,
                     pg_catalog.concat_ws(' AND ',
                        CASE WHEN $2::bigint IS NOT NULL THEN pg_catalog.format('ctid >= %L::tid', '(' || $2 || ',0)') END,
                        CASE WHEN $3::bigint IS NOT NULL THEN pg_catalog.format('ctid < %L::tid', '(' || $3 || ',0)') END),
                     f.name)
       END AS output,
       pg_catalog.format('COPY %s (%s) FROM STDIN (FORMAT %s)',
            CASE WHEN $8::boolean THEN 'pg_temp.rebeco_chunk' ELSE pg_catalog.format('%I.%I', $6::text, $7::text) END,
            c.names, f.name) AS input
  FROM (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n), ', ' ORDER BY o) AS names
          FROM pg_catalog.unnest($4::text[]) WITH ORDINALITY u (n, o)) c,
       (SELECT CASE WHEN $5::boolean THEN 'binary' ELSE 'text' END AS name) f
