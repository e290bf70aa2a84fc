-- Which conflicts a person has replayed lately at this end, for the record at the other one.
-- $1 text: sync. Result: replays json. Lowest server version: 12.
SELECT coalesce(pg_catalog.json_agg(r), '[]')::text AS replays
  FROM (SELECT c.table_schema, c.table_name, pg_catalog.md5(c.key::text) AS key_md5, c.source_at, c.target_at, c.replayed, c.replayed_at, c.replayed_by
          FROM rebeco.conflict c WHERE c.sync = $1 AND c.replayed_at > pg_catalog.clock_timestamp() - interval '1 day'
         ORDER BY c.replayed_at DESC LIMIT 1000) r
