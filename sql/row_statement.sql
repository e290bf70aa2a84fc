-- Makes the statement that writes one row as text, for people.
-- $1 json: {key [names], columns [{name, array}]}
-- Result: statement text. It takes one array per column, with one value each, and gives: key text (a JSON
-- array of texts), row text (a JSON object of texts; long values are cut). For the source.
-- Lowest server version: 10.
SELECT pg_catalog.format('SELECT pg_catalog.array_to_json(ARRAY[%s])::text AS key, pg_catalog.json_object(ARRAY[%s], ARRAY[%s])::text AS row FROM unnest(%s) AS u (%s)',
           (SELECT string_agg(format('u.c%s::text', c.ordinal), ', ' ORDER BY k.ordinal)
              FROM json_array_elements_text($1::json -> 'key') WITH ORDINALITY k (name, ordinal)
              JOIN json_array_elements($1::json -> 'columns') WITH ORDINALITY c (doc, ordinal) ON c.doc ->> 'name' = k.name),
           string_agg(quote_literal(c.doc ->> 'name'), ', ' ORDER BY c.ordinal),
           string_agg(format('"left"(u.c%s::text, 2000)', c.ordinal), ', ' ORDER BY c.ordinal),
           string_agg(format('$%s::%s', c.ordinal, c.doc ->> 'array'), ', ' ORDER BY c.ordinal),
           string_agg(format('c%s', c.ordinal), ', ' ORDER BY c.ordinal)) AS statement
  FROM json_array_elements($1::json -> 'columns') WITH ORDINALITY c (doc, ordinal)
