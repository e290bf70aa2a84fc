-- Looks after all change logs: empties segments that every consumer has, switches to the other
-- segment where one has grown. Waits for no lock. READ COMMITTED, in a transaction of its own.
-- $1 bigint: how many bytes a segment may hold before writing goes over to the other one
-- Result: id int, answer text (emptied, switched, held, needed, busy); at most 50 tables a time, so that
-- no lock is held for long, in any order, so that none is left out for ever. Lowest server version: 11.
SELECT d.id, rebeco.log_rotate(d.id, $1::bigint) AS answer
  FROM (SELECT c.id
          FROM rebeco.capture c
         CROSS JOIN LATERAL (SELECT pg_catalog.pg_relation_size(to_regclass('rebeco.log_' || c.id || '_' || c.segment)) AS now,
                                    pg_catalog.pg_relation_size(to_regclass('rebeco.log_' || c.id || '_' || 1 - c.segment)) AS other) s
         WHERE s.other > 0 OR s.now > $1::bigint
         ORDER BY pg_catalog.random()
         LIMIT 50) d
