-- Opens both directions of a two-way sync, or leaves one open only.
-- $1 text: the sync; $2 bigint: our owner's number; $3 text: both, source-to-target, target-to-source
-- Result: since timestamptz. Lowest server version: 12.
SELECT rebeco.direction_set($1, $2::bigint, $3) AS since
