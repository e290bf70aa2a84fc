-- Begins a transaction. Lowest server version: 10.
BEGIN
