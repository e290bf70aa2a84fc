-- Looks again for the objects that were missing: a person may have created them.
-- $1 text: the sync. Lowest server version: 10.
UPDATE rebeco.schema_object o
   SET failed = false
 WHERE o.sync = $1::text AND o.failed AND o.kind <> '' AND rebeco.schema_state(o) <> 'missing'
