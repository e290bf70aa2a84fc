-- How many large objects there are, and how much room they take. At the source.
-- Result: objects bigint, bytes bigint. Lowest server version: 10.
SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata) AS objects,
       pg_catalog.pg_table_size('pg_catalog.pg_largeobject') AS bytes
