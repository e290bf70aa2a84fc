-- Tables that are published with updates or deletes but have no replica identity: the server
-- refuses to update them. And publications that take in our own tables.
-- $1 json: {side, oids [tables]}
-- Result: code text, object text, detail text. Lowest server version: 10.
WITH RECURSIVE tree AS (
    SELECT t::oid AS relid FROM jsonb_array_elements_text($1::jsonb -> 'oids') t
    UNION
    SELECT i.inhrelid FROM tree t
      JOIN pg_catalog.pg_class p ON p.oid = t.relid AND p.relkind = 'p'
      JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relid
), published AS (
    SELECT t.relid, p.pubname FROM tree t
      JOIN pg_catalog.pg_publication p ON (p.pubupdate OR p.pubdelete)
       AND (p.puballtables OR EXISTS (SELECT 1 FROM pg_catalog.pg_publication_rel r
                                       WHERE r.prpubid = p.oid AND r.prrelid = t.relid))
)
SELECT ($1::jsonb ->> 'side') || '-publication-identity' AS code, format('%I.%I', n.nspname, c.relname) AS object,
       'publication ' || string_agg(quote_ident(p.pubname), ', ' ORDER BY p.pubname) AS detail
  FROM published p JOIN pg_catalog.pg_class c ON c.oid = p.relid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence = 'p'
   AND (c.relreplident = 'n'
        OR c.relreplident = 'd' AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
        OR c.relreplident = 'i' AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident))
 GROUP BY n.nspname, c.relname
UNION ALL
SELECT 'publication-all-tables', quote_ident(p.pubname), 'FOR ALL TABLES'
  FROM pg_catalog.pg_publication p WHERE p.puballtables
