-- Takes back what was done since the savepoint.
-- Lowest server version: 10.
ROLLBACK TO SAVEPOINT rebeco_part
