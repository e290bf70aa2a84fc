-- Ends a transaction. Lowest server version: 10.
COMMIT
