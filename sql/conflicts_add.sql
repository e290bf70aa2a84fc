-- Writes down what was decided about a table, in the transaction that applies it.
-- $1 text: sync; $2 text: source or target, which end this is; $3 text, $4 text: schema and name; $5 text: the
-- policy; $6 text: the round; $7 json: records of rebeco.two_way_decide(); $8 text: for how many seconds
-- records are kept. Lowest server version: 12.
SELECT rebeco.conflicts_add($1, $2, $3, $4, $5, $6, $7::json, ($8 || ' s')::interval)
