-- Says that the daemon is awake: writers need not send anything.
-- Result: one value of no interest. Lowest server version: 10.
SELECT pg_catalog.setval('rebeco.nap', 1000)
