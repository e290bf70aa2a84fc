-- Marks a sync as one that is being uninstalled, or takes the mark away: no daemon leads it then.
-- $1 text: the sync; $2 boolean: it is being uninstalled. Lowest server version: 10.
UPDATE rebeco.sync SET is_leaving = $2::boolean WHERE name = $1
