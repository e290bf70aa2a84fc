-- One line per table, tab separated: name, rows, checksum. The checksum is made of the sum of a 64-bit
-- hash of every row's text, so the order of the rows does not matter; the columns go in by name, so
-- their order does not matter either; a hash of their names and types stands before it. Tables in the schema `rebeco` are
-- left out; a partitioned table is one table. With :kinds 'm' the materialized views instead.

\set ON_ERROR_STOP on
\pset tuples_only on
\pset format unaligned
\pset fieldsep '\t'
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET bytea_output = 'hex';
SET extra_float_digits = 3;
SET search_path = pg_catalog;
SET row_security = off;
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

SELECT format('SELECT %L, count(*), to_hex(hashtextextended(%L, 0)) || ''/'' '
              '|| left(md5(coalesce(sum(hashtextextended(ROW(%s)::text, 0)), 0)::text), 16) FROM %I.%I',
              format('%I.%I', n.nspname, c.relname), a.signature, a.columns, n.nspname, c.relname)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (
    SELECT string_agg(format('%I', attname), ', ' ORDER BY attname) AS columns,
           string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', '
                      ORDER BY attname) AS signature
      FROM pg_attribute
     WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
  ) a
 WHERE c.relkind = ANY (string_to_array(:'kinds', NULL)::"char"[]) AND NOT c.relispartition
   AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'rebeco')
 ORDER BY c.oid
\gexec
COMMIT;
