-- Takes over what was decided and is known at the other end only.
-- $1 text: source or target, which end this is; $2 json: what sql/conflicts_recent.sql says there;
-- $3 text: for how many seconds records are kept.
-- Lowest server version: 12.
SELECT pg_catalog.count(*) FROM (SELECT rebeco.conflicts_share($1, $2::json, ($3 || ' s')::interval)) s
