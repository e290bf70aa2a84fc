-- Makes the statement that finds out which of a group of change logs hold something new.
-- $1 int[]: the captures, in the order in which the statement takes their positions
-- Result: statement text. It takes $1 bigint[] (per capture: log rows from this transaction id on;
-- NULL: do not look), $2 text[] (per capture: and of these, as an array's text) and $3 bigint[] (per
-- capture: the log that the position is about), and gives id int, changes bigint, is_truncated boolean,
-- is_broken boolean, is_other boolean (this is another log), has_removals
-- boolean (images only) for the captures with changes or another log.
-- The log's oid is a constant that is tied to the log: it costs nothing. Lowest server version: 10.
SELECT string_agg(format($f$SELECT %1$s AS id, count(*) AS changes, bool_or(op = 'T') AS is_truncated, bool_or(op = 'B') AS is_broken,
       'rebeco.log_%1$s_0'::regclass::oid::bigint IS DISTINCT FROM ($3::bigint[])[%2$s] AS is_other,
       bool_or(op = '-') AS has_removals
  FROM (SELECT op FROM rebeco.log_%1$s_0 WHERE ($1::bigint[])[%2$s] IS NOT NULL AND (xid >= ($1::bigint[])[%2$s] OR xid = ANY ((($2::text[])[%2$s])::bigint[]))
        UNION ALL
        SELECT op FROM rebeco.log_%1$s_1 WHERE ($1::bigint[])[%2$s] IS NOT NULL AND (xid >= ($1::bigint[])[%2$s] OR xid = ANY ((($2::text[])[%2$s])::bigint[]))) l
HAVING count(*) > 0 OR 'rebeco.log_%1$s_0'::regclass::oid::bigint IS DISTINCT FROM ($3::bigint[])[%2$s]$f$, c.id, c.ordinal), E'\nUNION ALL\n' ORDER BY c.ordinal) AS statement
  FROM unnest($1::int[]) WITH ORDINALITY c (id, ordinal)
