-- How the tables with changes look in the batch's snapshot. A shape is only made, and a capture only
-- looked at closely, where a stamp is not the known one.
-- $1 bigint[]: tables; $2 int[]: their captures; $3 text[], $4 text[]: known stamps of both
-- Result: id int, stamp text (NULL: the table is gone), shape text (NULL: as known),
-- capture_stamp text, broken text (what is wrong with its capture, NULL: nothing),
-- is_lossy boolean (changes may be missing), layout text (NULL: as known). Lowest server version: 10.
SELECT t.id, s.stamp,
       CASE WHEN s.stamp IS DISTINCT FROM t.known THEN rebeco.table_shape(t.relation::oid) END AS shape,
       s.capture_stamp, c.problem AS broken, c.is_lossy,
       CASE WHEN s.stamp IS DISTINCT FROM t.known THEN rebeco.table_layout(t.relation::oid) END AS layout
  FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[]) t (relation, id, known, known_capture)
 CROSS JOIN LATERAL (SELECT rebeco.table_stamp(t.relation::oid) AS stamp,
                            rebeco.capture_stamp(t.id, t.relation::oid) AS capture_stamp OFFSET 0) s
  LEFT JOIN LATERAL (SELECT x.problem, x.is_lossy FROM rebeco.capture_state(t.id) x
                      WHERE s.capture_stamp IS DISTINCT FROM t.known_capture OFFSET 0) c ON true
