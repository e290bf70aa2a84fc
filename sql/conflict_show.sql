-- One conflict, and its row as it is here now.
-- $1 text: the sync; $2 bigint: its id
-- Result, at most one row: doc json (all of it); head json (all but the rows, which may hold what nothing can read);
-- source_texts, target_texts json (both versions, each value as
-- text: no digit of a number is lost on the way to a person), row_now text, state text (rebeco.conflict_look).
-- Lowest server version: 12.
SELECT pg_catalog.row_to_json(d)::text AS doc, d.now::text AS row_now, d.state,
       (SELECT pg_catalog.row_to_json(h) FROM (SELECT d.id, d.decided_at, d.table_schema, d.table_name, d.key, d.kind, d.decision, d.policy, d.batch,
                                                      d.source_at, d.target_at, d.replayed, d.replayed_at, d.replayed_by) h)::text AS head,
       (SELECT pg_catalog.json_object_agg(v.key, v.value) FROM pg_catalog.json_each_text(rebeco.json_readable(d.source_row)) v)::text AS source_texts,
       (SELECT pg_catalog.json_object_agg(v.key, v.value) FROM pg_catalog.json_each_text(rebeco.json_readable(d.target_row)) v)::text AS target_texts
  FROM (SELECT (l.k).*, l.state, l.row_now AS now FROM rebeco.conflict_look($2::bigint, false) l) d
 WHERE d.sync = $1
