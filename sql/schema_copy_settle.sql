-- Records which objects of a stage are missing.
-- $1 text: the sync; $2 text: the stage; $3 int[]: the dump ids. Lowest server version: 10.
UPDATE rebeco.schema_object o
   SET failed = (o.id = ANY ($3::int[]))
 WHERE o.sync = $1::text AND o.stage = $2::text
