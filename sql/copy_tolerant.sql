-- Makes the statements around a chunk whose rows may be there already (another snapshot read them
-- before they moved): it goes through a temporary table, and the first to come stays; the catch-up
-- puts it right.
-- $1 text, $2 text: schema and name at the target; $3 text[]: columns
-- Result: before text, after text. Lowest server version: 10.
SELECT pg_catalog.format('CREATE TEMPORARY TABLE rebeco_chunk ON COMMIT DROP AS SELECT %s FROM %I.%I WITH NO DATA', c.names, $1::text, $2::text) AS before,
       pg_catalog.format('INSERT INTO %I.%I (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM pg_temp.rebeco_chunk ON CONFLICT DO NOTHING', $1::text, $2::text, c.names, c.names) AS after
  FROM (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n), ', ' ORDER BY o) AS names
          FROM pg_catalog.unnest($3::text[]) WITH ORDINALITY u (n, o)) c
