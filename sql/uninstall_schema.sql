-- Drops everything of ours that is left.
-- Lowest server version: 10.
DROP SCHEMA IF EXISTS rebeco CASCADE
