-- Which of these tables the target has.
-- $1 json: [[schema, name], ...]
-- Result: present bigint, missing bigint, example text (of a missing one), other text (of a
-- present one). Lowest server version: 10.
SELECT pg_catalog.count(c.oid) AS present,
       pg_catalog.count(*) - pg_catalog.count(c.oid) AS missing,
       pg_catalog.min(pg_catalog.format('%I.%I', t.doc ->> 0, t.doc ->> 1)) FILTER (WHERE c.oid IS NULL) AS example,
       pg_catalog.min(pg_catalog.format('%I.%I', t.doc ->> 0, t.doc ->> 1)) FILTER (WHERE c.oid IS NOT NULL) AS other
  FROM pg_catalog.json_array_elements($1::json) t (doc)
  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = t.doc ->> 0
  LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.doc ->> 1
   AND c.relkind IN ('r', 'p', 'f')
