-- Marks a chunk as copied by a process that only helps. Fails when the leader has paused the table
-- meanwhile: it may be about to empty it.
-- $1 text: sync; $2 bigint: the owner's number, as it was before the chunk was claimed; $3 int: table;
-- $4 int: chunk; $5 bigint, $6 bigint: rows and bytes. Lowest server version: 10.
SELECT rebeco.chunk_help_done($1, $2::bigint, $3::int, $4::int, $5::bigint, $6::bigint)
