-- Moves the sequences that are behind those of the source, and records those it cannot move.
-- $1 text: the sync; $2 jsonb: what sequence_read gave; $3 bigint: head-room, in steps; $4 boolean:
-- exact, without head-room. Runs at the target. Result: a first row with seen, moved and troubled,
-- the numbers of sequences; then, for each trouble that was not known before, object, message, hint.
-- Lowest server version: 10.
SELECT s.seen, s.moved, s.troubled, s.object, s.message, s.hint
  FROM rebeco.sequence_set($1, rebeco.sequence_renamed($1, $2), $3, $4) s
