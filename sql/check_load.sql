-- How large the source is and how much it writes.
-- $1 json: {oids [tables]}
-- Result: code text, object text, detail text. Lowest server version: 10.
WITH RECURSIVE tree AS (
    SELECT t::oid AS relid FROM jsonb_array_elements_text($1::jsonb -> 'oids') t
    UNION
    SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relid
), sizes AS (
    SELECT coalesce(sum(c.relpages::bigint + coalesce(o.relpages, 0)
                        + coalesce((SELECT sum(x.relpages) FROM pg_catalog.pg_index i
                                      JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
                                     WHERE i.indrelid = c.oid), 0)), 0)::bigint
           * current_setting('block_size')::bigint AS bytes,
           count(*) FILTER (WHERE c.reltuples < 0 AND c.relkind = 'r') AS unknown -- from PostgreSQL 14 on
      FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.relid
      LEFT JOIN pg_catalog.pg_class o ON o.oid = c.reltoastrelid
), writes AS (
    SELECT coalesce(sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del), 0)::bigint AS n
      FROM tree t JOIN pg_catalog.pg_stat_all_tables s ON s.relid = t.relid
), since AS (
    SELECT s.stats_reset AS at, extract(epoch FROM clock_timestamp() - s.stats_reset) / 3600 AS hours
      FROM pg_catalog.pg_stat_database s WHERE s.datname = current_database()
)
SELECT 'disk-need' AS code, quote_ident(current_database()) AS object,
       format('the database has %s; the tables of this sync about %s, indexes included%s',
              pg_size_pretty(pg_database_size(current_database())), pg_size_pretty(s.bytes),
              CASE WHEN s.unknown > 0 THEN format(' (but for %s never analyzed)', s.unknown) END) AS detail
  FROM sizes s
UNION ALL
SELECT 'log-growth', quote_ident(current_database()),
       CASE WHEN i.hours > 0 THEN
           format('%s rows were written since %s: about %s of change log per hour while the target is away',
                  w.n, to_char(i.at, 'YYYY-MM-DD HH24:MI'), pg_size_pretty((w.n / i.hours * 60)::bigint))
       ELSE format('%s rows were written since the statistics began: about %s of change log for as many again',
                   w.n, pg_size_pretty(w.n * 60)) END
  FROM writes w, since i
