-- Which captures do not merge rows as is configured.
-- $1 json: [{id, columns boolean, counters [names]}]
-- Result: id int. Lowest server version: 12.
SELECT id FROM rebeco.merge_differs($1::json) d (id)
