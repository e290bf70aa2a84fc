-- Gives a row the other version than the one that was kept; an error says why not.
-- $1 text: the sync; $2 bigint: the conflict's id; $3 text: whose version, source or target, NULL: the one that
-- has lost. Result, no row when the sync has no such conflict: answer text. Lowest server version: 12.
SELECT rebeco.conflict_replay(c.id, $3::text) AS answer FROM rebeco.conflict c WHERE c.sync = $1 AND c.id = $2::bigint
