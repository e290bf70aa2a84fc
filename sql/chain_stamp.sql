-- Gives what this transaction has applied, and logged to be passed on, the times of the other end.
-- $1 int: the capture here; $2 json: a row of sql/chain_times.sql there. Lowest server version: 12.
SELECT rebeco.chain_stamp($1::int, $2::json)
