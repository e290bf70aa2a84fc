-- Whether our role may switch off triggers and foreign keys for its own transactions: it does so
-- here, in a transaction that writes nothing. The server's refusal is the other answer.
-- Result: fact text (replica_role), value json (true). Lowest server version: 10.
SELECT 'replica_role' AS fact, to_json(set_config('session_replication_role', 'replica', true) = 'replica') AS value
