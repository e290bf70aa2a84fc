-- How the tables with changes look in the batch's snapshot. A shape is only made where the stamp is
-- not the known one.
-- $1 bigint[]: tables; $2 int[]: their captures; $3 text[]: known stamps
-- Result: id int, stamp text (NULL: the table is gone), shape text (NULL: as known),
-- broken text (what is wrong with its capture, NULL: nothing), is_lossy boolean (changes may be
-- missing). Lowest server version: 10.
SELECT t.id, s.stamp,
       CASE WHEN s.stamp IS DISTINCT FROM t.known THEN rebeco.table_shape(t.relation::oid) END AS shape,
       c.problem AS broken, c.is_lossy
  FROM unnest($1::bigint[], $2::int[], $3::text[]) t (relation, id, known)
 CROSS JOIN LATERAL (SELECT rebeco.table_stamp(t.relation::oid) AS stamp) s
 CROSS JOIN LATERAL rebeco.capture_state(t.id) c
