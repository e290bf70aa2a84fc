-- Whether this end has a migration.
-- $1 text: its run. Result: is_done boolean. Lowest server version: 10.
SELECT EXISTS (SELECT 1 FROM rebeco.ddl_done d WHERE d.run = $1) AS is_done
