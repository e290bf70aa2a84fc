-- Writes the keys of rows that the target refused into the change log at the source.
-- $1 int: the capture; $2 json: an array of keys, each an array of texts. Result: of no interest.
-- Lowest server version: 10.
SELECT rebeco.chunk_refused($1::int, $2::json)
