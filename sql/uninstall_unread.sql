-- The captures whose change logs nobody reads, each with a statement that removes it, and those that passed
-- something on to the sync that is gone, with one that ends this. These statements look again: somebody
-- may have begun to read it meanwhile.
-- Result, a row per capture: label text, statement text. Lowest server version: 10.
SELECT c.relid::regclass::text AS label,
       pg_catalog.format('DO %L',
           pg_catalog.format('BEGIN PERFORM 1 FROM rebeco.capture WHERE id = %1$s FOR UPDATE; '
                             'IF NOT EXISTS (SELECT 1 FROM rebeco.consumer_table WHERE capture_id = %1$s) THEN '
                             'PERFORM rebeco.capture_remove(%1$s); END IF; END', c.id)) AS statement
  FROM rebeco.capture c
 WHERE NOT EXISTS (SELECT 1 FROM rebeco.consumer_table t WHERE t.capture_id = c.id)
UNION ALL
SELECT c.relid::regclass::text, pg_catalog.format('SELECT rebeco.chain_leave(%s)', c.id)
  FROM rebeco.capture c
 WHERE c.passes_on AND (SELECT pg_catalog.count(*) FROM rebeco.consumer_table t WHERE t.capture_id = c.id) = 1
