-- Begins the transaction that reads a batch: everything in it is seen in one snapshot.
-- Lowest server version: 10.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY
