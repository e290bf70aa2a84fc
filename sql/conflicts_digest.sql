-- Whether both ends know the same of what sql/conflicts_recent.sql tells.
-- $1 text: sync. Result: digest text. Lowest server version: 12.
SELECT rebeco.conflicts_digest($1) AS digest
