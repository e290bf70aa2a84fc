-- Keeps what the archive of a stage holds.
-- $1 text: the sync; $2 text: the stage; $3 json: documents of schema_copy_identify
-- Lowest server version: 10.
INSERT INTO rebeco.schema_object (sync, stage, id, kind, names, args, parent, detail, label)
SELECT $1::text, $2::text, d.id, d.kind, d.names, d.args, d.parent, d.detail, d.label
  FROM pg_catalog.json_to_recordset($3::json)
       AS d (id int, kind text, names text[], args text[], parent text[], detail text, label text)
