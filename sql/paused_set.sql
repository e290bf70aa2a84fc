-- Records that a whole sync stands still, or goes on.
-- $1 text: sync; $2 boolean. Lowest server version: 10.
UPDATE rebeco.sync SET paused = $2::boolean WHERE name = $1
