-- Whether there is anything to write the status into, and it can be written: this server may be the standby that
-- is the very reason why nobody leads.
-- Result: is_there boolean. Lowest server version: 10.
SELECT pg_catalog.to_regclass('rebeco.status') IS NOT NULL AND NOT pg_catalog.pg_is_in_recovery() AS is_there
