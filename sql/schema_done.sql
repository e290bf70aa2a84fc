-- Notes that a numbered file of schema/ has been installed.
-- $1 int: its number. Lowest server version: 10.
INSERT INTO rebeco.version (version) VALUES ($1::int)
