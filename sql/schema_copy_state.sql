-- Which objects of a stage the target has.
-- $1 text: the sync; $2 text: the stage
-- Result: id int, state text: missing, there, or renamed. Lowest server version: 10.
SELECT o.id, o.state
  FROM rebeco.schema_state o
 WHERE o.sync = $1::text AND o.stage = $2::text AND o.kind <> ''
 ORDER BY o.id
