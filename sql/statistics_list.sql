-- The tables of a sync that follow the source and of which the target's planner knows nothing, the
-- smallest first. Empty ones that were looked at once are left out; before 14 only the statistics of use
-- tell that, which a crash of the server forgets. A partitioned table has statistics of its own, which the server never makes by itself;
-- making them makes those of the partitions, too.
-- $1 text: the sync
-- Result: label text, statement text: NULL where our role may not. Waits for no lock, and neither does the
-- statement.
-- Lowest server version: 12.
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS label,
       CASE WHEN pg_catalog.pg_has_role(c.relowner, 'USAGE')
              OR pg_catalog.pg_has_role((SELECT d.datdba FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()), 'USAGE')
              OR CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000 THEN pg_catalog.has_table_privilege(c.oid, 'MAINTAIN') END
            THEN pg_catalog.format('ANALYZE (SKIP_LOCKED) %I.%I', n.nspname, c.relname) END AS statement
  FROM rebeco.sync_table t
  JOIN pg_catalog.pg_namespace n ON n.nspname = t.target_schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.target_name AND c.relkind IN ('r', 'p')
 WHERE t.sync = $1::text AND t.state = 'follow'
   AND (c.reltuples <> 0 OR pg_catalog.current_setting('server_version_num')::int < 140000
        AND pg_catalog.pg_stat_get_last_analyze_time(c.oid) IS NULL AND pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid) IS NULL)
   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stats s
                    WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.inherited = (c.relkind = 'p'))
 ORDER BY t.bytes, c.oid
