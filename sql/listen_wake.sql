-- Lowest server version: 10.
LISTEN rebeco_wake
