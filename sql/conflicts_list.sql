-- What was decided about rows that both ends have changed, newest first.
-- $1 text: the sync; $2 json: only these tables, [{"s": schema, "n": name}, ..], NULL: all; $3 text: only this
-- kind, NULL: all; $4 text: only of the last so many seconds, 0: all; $5 text: so many at most, NULL: all
-- Result: doc json, head json (all but the rows, which may hold what nothing can read), total bigint (how many there are). Lowest server version: 12.
SELECT pg_catalog.row_to_json(c)::text AS doc,
       (SELECT pg_catalog.row_to_json(h) FROM (SELECT c.id, c.decided_at, c.table_schema, c.table_name, c.key, c.kind, c.decision,
                                                      c.replayed, c.replayed_at, c.replayed_by) h)::text AS head,
       pg_catalog.count(*) OVER () AS total
  FROM rebeco.conflict c
 WHERE c.sync = $1
   AND ($2::json IS NULL OR EXISTS (SELECT 1 FROM pg_catalog.json_to_recordset($2::json) t (s text, n text)
                                     WHERE t.s = c.table_schema AND t.n = c.table_name))
   AND ($3::text IS NULL OR c.kind = $3)
   AND ($4::float8 = 0 OR c.decided_at > pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $4::float8))
 ORDER BY c.id DESC LIMIT $5::bigint
