-- Makes sure that nobody else installs our objects at the same moment. Inside a transaction, before
-- anything is looked at: a statement that waits sees what was there before it waited.
-- Lowest server version: 10.
SELECT pg_catalog.pg_advisory_xact_lock(7239101)
