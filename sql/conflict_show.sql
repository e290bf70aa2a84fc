-- One conflict, and its row as it is here now.
-- $1 text: the sync; $2 bigint: its id
-- Result, at most one row: doc json (all of it); source_texts, target_texts json (both versions, each value as
-- text: no digit of a number is lost on the way to a person), row_now text, state text (rebeco.conflict_look).
-- Lowest server version: 12.
SELECT pg_catalog.row_to_json(d)::text AS doc, d.now::text AS row_now, d.state,
       (SELECT pg_catalog.json_object_agg(v.key, v.value) FROM pg_catalog.json_each_text(d.source_row) v)::text AS source_texts,
       (SELECT pg_catalog.json_object_agg(v.key, v.value) FROM pg_catalog.json_each_text(d.target_row) v)::text AS target_texts
  FROM (SELECT (l.k).*, l.state, l.row_now AS now FROM rebeco.conflict_look($2::bigint, false) l) d
 WHERE d.sync = $1
