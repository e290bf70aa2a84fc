-- A sign of life: the server notes when this session last said something, and others can see it.
-- Lowest server version: 10.
SELECT true AS is_here
