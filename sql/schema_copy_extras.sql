-- What belongs to an index besides its creation, for indexes that the target has already: the
-- table's replica identity, its clustering, the statistics targets of expressions.
-- $1 json: [{id, class, oid}, ...]: dump ids, and indexes or constraints
-- Result: statements text, a json for rebeco.schema_run(). Lowest server version: 10.
WITH indexes AS (
    SELECT e.id, y.indisclustered, y.indisreplident, i.oid, i.relname, n.nspname, t.relname AS table_name
      FROM pg_catalog.json_to_recordset($1::json) AS e (id int, class bigint, oid bigint)
      LEFT JOIN pg_catalog.pg_constraint k ON e.class = 2606 AND k.oid = e.oid::oid
       AND k.contype IN ('p', 'u', 'x')
      JOIN pg_catalog.pg_index y ON y.indexrelid = CASE e.class WHEN 1259 THEN e.oid::oid ELSE k.conindid END
      JOIN pg_catalog.pg_class i ON i.oid = y.indexrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = i.relnamespace
      JOIN pg_catalog.pg_class t ON t.oid = y.indrelid
), statements AS (
    SELECT x.id, pg_catalog.format('ALTER TABLE %I.%I CLUSTER ON %I', x.nspname, x.table_name, x.relname) AS text
      FROM indexes x WHERE x.indisclustered
    UNION ALL
    SELECT x.id, pg_catalog.format('ALTER TABLE ONLY %I.%I REPLICA IDENTITY USING INDEX %I',
                                   x.nspname, x.table_name, x.relname)
      FROM indexes x WHERE x.indisreplident
    UNION ALL
    SELECT x.id, pg_catalog.format('ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s',
                                   x.nspname, x.relname, a.attnum, a.attstattarget)
      FROM indexes x
      JOIN pg_catalog.pg_attribute a ON a.attrelid = x.oid AND a.attstattarget >= 0
)
SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('id', s.id, 'text', s.text)), '[]')::text AS statements
  FROM statements s
