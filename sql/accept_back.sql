-- Passes on to the way back of a two-way sync that a person accepts the end that it reads from.
-- $1 text: the way back, as its own end knows it. Lowest server version: 10.
INSERT INTO rebeco.command (sync, verb)
SELECT s.name, 'accept' FROM rebeco.sync s
 WHERE s.name = $1 AND NOT EXISTS (SELECT 1 FROM rebeco.command c WHERE c.sync = s.name AND c.verb = 'accept' AND c.done_at IS NULL)
