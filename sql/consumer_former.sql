-- Our own name of before the source was accepted anew reads no more logs.
-- $1 text: the consumer, or NULL. Lowest server version: 10.
DELETE FROM rebeco.consumer WHERE consumer = $1
