-- A commit of ours, which brings everything before it to the source's disk.
-- $1 text: the consumer. Lowest server version: 10.
UPDATE rebeco.consumer SET confirmed_at = confirmed_at WHERE consumer = $1
