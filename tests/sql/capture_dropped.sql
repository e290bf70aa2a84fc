-- Partitions that are dropped: whose keys can be found at the other end, and by which condition; reading and logging them in pages.
\i tests/sql/capture_helpers.psql
INSERT INTO rebeco.consumer (consumer, sync) VALUES ('one', 's'), ('two', 's');
CREATE FUNCTION test.read(relation regclass) RETURNS void LANGUAGE sql AS $$
    INSERT INTO rebeco.consumer_table (consumer, capture_id) SELECT r.consumer, c.id FROM rebeco.capture c, rebeco.consumer r WHERE c.relid = relation $$;
CREATE VIEW test.known AS SELECT p.name, p.bounds FROM rebeco.capture_partition p ORDER BY p.name COLLATE "C";
CREATE VIEW test.gone AS SELECT g.consumer, g.name, g.bounds, g.after, g.logged FROM rebeco.partition_gone g ORDER BY g.id;

CREATE TABLE p (id int, at timestamptz NOT NULL, k text NOT NULL, PRIMARY KEY (id, at, k)) PARTITION BY RANGE (at);
SET timezone = 'Asia/Tokyo'; SET datestyle = 'SQL, DMY';
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2024-02-01 00:00+00');
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2024-02-01 00:00+00') TO ('2024-03-01 00:00+00') PARTITION BY LIST (k);
CREATE TABLE p2a PARTITION OF p2 FOR VALUES IN ('a', 'it''s');
CREATE TABLE p2b PARTITION OF p2 DEFAULT;
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM ('2024-03-01 00:00+00') TO ('2024-04-01 00:00+00') PARTITION BY HASH (id);
CREATE TABLE p3a PARTITION OF p3 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE p4 PARTITION OF p DEFAULT PARTITION BY RANGE (k);
CREATE TABLE p4a PARTITION OF p4 FOR VALUES FROM ('a') TO ('m');
SELECT test.capture('p'); SELECT test.read('p'); SELECT * FROM test.known;
\echo one with its partitions: one note for each reader
BEGIN; DROP TABLE p2; SELECT test.state('p'); SELECT test.repair('p'), test.state('p'); SELECT * FROM test.gone; SELECT name FROM test.known; ROLLBACK;
\echo one of those with a list, and another
BEGIN; DROP TABLE p2a, p1; SELECT test.state('p'); SELECT test.repair('p'), test.state('p'); SELECT * FROM test.gone; ROLLBACK;
\echo what another server cannot know
BEGIN; DROP TABLE p2b; SELECT test.state('p'); SELECT test.repair('p'); ROLLBACK;
BEGIN; DROP TABLE p3a; SELECT test.state('p'); ROLLBACK; BEGIN; DROP TABLE p3; SELECT test.state('p'); ROLLBACK;
BEGIN; DROP TABLE p4a; SELECT test.state('p'); ROLLBACK; BEGIN; DROP TABLE p1, p4; SELECT test.state('p'); ROLLBACK;
\echo detached before; one that came and went; the key is renamed
BEGIN; ALTER TABLE p DETACH PARTITION p1; DROP TABLE p1; SELECT test.repair('p'); SELECT consumer, name FROM test.gone; ROLLBACK;
BEGIN; ALTER TABLE p DETACH PARTITION p1; SELECT test.repair('p'); DROP TABLE p1; SELECT test.state('p'); SELECT * FROM test.gone; ROLLBACK;
BEGIN; ALTER TABLE p RENAME at TO "when"; SELECT test.repair('p'); DROP TABLE p1; SELECT test.repair('p'); SELECT * FROM test.gone; ROLLBACK;
BEGIN; CREATE TABLE p5 PARTITION OF p FOR VALUES FROM ('2025-01-01') TO ('2026-01-01'); SELECT test.repair('p'); DROP TABLE p5; SELECT test.repair('p'); SELECT consumer, name FROM test.gone; ROLLBACK;
BEGIN; DROP TABLE p1; SELECT test.capture('p'); SELECT test.state('p'); SELECT * FROM test.gone; SELECT count(*) FROM test.known; ROLLBACK;
BEGIN; DROP TABLE p1; SELECT test.repair('p'); DELETE FROM rebeco.consumer WHERE consumer = 'one'; SELECT consumer FROM test.gone; SELECT rebeco.capture_remove(id) FROM rebeco.capture; SELECT count(*) FROM test.gone; ROLLBACK;
\echo types of users, orders of text
CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN d AS int;
CREATE TABLE q (m mood, d d, t text, n name, PRIMARY KEY (m, d, t, n)) PARTITION BY LIST (m); CREATE TABLE q1 PARTITION OF q FOR VALUES IN ('a'); SELECT test.capture('q'); DROP TABLE q1; SELECT test.state('q'); DROP TABLE q;
CREATE TABLE q (m mood, d d, t text, n name, PRIMARY KEY (m, d, t, n)) PARTITION BY RANGE (t); CREATE TABLE q1 PARTITION OF q FOR VALUES FROM ('a') TO ('b'); SELECT test.capture('q'); DROP TABLE q1; SELECT test.state('q'); DROP TABLE q;
CREATE TABLE q (m mood, d d, t text, n name, PRIMARY KEY (m, d, t, n)) PARTITION BY RANGE (n); CREATE TABLE q1 PARTITION OF q FOR VALUES FROM ('a') TO ('c'); SELECT test.capture('q'); SELECT bounds FROM test.known WHERE name LIKE '%q1'; DROP TABLE q1; SELECT test.state('q'); DROP TABLE q;
\echo one that is detached when the rest is mended
BEGIN; ALTER TABLE p DETACH PARTITION p1; SELECT rebeco.partition_settle(c.id) FROM rebeco.capture c WHERE c.relid = 'p'::regclass; ROLLBACK;
\echo pages, of a table that has no partitions
CREATE TABLE there (k text, at timestamptz, id int, PRIMARY KEY (at, k, id));
INSERT INTO there SELECT chr(96 + i % 3), '2024-01-30 00:00+00'::timestamptz + i * interval '1 day', i FROM generate_series(1, 7) i;
DROP TABLE p2; SELECT test.repair('p');
CREATE FUNCTION test.page(consumer text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    g rebeco.partition_gone; k record; n bigint;
BEGIN
    SELECT * INTO g FROM rebeco.partition_gone x WHERE x.consumer = page.consumer ORDER BY id LIMIT 1;
    SELECT * INTO k FROM rebeco.partition_keys('there', g.bounds, '{id,at,k}', g.after, 2, NULL, NULL);
    n := rebeco.partition_log(consumer, g.id, k.keys, k.last, NULL);
    RETURN concat_ws(' | ', k.keys, coalesce(k.last::text, 'the last'), n);
END $$;
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT test.page('one'); SELECT test.page('two'); SELECT test.page('one'); SELECT test.page('one'); SELECT test.page('one'); SELECT test.log('p'); SELECT consumer, after, logged FROM test.gone;
SELECT rebeco.partition_log('one', 1000, '[]', NULL, NULL), rebeco.partition_log('two', (SELECT min(id) FROM rebeco.partition_gone), '[["9","2024-02-02","x"]]', NULL, NULL);
SELECT test.log('p'); SELECT count(*) FROM rebeco.partition_gone;
\echo a column that is not there, a condition that means nothing
SELECT rebeco.partition_keys('there', 'true', '{id,gone}', NULL, 2, NULL, NULL);
SELECT rebeco.partition_keys('there', 'gone > 1', '{id}', NULL, 2, NULL, NULL);
