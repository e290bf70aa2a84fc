-- A plain table that is captured becomes a partition. (Before PostgreSQL 15 the server refuses that for
-- a table with transition tables: capture it with row triggers if it is to become one.)
\i tests/sql/capture_helpers.psql
CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE plain (id int PRIMARY KEY); SELECT test.capture('plain');
ALTER TABLE p ATTACH PARTITION plain FOR VALUES FROM (200) TO (300); SELECT test.state('plain'); SELECT test.capture('plain'); SELECT test.state('plain');
INSERT INTO p VALUES (250); DELETE FROM plain; SELECT test.log('plain');
