-- Notes at this end what was replayed at the other one.
-- $1 text: sync; $2 json: what sql/conflicts_replays.sql says there. Lowest server version: 12.
UPDATE rebeco.conflict c SET replayed = r.replayed, replayed_at = r.replayed_at, replayed_by = r.replayed_by
  FROM pg_catalog.json_to_recordset($2::json) r (table_schema text, table_name text, key_md5 text, source_at timestamptz, target_at timestamptz,
                                                 replayed text, replayed_at timestamptz, replayed_by text)
 WHERE c.sync = $1 AND c.replayed IS NULL AND c.table_schema = r.table_schema AND c.table_name = r.table_name
   AND pg_catalog.md5(c.key::text) = r.key_md5 AND c.source_at = r.source_at AND c.target_at = r.target_at
