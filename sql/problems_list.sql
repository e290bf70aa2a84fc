-- What could not be done and waits for a person.
-- $1 text: sync. Result: kind, object, message, hint. Lowest server version: 10.
SELECT p.kind, p.object, p.message, p.hint FROM rebeco.problem p WHERE p.sync = $1 ORDER BY p.at, p.kind, p.object LIMIT 100
