-- Partitioned tables, with partitions that have their columns in another order, and inheritance.
\i tests/sql/capture_helpers.psql
CREATE TABLE p (a int, id int, b text, v text, PRIMARY KEY (id, b)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE TABLE p2 (v text, junk int, b text NOT NULL, id int NOT NULL, a int);
ALTER TABLE p2 DROP junk;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (100) TO (200);
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (200) TO (300) PARTITION BY LIST (b);
CREATE TABLE p3x PARTITION OF p3 FOR VALUES IN ('x');
SELECT test.capture('p', 'statement');
SELECT test.capture('p');
SELECT test.state('p');
\echo through the table, and to the partition
INSERT INTO p VALUES (1, 1, 'x'), (1, 101, 'x'), (1, 201, 'x'); SELECT test.log('p');
INSERT INTO p1 VALUES (1, 2, 'x'); INSERT INTO p2 (id, b) VALUES (102, 'x'); INSERT INTO p3 VALUES (1, 202, 'x'); INSERT INTO p3x VALUES (1, 203, 'x'); SELECT test.log('p');
UPDATE p SET v = 'new'; SELECT test.log('p');
UPDATE p3x SET id = 204 WHERE id = 203; DELETE FROM p2 WHERE id = 102; SELECT test.log('p');
COPY p2 FROM STDIN;
v	z	150	1
\.
SELECT test.log('p');
INSERT INTO p VALUES (1, 1, 'x'), (1, 99, 'x') ON CONFLICT (id, b) DO UPDATE SET v = 'again'; SELECT test.log('p');
\echo rows that move
UPDATE p SET id = id + 110 WHERE id = 1; UPDATE p SET b = 'x', id = 250 WHERE id = 150; SELECT test.log('p');
\echo truncate one, several, the table, some of both
TRUNCATE p2; SELECT test.log('p');
INSERT INTO p2 (id, b) VALUES (110, 'x'); TRUNCATE p3, p1; SELECT test.log('p');
INSERT INTO p VALUES (1, 3, 'x'), (1, 103, 'x'); TRUNCATE p; SELECT test.log('p');
BEGIN; INSERT INTO p VALUES (1, 4, 'x'); TRUNCATE p; INSERT INTO p VALUES (1, 5, 'x'), (1, 105, 'x'); TRUNCATE p1; COMMIT; SELECT test.log('p');
BEGIN; SAVEPOINT a; TRUNCATE p; ROLLBACK TO a; TRUNCATE p2; COMMIT; SELECT test.log('p');
INSERT INTO p VALUES (1, 6, 'x'), (1, 106, 'x'); TRUNCATE p2, p; SELECT test.log('p');
\echo partitions come: empty, with rows; and are mended
CREATE TABLE p4 PARTITION OF p FOR VALUES FROM (400) TO (500);
INSERT INTO p4 VALUES (1, 400, 'x'); SELECT test.log('p'), test.state('p'), test.repair('p'); SELECT test.log('p'), test.state('p');
CREATE TABLE p5 (LIKE p INCLUDING ALL); INSERT INTO p5 VALUES (1, 500, 'x'), (1, 501, 'x');
ALTER TABLE p ATTACH PARTITION p5 FOR VALUES FROM (500) TO (600); SELECT test.log('p'), test.state('p'), test.repair('p'); SELECT test.log('p'), test.state('p');
TRUNCATE p5; SELECT test.log('p');
\echo partitions go: detached, dropped
INSERT INTO p4 SELECT 1, i, 'x' FROM generate_series(410, 413) i; SELECT test.log('p');
UPDATE p4 SET v = 'y' WHERE id = 410; DELETE FROM p4 WHERE id = 411; SELECT test.log('p');
BEGIN; ALTER TABLE p DETACH PARTITION p4; DELETE FROM p4 WHERE id = 412; ROLLBACK; SELECT test.log('p');
ALTER TABLE p DETACH PARTITION p4; DELETE FROM p4 WHERE id = 412; SELECT test.log('p');
DELETE FROM p4 WHERE id = 413; SELECT test.log('p');
ALTER TABLE p ATTACH PARTITION p4 FOR VALUES FROM (400) TO (500); INSERT INTO p4 VALUES (1, 414, 'x'); ALTER TABLE p DETACH PARTITION p4; UPDATE p4 SET id = 415 WHERE id = 414; SELECT test.log('p');
SELECT test.state('p'), test.repair('p'); SELECT test.log('p'), test.state('p'), (SELECT count(*) FROM rebeco.capture_left);
INSERT INTO p4 VALUES (1, 401, 'x'); SELECT test.log('p');
\echo and one that has partitions: by its own name, by one of theirs, once more
INSERT INTO p SELECT 1, i, 'x' FROM generate_series(201, 203) i; SELECT test.log('p');
DELETE FROM p3 WHERE id = 201; SELECT test.log('p');
ALTER TABLE p DETACH PARTITION p3; UPDATE p3 SET id = 204 WHERE id = 202; SELECT test.log('p');
DELETE FROM p3 WHERE id = 203; SELECT test.log('p');
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (200) TO (300); ALTER TABLE p DETACH PARTITION p3; DELETE FROM p3x; SELECT test.log('p');
INSERT INTO p3 VALUES (1, 205, 'x'); TRUNCATE p3; SELECT test.log('p');
SELECT test.state('p'), test.repair('p'); SELECT test.log('p'), test.state('p'), (SELECT count(*) FROM rebeco.capture_left), (SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('p3'::regclass, 'p3x'::regclass));
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (200) TO (300); SELECT test.state('p'), test.repair('p'); SELECT test.log('p'), test.state('p');
DROP TABLE p5; SELECT regexp_replace(test.state('p'), '\d+', 'N');
SELECT test.capture('p'); SELECT test.state('p');
\echo a trigger disabled on one partition, for a while
ALTER TABLE p1 DISABLE TRIGGER rebeco_row_1; SELECT test.state('p');
ALTER TABLE p1 ENABLE ALWAYS TRIGGER rebeco_row_1; SELECT test.state('p');
SELECT test.capture('p'); SELECT test.state('p');
\echo the key is renamed, retyped, dropped
ALTER TABLE p RENAME id TO key; ALTER TABLE p RENAME a TO id;
INSERT INTO p VALUES (1, 7, 'x'), (1, 107, 'x'); UPDATE p SET b = 'y'; DELETE FROM p2; SELECT test.log('p'), test.state('p');
TRUNCATE p1; SELECT test.log('p'); SELECT test.repair('p'), test.state('p');
INSERT INTO p VALUES (1, 7, 'x'), (1, 107, 'x'); SELECT test.log('p');
ALTER TABLE p DROP id; INSERT INTO p VALUES (8, 'x'); SELECT test.log('p');
SELECT rebeco.capture_remove(id) FROM rebeco.capture;
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname ~ 'rebeco';
DROP TABLE p, p4;
CREATE TABLE p (id int, b int, PRIMARY KEY (id, b)) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT; SELECT test.capture('p');
INSERT INTO p VALUES (1, 1); ALTER TABLE p ALTER b TYPE bigint; INSERT INTO p VALUES (2, 2); UPDATE p1 SET b = 3; DELETE FROM p; SELECT test.log('p'), test.state('p');
TRUNCATE p1; SELECT test.log('p');
SELECT test.capture('p'); INSERT INTO p VALUES (1, 1); SELECT test.log('p'), test.state('p');
DROP TABLE p;

\echo a partition that is captured by itself
CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);
SELECT test.capture('p1');
INSERT INTO p VALUES (1), (101); UPDATE p SET id = 102 WHERE id = 1; SELECT test.log('p1'), test.state('p1');
TRUNCATE p; SELECT test.log('p1');

\echo inheritance: each table has rows of its own
CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
SELECT test.capture('parent'), test.capture('child');
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2); UPDATE parent SET v = 'x'; DELETE FROM parent WHERE id = 2; SELECT test.log('parent'), test.log('child');
TRUNCATE ONLY parent; SELECT test.log('parent'), test.log('child');
TRUNCATE parent; SELECT test.log('parent'), test.log('child');
\echo a plain table becomes a parent
CREATE TABLE plain (id int PRIMARY KEY); SELECT test.capture('plain'); SELECT test.state('plain');
CREATE TABLE heir () INHERITS (plain); SELECT test.state('plain'); DROP TABLE heir; SELECT test.state('plain');
