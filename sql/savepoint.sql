-- Where a part of a transaction begins that may fail.
-- Lowest server version: 10.
SAVEPOINT rebeco_part
