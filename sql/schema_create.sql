-- Makes the schema that holds our objects, if it is not there.
-- Lowest server version: 10.
CREATE SCHEMA IF NOT EXISTS rebeco
