-- Begins the transaction that reads a batch of a two-way sync: everything in it is seen in one snapshot. It may
-- log keys again (sql/two_way_again.sql).
-- Lowest server version: 10.
BEGIN ISOLATION LEVEL REPEATABLE READ
