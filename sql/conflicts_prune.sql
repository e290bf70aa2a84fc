-- Forgets conflicts that are old enough.
-- $1 text: for how many seconds they are kept. Lowest server version: 12.
SELECT rebeco.conflicts_prune(($1 || ' s')::interval)
