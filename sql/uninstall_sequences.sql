-- The sequences that two-way syncs have set apart, each with a statement that gives it its own step again, beyond what
-- both ends have given, as far as that can be told. It names no function of ours, and asks for columns that came later
-- by their names: an older version may have made the table, and part of it may be gone.
-- * The values in the columns that draw from the sequence: those that own it, or have it in their default. Read first,
--   since that may take its time, and nextval waits from ALTER SEQUENCE on. Values at the very end of its range, or
--   beyond it, came from elsewhere: after them it could give none.
-- * Where no column has it: what the other end was last seen to have given, and 1,000 steps or half of what is left.
-- * `untouched` is where a sequence begins that is kept apart by an offset, as long as nothing was drawn there.
-- $1 text[]: syncs whose sequences stay apart, NULL: none
-- Result, a row per sequence: label text, statement text. Lowest server version: 12.
WITH apart AS (
    SELECT t.seq, t.increment, coalesce((pg_catalog.to_jsonb(t) ->> 'start')::bigint, s.seqstart) AS seqstart, s.seqmin, s.seqmax, pg_catalog.sign(t.increment::numeric) AS way,
           pg_catalog.to_jsonb(t) ->> 'how' IS NOT DISTINCT FROM 'offset' AS is_offset,
           (pg_catalog.to_jsonb(t) ->> 'first_step')::numeric AS first_step,
           (pg_catalog.to_jsonb(t) ->> 'other_steps')::numeric AS other_steps
      FROM rebeco.two_way_sequence t
      JOIN pg_catalog.pg_sequence s ON s.seqrelid = t.seq
     WHERE $1::text[] IS NULL OR t.sync <> ALL ($1::text[])
), columns AS (
    SELECT a.seq, pg_catalog.string_agg(DISTINCT pg_catalog.format(
               CASE WHEN a.way > 0 THEN 'SELECT pg_catalog.max(x.%1$I) INTO edge FROM %2$s x WHERE x.%1$I >= %3$L::bigint AND x.%1$I < %4$L::bigint; used := greatest(used, edge);'
                    ELSE 'SELECT pg_catalog.min(x.%1$I) INTO edge FROM %2$s x WHERE x.%1$I > %3$L::bigint AND x.%1$I <= %4$L::bigint; used := least(used, edge);' END,
               c.attname, c.attrelid::regclass, a.seqmin, a.seqmax), ' ') AS reading
      FROM apart a
     CROSS JOIN LATERAL (
           SELECT d.refobjid, d.refobjsubid FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = a.seq AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
            UNION
           SELECT f.adrelid, f.adnum FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef f ON f.oid = d.objid
            WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.seq) u (relid, attnum)
      JOIN pg_catalog.pg_attribute c ON c.attrelid = u.relid AND c.attnum = u.attnum
      JOIN pg_catalog.pg_type y ON y.oid = c.atttypid
     WHERE coalesce(nullif(y.typbasetype, 0), y.oid) IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
     GROUP BY a.seq
), ends AS (
    SELECT a.*, coalesce(c.reading, '') AS reading, a.seqstart + a.increment * a.first_step AS untouched,
           CASE WHEN c.seq IS NULL AND (NOT a.is_offset OR a.first_step IS NOT NULL)
                THEN a.seqstart + a.increment * a.other_steps END AS other,
           CASE WHEN a.way > 0 THEN a.seqmax ELSE a.seqmin END AS edge
      FROM apart a LEFT JOIN columns c USING (seq)
), goals AS (
    SELECT e.*, greatest(least(e.other + e.increment * least(1000, greatest(pg_catalog.trunc((e.edge - e.other) / e.increment / 2), 0)),
                               e.seqmax), e.seqmin) AS goal
      FROM ends e
)
SELECT g.seq::regclass::text AS label,
       pg_catalog.format('DO %L', pg_catalog.format($f$DECLARE
    used numeric;
    edge numeric;
    v record;
BEGIN
    %1$s
    ALTER SEQUENCE %2$s INCREMENT BY %3$s;
    SELECT s.last_value, s.is_called INTO v FROM %2$s s;
    used := %4$s(used, %5$L::numeric);
    IF NOT v.is_called AND v.last_value = %6$L::numeric THEN
        PERFORM pg_catalog.setval(%9$s::oid::regclass, coalesce(used, %7$L::numeric)::bigint, used IS NOT NULL);
    ELSIF (used - v.last_value) * %8$s >= 0 THEN
        PERFORM pg_catalog.setval(%9$s::oid::regclass, used::bigint, true);
    END IF;
    DELETE FROM rebeco.two_way_sequence t WHERE t.seq = %9$s;
END$f$, g.reading, g.seq::regclass, g.increment, CASE WHEN g.way > 0 THEN 'greatest' ELSE 'least' END,
           CASE WHEN g.goal IS NOT NULL AND g.other IS NOT NULL THEN g.goal END, CASE WHEN g.is_offset THEN g.untouched END,
           g.seqstart, g.way, g.seq::bigint)) AS statement
  FROM goals g
 ORDER BY 1
