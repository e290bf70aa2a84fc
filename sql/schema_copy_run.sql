-- Runs statements that the source's server made, each by itself.
-- $1 json: [{id, text}, ...]
-- Result: of those that failed id int, message text. Lowest server version: 10.
SELECT r.id, r.message FROM rebeco.schema_run($1::json) r
