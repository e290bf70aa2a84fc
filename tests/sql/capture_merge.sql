-- MERGE: insert, update and delete in one statement.
\i tests/sql/capture_helpers.psql
CREATE TABLE s (id int PRIMARY KEY, v text);
CREATE TABLE r (id int PRIMARY KEY, v text);
INSERT INTO s VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO r TABLE s;
SELECT test.capture('s'), test.capture('r', 'row');
MERGE INTO s USING (VALUES (1, 'delete'), (2, 'update'), (4, 'insert')) x (id, v) ON s.id = x.id
 WHEN MATCHED AND x.v = 'delete' THEN DELETE
 WHEN MATCHED THEN UPDATE SET v = x.v, id = s.id + 10
 WHEN NOT MATCHED THEN INSERT VALUES (x.id, x.v);
MERGE INTO r USING (VALUES (1, 'delete'), (2, 'update'), (4, 'insert')) x (id, v) ON r.id = x.id
 WHEN MATCHED AND x.v = 'delete' THEN DELETE
 WHEN MATCHED THEN UPDATE SET v = x.v, id = r.id + 10
 WHEN NOT MATCHED THEN INSERT VALUES (x.id, x.v);
SELECT test.log('s'), test.log('r');
