-- Makes the statement that writes one row as text, for people.
-- $1 json: {key [names], columns [{name, array}]}
-- Result: statement text. It takes one array per column, with one value each, and gives: key text (a JSON
-- array of texts), row text (a JSON object of texts; long values are cut), image text (a JSON array of all
-- values' texts as their types write them, as hexadecimal UTF-8; NULL when it is longer than a megabyte). For
-- the source.
-- Lowest server version: 10.
SELECT pg_catalog.format('SELECT pg_catalog.array_to_json(ARRAY[%s]::text[])::text AS key, pg_catalog.json_object(ARRAY[%s], ARRAY[%s])::text AS row, CASE WHEN pg_catalog.octet_length(i.image) < 1000000 THEN pg_catalog.encode(i.image, ''hex'') END AS image FROM unnest(%s) AS u (%s) CROSS JOIN LATERAL (SELECT pg_catalog.convert_to(pg_catalog.array_to_json(ARRAY[%s])::text, ''UTF8'') AS image) i',
           (SELECT string_agg(format('u.c%s::text', c.ordinal), ', ' ORDER BY k.ordinal)
              FROM json_array_elements_text($1::json -> 'key') WITH ORDINALITY k (name, ordinal)
              JOIN json_array_elements($1::json -> 'columns') WITH ORDINALITY c (doc, ordinal) ON c.doc ->> 'name' = k.name),
           string_agg(quote_literal(c.doc ->> 'name'), ', ' ORDER BY c.ordinal),
           string_agg(format('"left"(u.c%s::text, 2000)', c.ordinal), ', ' ORDER BY c.ordinal),
           string_agg(format('$%s::%s', c.ordinal, c.doc ->> 'array'), ', ' ORDER BY c.ordinal),
           string_agg(format('c%s', c.ordinal), ', ' ORDER BY c.ordinal),
           string_agg(format('CASE WHEN pg_catalog.num_nulls(u.c%1$s) = 0 THEN pg_catalog.format(''%%s'', u.c%1$s) END', c.ordinal), ', ' ORDER BY c.ordinal)) AS statement
  FROM json_array_elements($1::json -> 'columns') WITH ORDINALITY c (doc, ordinal)
