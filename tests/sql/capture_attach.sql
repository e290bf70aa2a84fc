-- A plain table that is captured becomes a partition. (Before PostgreSQL 15 the server refuses that for
-- a table with transition tables: capture it with row triggers if it is to become one.)
\i tests/sql/capture_helpers.psql
CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE plain (id int PRIMARY KEY); SELECT test.capture('plain');
ALTER TABLE p ATTACH PARTITION plain FOR VALUES FROM (200) TO (300); SELECT test.state('plain'); SELECT test.capture('plain'); SELECT test.state('plain');
INSERT INTO p VALUES (250); DELETE FROM plain; SELECT test.log('plain');

\echo one that is captured by row triggers, too; its rows are logged, and its truncation
CREATE TABLE q (id int PRIMARY KEY) PARTITION BY RANGE (id); SELECT test.capture('q');
CREATE TABLE own (id int PRIMARY KEY); SELECT test.capture('own', 'row'); INSERT INTO own VALUES (1), (2);
ALTER TABLE q ATTACH PARTITION own FOR VALUES FROM (0) TO (100);
SELECT test.state('q'), test.repair('q'); SELECT test.log('q'), test.state('q');
UPDATE own SET id = 3 WHERE id = 1; TRUNCATE own; SELECT test.log('q');
\echo a partitioned one
CREATE TABLE sub (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE sub_1 PARTITION OF sub FOR VALUES FROM (100) TO (200);
SELECT test.capture('sub'); INSERT INTO sub VALUES (101);
ALTER TABLE q ATTACH PARTITION sub FOR VALUES FROM (100) TO (200);
SELECT test.state('q'), test.repair('q'); SELECT test.log('q'), test.state('q'); DELETE FROM q; SELECT test.log('q');
\echo a partition goes over to another table: both are told, whichever is mended first
CREATE TABLE old (id int PRIMARY KEY) PARTITION BY RANGE (id); SELECT test.capture('old');
CREATE TABLE q_3 PARTITION OF q FOR VALUES FROM (300) TO (400); SELECT regexp_replace(test.repair('q'), '\d+', 'N'); INSERT INTO q VALUES (301), (302); SELECT test.log('q');
ALTER TABLE q DETACH PARTITION q_3; ALTER TABLE old ATTACH PARTITION q_3 FOR VALUES FROM (300) TO (400);
SELECT test.repair('old'), test.repair('q'); SELECT test.log('old'), test.log('q'), test.state('old'), test.state('q');
TRUNCATE q_3; SELECT test.log('old'), test.log('q');
\echo what is removed by the other table before that is known is told, too; or that it is not known any more
ALTER TABLE old DETACH PARTITION q_3; ALTER TABLE q ATTACH PARTITION q_3 FOR VALUES FROM (300) TO (400); SELECT test.repair('old'), test.repair('q'); INSERT INTO q VALUES (301), (302), (303); SELECT test.log('old'), test.log('q');
ALTER TABLE q DETACH PARTITION q_3; ALTER TABLE old ATTACH PARTITION q_3 FOR VALUES FROM (300) TO (400);
DELETE FROM old WHERE id = 301; UPDATE old SET id = 304 WHERE id = 302; SELECT test.repair('q'); SELECT test.log('q'), test.log('old'), test.repair('old'); SELECT test.log('old');
ALTER TABLE old DETACH PARTITION q_3; ALTER TABLE q ATTACH PARTITION q_3 FOR VALUES FROM (300) TO (400); DELETE FROM q WHERE id = 304; SELECT test.log('q'); SELECT test.repair('old'); SELECT test.log('old'), test.repair('q'); SELECT test.log('q');
ALTER TABLE q DETACH PARTITION q_3; ALTER TABLE old ATTACH PARTITION q_3 FOR VALUES FROM (300) TO (400); SELECT test.repair('old'), test.repair('q'); SELECT test.log('old'), test.log('q');
\echo and is a table of its own at last
ALTER TABLE old DETACH PARTITION q_3; SELECT test.capture('q_3'); INSERT INTO q_3 VALUES (5); SELECT test.log('q_3'); SELECT test.repair('old'), test.state('q_3');
SELECT rebeco.capture_remove(id) FROM rebeco.capture;
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname ~ 'rebeco';
