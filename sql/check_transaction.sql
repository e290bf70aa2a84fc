-- Opens the transaction of one check: it can write nothing, waits for no lock worth mentioning and
-- ends by itself. The settings are the transaction's, so that they are gone with it, also in a
-- session that a pooler shares out.
-- Result: of no interest. Lowest server version: 9.6.
SELECT pg_catalog.set_config('transaction_read_only', 'on', true),
       pg_catalog.set_config('lock_timeout', '100ms', true),
       pg_catalog.set_config('statement_timeout', '30s', true)
