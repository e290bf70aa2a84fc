-- Whether what a round has written at this end may be committed: an error when a foreign key has acted that captures do not know yet.
-- $1 oid[]: the tables that were written to. Result: of no interest. Lowest server version: 12.
SELECT rebeco.two_way_check_actions($1::oid[])
