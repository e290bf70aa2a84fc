-- Makes the statements around a chunk that goes through a temporary table: its rows may be there already
-- (another snapshot read them before they moved), and then the first to come stays until the catch-up puts
-- it right; or some are refused. The server does not take ON CONFLICT where a unique constraint is
-- deferrable, or the table has rules.
-- $1 text, $2 text: schema and name at the target; $3 text[]: columns; $4 text[]: what each is cast to in
-- text, NULL for nothing; $5 text[]: the key's columns, in the order of the change log; $6 int: how many rows
-- may be refused; $7 boolean: keys and values come as bytes, into rebeco_raw (see chunk_parse);
-- $8 boolean: triggers are to drop rows as they like
-- Result: before text, after text, which gives the refused rows' keys: see schema/008_chunk.sql, and schema/100_dropped.sql.
-- Lowest server version: 10.
SELECT pg_catalog.format('CREATE TEMPORARY TABLE rebeco_chunk ON COMMIT DROP AS SELECT %s FROM %I.%I WITH NO DATA%s', c.names, $1::text, $2::text,
                         CASE WHEN $7::boolean THEN '; CREATE TEMPORARY TABLE rebeco_raw (key bytea, ' || c.bytes || ') ON COMMIT DROP' END) AS before,
       pg_catalog.format('SELECT m.refused FROM (SELECT rebeco.chunk_merge(%1$L::pg_catalog.regclass, %2$L, %3$L, %4$L, %5$s, %6$s) AS refused OFFSET 0) m WHERE rebeco.chunk_is_whole(%1$L::pg_catalog.regclass, %7$L, m.refused)',
                         pg_catalog.format('%I.%I', $1::text, $2::text), c.names,
                         CASE WHEN t.takes_on_conflict THEN k.names END,
                         pg_catalog.format('pg_catalog.json_build_array(%s)', k.texts), $6::int,
                         CASE WHEN $7::boolean THEN pg_catalog.format('rebeco.chunk_parse(%L, %s, %s)', c.names, c.count, $6::int) ELSE '''{}''' END,
                         CASE WHEN t.takes_on_conflict AND NOT $8::boolean THEN k.names END) AS after
  FROM (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n), ', ' ORDER BY o) AS names, pg_catalog.count(*) AS count,
               pg_catalog.string_agg(pg_catalog.format('c%s bytea', o), ', ' ORDER BY o) AS bytes
          FROM pg_catalog.unnest($3::text[]) WITH ORDINALITY u (n, o)) c,
       (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(k.name), ', ' ORDER BY k.ordinal) AS names,
               pg_catalog.string_agg(pg_catalog.format('c.%I%s::text', k.name, '::' || u.cast_to), ', ' ORDER BY k.ordinal) AS texts
          FROM pg_catalog.unnest($5::text[]) WITH ORDINALITY k (name, ordinal)
          JOIN unnest($3::text[], $4::text[]) u (name, cast_to) ON u.name = k.name) k,
       (SELECT NOT pg_catalog.bool_or(r.relhasrules OR EXISTS (
                   SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = r.oid AND i.indisunique AND (NOT i.indimmediate OR i.indisexclusion)
                   UNION ALL SELECT 1 FROM pg_catalog.pg_constraint x WHERE x.conrelid = r.oid AND x.contype = 'x' AND x.condeferrable)) AS takes_on_conflict
          FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
         WHERE n.nspname = $1::text AND r.relname = $2::text) t
