-- Looks again for the objects that were missing: a person may have created them.
-- $1 text: the sync. Lowest server version: 10.
UPDATE rebeco.schema_object o
   SET failed = false
  FROM rebeco.schema_state x
 WHERE o.sync = $1::text AND o.failed
   AND x.sync = o.sync AND x.stage = o.stage AND x.id = o.id
   AND x.failed AND x.kind <> '' AND x.state <> 'missing'
