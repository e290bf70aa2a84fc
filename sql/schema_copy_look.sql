-- How far copying the schema has come.
-- $1 text: the sync
-- Result: none when the schema is not copied by us, else pre_done bool, post_done bool.
-- Lowest server version: 10.
SELECT c.pre_at IS NOT NULL AS pre_done, c.post_at IS NOT NULL AS post_done
  FROM rebeco.schema_copy c
 WHERE c.sync = $1::text
