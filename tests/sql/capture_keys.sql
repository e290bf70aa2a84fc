-- Keys of every kind, names of every kind.
\i tests/sql/capture_helpers.psql
CREATE FUNCTION test.columns(relation regclass) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), nullif(a.attcollation, 0)::regcollation), ', ' ORDER BY attnum)
      FROM rebeco.capture c JOIN pg_attribute a ON a.attrelid = format('rebeco.log_%s_0', c.id)::regclass AND attnum > 0 WHERE c.relid = relation
$$;
\echo what will not do
CREATE TABLE bad (id int, a int NOT NULL, b text);
CREATE UNIQUE INDEX bad_null ON bad (id); CREATE UNIQUE INDEX bad_partial ON bad (a) WHERE b = 'x'; CREATE UNIQUE INDEX bad_expression ON bad (a, lower(b)); CREATE INDEX bad_index ON bad (a);
CREATE TABLE good (a int PRIMARY KEY); CREATE VIEW seen AS SELECT * FROM good;
SELECT test.capture('bad', 'auto', 'bad_null'); SELECT test.capture('bad', 'auto', 'bad_partial'); SELECT test.capture('bad', 'auto', 'bad_expression'); SELECT test.capture('bad', 'auto', 'bad_index'); SELECT test.capture('bad', 'auto', 'good_pkey');
SELECT test.capture('seen', 'auto', 'good_pkey'); SELECT test.capture('good', 'rows'); SELECT test.capture('good', NULL);
SELECT count(*) FROM rebeco.capture;
\echo unique, deferrable, with included columns
CREATE TABLE u (a int NOT NULL, b text NOT NULL, c int, UNIQUE (b, a) INCLUDE (c) DEFERRABLE INITIALLY DEFERRED);
SELECT test.capture('u', 'auto', 'u_b_a_c_key'), test.columns('u');
INSERT INTO u VALUES (1, 'x'), (2, 'x'); UPDATE u SET a = 3 - a; SELECT test.log('u');
\echo every type; a domain over a domain, an enum, an array, a range, a composite, citext, ltree
\c - postgres
CREATE EXTENSION citext SCHEMA public; CREATE SCHEMA "ex tensions"; GRANT USAGE ON SCHEMA "ex tensions" TO app; CREATE EXTENSION ltree SCHEMA "ex tensions";
\c - app
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE SCHEMA "my types";
CREATE TYPE "my types"."the ""mood" AS ENUM ('sad', 'hap''py'); CREATE TYPE "my types".pair AS (x int, y text);
CREATE DOMAIN "my types".d1 AS varchar(10) COLLATE "C" CHECK (VALUE <> 'bad'); CREATE DOMAIN "my types".d2 AS "my types".d1 NOT NULL;
CREATE COLLATION "my types".loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE k (c1 smallint, c2 bigint, c3 numeric(10, 2), c4 float8, c5 varchar(5), c6 char(5), c7 uuid, c8 timestamptz(0), c9 date, c10 bytea,
    c11 "my types".d2, c12 "my types"."the ""mood", c13 int[], c14 int4range, c15 citext, c16 text COLLATE "my types".loose,
    PRIMARY KEY (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16));
CREATE TABLE k2 (c1 "my types".pair, c2 "ex tensions".ltree, c3 "char", c4 name, c5 bit(3), c6 interval, c7 jsonb, c8 inet, c9 xid8, c10 oid, c11 boolean, PRIMARY KEY (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11));
CREATE TABLE kr (LIKE k INCLUDING ALL); CREATE TABLE k2r (LIKE k2 INCLUDING ALL);
SELECT test.capture('k'), test.capture('k2'), test.capture('kr', 'row'), test.capture('k2r', 'row'); SELECT test.columns('k'); SELECT test.columns('k2'); SELECT test.columns('kr') = test.columns('k'), test.columns('k2r') = test.columns('k2');
INSERT INTO k VALUES (1, 2, 3, 0.1, 'a', 'b', '00000000-0000-0000-0000-000000000001', '2024-02-29 12:00Z', '2024-02-29', '\x00ff', 'dom', 'hap''py', '{1,2}', '[1,5)', 'Cit', 'Loose');
INSERT INTO k2 VALUES ((1, 'y'), 'a.b', 'c', 'n', '101', '1 day', '{"a": 1}', '10.0.0.1', '7', 8, true); INSERT INTO kr TABLE k; INSERT INTO k2r TABLE k2;
SELECT test.log('k'), test.log('kr'); SELECT test.log('k2'), test.log('k2r');
UPDATE k SET c1 = c1; UPDATE kr SET c1 = c1; UPDATE k2 SET c11 = c11; UPDATE k2r SET c11 = c11; SELECT test.log('k') = replace(test.log('kr'), 'kr', 'k'), test.log('k2') = replace(test.log('k2r'), 'k2r', 'k2');
\echo equal for the index, other bytes: two entries; and the key is found again
UPDATE k SET c15 = 'CIT', c16 = 'LOOSE', c6 = 'b  ', c3 = 3.00; UPDATE kr SET c15 = 'CIT', c16 = 'LOOSE', c6 = 'b  ', c3 = 3.00;
SELECT (SELECT count(*) FROM rebeco.log_2 l JOIN k ON k.c15 = l.k15 AND k.c16 = l.k16 AND k.c6 = l.k6 AND k.c3 = l.k3),
       (SELECT count(*) FROM rebeco.log_4 l JOIN kr ON kr.c15 = l.k15 AND kr.c16 = l.k16 AND kr.c6 = l.k6 AND kr.c3 = l.k3);
