-- Marks a chunk as copied, in the transaction that loaded its rows.
-- $1 text: sync; $2 bigint: our owner number; $3 int: table; $4 int: chunk; $5 bigint, $6 bigint:
-- rows and bytes. Lowest server version: 10.
SELECT rebeco.chunk_done($1, $2::bigint, $3::int, $4::int, $5::bigint, $6::bigint)
