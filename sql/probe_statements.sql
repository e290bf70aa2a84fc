-- Makes the statements that find out which of a group of change logs hold something new: one that tells
-- which logs hold anything at all, for the whole group, and one that looks into a log, for each.
-- $1 int[]: the captures, in the order in which the first statement takes their logs
-- Result: id int (NULL: the first statement, which comes first), statement text.
-- The first takes $1 bigint[] (per capture: the log that its position is about) and gives id int and
-- is_other boolean (this is another log), for those that hold anything or are another. It asks for files'
-- sizes, so that a log which holds nothing costs next to nothing, and reads no snapshot: a row that is
-- visible in the batch's made its file grow before.
-- What the pair of two-way syncs that asks has applied there itself does not count.
-- The others take $1 bigint (log rows from this transaction id on) and $2 bigint[] (and of these), and
-- give id int, changes bigint, is_truncated boolean, is_broken boolean, has_removals boolean (images
-- only) when there is a change.
-- The log's oid is a constant that is tied to the log: it costs nothing. Lowest server version: 10.
SELECT NULL::int AS id,
       string_agg(format($f$SELECT %1$s AS id, l.is_other FROM (SELECT 'rebeco.log_%1$s_0'::regclass::oid::bigint IS DISTINCT FROM ($1::bigint[])[%2$s] AS is_other) l
 WHERE l.is_other OR pg_relation_size('rebeco.log_%1$s_0'::regclass) IS DISTINCT FROM 0 OR pg_relation_size('rebeco.log_%1$s_1'::regclass) IS DISTINCT FROM 0$f$, c.id, c.ordinal),
                  E'\nUNION ALL\n' ORDER BY c.ordinal) AS statement
  FROM unnest($1::int[]) WITH ORDINALITY c (id, ordinal)
UNION ALL
SELECT c.id, format($f$SELECT %1$s AS id, count(*) AS changes, bool_or(op = 'T') AS is_truncated, bool_or(op = 'B') AS is_broken, bool_or(op = '-') AS has_removals
  FROM (SELECT op FROM rebeco.log_%1$s_0 WHERE (xid >= $1::bigint OR xid = ANY ($2::bigint[]))%2$s
        UNION ALL
        SELECT op FROM rebeco.log_%1$s_1 WHERE (xid >= $1::bigint OR xid = ANY ($2::bigint[]))%2$s) l
HAVING count(*) > 0$f$, c.id,
              CASE WHEN k.is_two_way AND pg_catalog.current_setting('rebeco.origin', true) <> ''
                   THEN ' AND (origin IS NULL OR origin <> pg_catalog.current_setting(''rebeco.origin''))' END) AS statement
  FROM unnest($1::int[]) c (id)
  LEFT JOIN rebeco.capture k ON k.id = c.id
