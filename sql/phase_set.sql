-- Records the phase that a sync is in, for people; nothing depends on it but "finished".
-- $1 text: sync; $2 bigint: our owner number; $3 text: phase. Lowest server version: 10.
UPDATE rebeco.sync SET phase = $3, replaces = replaces AND $3 <> 'follow' WHERE name = $1 AND owner = $2::bigint AND phase <> $3