UPDATE k SET c16 = 'Lot'; UPDATE kr SET c16 = 'Lot'; UPDATE k2 SET c2 = 'a.c'; UPDATE k2r SET c2 = 'a.c';
SELECT (SELECT count(*) FROM rebeco.log_2), (SELECT count(*) FROM rebeco.log_4), (SELECT count(*) FROM rebeco.log_3), (SELECT count(*) FROM rebeco.log_5);
SELECT test.state('k'), test.state('k2');

\echo names
CREATE SCHEMA "sch""ema.'x $1";
CREATE TABLE "sch""ema.'x $1"."ta""ble.'; DROP TABLE good; --
$f$ %s %1$I" ("n""0.'$$" int, "%s %I $f$ \" int, "123456789_123456789_123456789_123456789_123456789_123456789_12a" int, "123456789_123456789_123456789_123456789_123456789_123456789_12b" int,
    r int, "new" int, "old" int, names int, tg_op int, "found" int, k1 int, k int, xid int, "NEW" int, old_rows int, new_rows int, "Ünïcødé" int, "rebeco.log_6_0" int,
    PRIMARY KEY ("n""0.'$$", "%s %I $f$ \", "123456789_123456789_123456789_123456789_123456789_123456789_12a", "123456789_123456789_123456789_123456789_123456789_123456789_12b", r, "new", "old", names, tg_op, "found", k1, k, xid, "NEW", old_rows, new_rows, "Ünïcødé", "rebeco.log_6_0"));
CREATE VIEW n AS SELECT * FROM "sch""ema.'x $1"."ta""ble.'; DROP TABLE good; --
$f$ %s %1$I";
CREATE FUNCTION test.hostile(form text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE t regclass := (SELECT oid FROM pg_class WHERE relname LIKE 'ta"ble%' AND relkind = 'r');
BEGIN
    PERFORM test.capture(t, form);
    INSERT INTO n VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18); UPDATE n SET k1 = 0; UPDATE n SET tg_op = tg_op;
    RETURN NEXT right(test.log(t), -30);
    PERFORM rebeco.log_rotate(id, 0) FROM rebeco.capture WHERE relid = t;
    DELETE FROM n;
    RETURN NEXT right(test.log(t), -30); RETURN NEXT test.state(t);
    EXECUTE format('ALTER TABLE %s RENAME "rebeco.log_6_0" TO "6""7"', t);
    INSERT INTO n VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18); UPDATE n SET k1 = 0; DELETE FROM n;
    RETURN NEXT right(test.log(t), -30); RETURN NEXT test.state(t);
    EXECUTE format('ALTER TABLE %s RENAME "6""7" TO "rebeco.log_6_0"', t);
END $$;
SELECT test.hostile('statement'); SELECT test.hostile('row');
SELECT count(*) FROM good;
\echo a large table has statement triggers; what was chosen once stays when the table has grown
CREATE TABLE large (id int PRIMARY KEY, pad text); ALTER TABLE large ALTER pad SET STORAGE PLAIN;
INSERT INTO large SELECT i, repeat('x', 1000) FROM generate_series(1, 12000) i;
CREATE TABLE grows (LIKE large INCLUDING ALL);
SELECT test.capture('large'), test.capture('grows');
INSERT INTO grows TABLE large; UPDATE grows SET id = id + 1 WHERE id = 12000;
SELECT test.capture('grows'), length(test.log('grows')) > 12000, test.state('grows');
TRUNCATE large; SELECT test.capture('large'), test.log('large');
\echo types, their operators and collations get other names and schemas: no statement of the application fails
CREATE TYPE "my types".level AS ENUM ('low', 'high', 'top'); CREATE DOMAIN "my types".dl AS "my types".level; CREATE DOMAIN "my types".dt AS text COLLATE "my types".loose;
CREATE TABLE kd (c1 "my types".dl, c2 "my types".dt, c3 citext, c4 "my types".level, c5 text COLLATE "my types".loose, PRIMARY KEY (c1, c2, c3, c4, c5), v int);
SELECT test.capture('kd'); INSERT INTO kd VALUES ('low', 'a', 'b', 'low', 'c', 0);
\c - postgres
ALTER EXTENSION citext SET SCHEMA "ex tensions"; ALTER COLLATION "my types".loose RENAME TO looser; ALTER TYPE "my types".level RENAME TO height; ALTER TYPE "my types".height SET SCHEMA public;
\c - app
UPDATE kd SET v = 1; UPDATE kd SET c1 = 'high', c3 = 'B'; INSERT INTO kd VALUES ('top', 'a', 'b', 'low', 'c', 0); DELETE FROM kd WHERE v = 0;
SELECT test.log('kd');
