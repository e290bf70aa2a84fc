-- Gives up a transaction. Lowest server version: 10.
ROLLBACK
