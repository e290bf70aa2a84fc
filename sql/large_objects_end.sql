-- Ends a copy of the large objects. At the target.
-- $1 text: the sync; $2 bigint: our owner number
-- Result: copied bigint, bytes bigint, refused bigint. Lowest server version: 10.
SELECT e.all_copied AS copied, e.all_bytes AS bytes, e.all_refused AS refused FROM rebeco.large_objects_end($1, $2::bigint) e
