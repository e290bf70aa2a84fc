-- Brings the indexes of large change logs up to date, as far as writers have left them behind.
-- Outside a batch, every few seconds while there is work. Waits for no lock.
-- Result: id int, ranges bigint (of pages, done now); only for logs where there was something to do.
-- Lowest server version: 11.
SELECT d.id, sum(d.ranges)::bigint AS ranges
  FROM (SELECT c.id, rebeco.log_summarize(r.relid) AS ranges
          FROM rebeco.capture c CROSS JOIN (VALUES (0), (1)) s (segment)
         CROSS JOIN LATERAL (SELECT to_regclass('rebeco.log_' || c.id || '_' || s.segment) AS relid) r
         WHERE pg_catalog.pg_relation_size(r.relid) > 24 * 8192) d
 WHERE d.ranges > 0
 GROUP BY d.id
