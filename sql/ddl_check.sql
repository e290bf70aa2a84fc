-- Is this still the transaction in which the migration began? Not when the file ended it itself.
-- $1 text: the transaction. Result: is_same boolean. Lowest server version: 10.
SELECT coalesce(pg_catalog.txid_current_if_assigned()::text = $1, false) AS is_same
