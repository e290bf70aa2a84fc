-- ALTER TABLE on captured tables: no statement of a writer fails, in the session that alters, in one
-- that has its plans already, in a REPEATABLE READ transaction that began before; and no wrong key is
-- logged.
\i tests/sql/capture_helpers.psql
CREATE FUNCTION test.try(form text) RETURNS SETOF text LANGUAGE plpgsql AS $f$
BEGIN
    EXECUTE 'CREATE TABLE t (a int DEFAULT 7, id int, b text, c int DEFAULT 8, PRIMARY KEY (id, b))';
    RETURN NEXT test.capture('t', form);
    EXECUTE $$INSERT INTO t VALUES (1, 1, 'x', 1), (2, 2, 'y', 2)$$;
    EXECUTE $$UPDATE t SET c = 9$$;
    EXECUTE $$DELETE FROM t WHERE id = 2$$;
    RETURN NEXT test.log('t');

    RETURN NEXT 'other columns: add, drop, retype, rename';
    EXECUTE 'ALTER TABLE t ADD d text DEFAULT 1, ALTER c TYPE text';
    EXECUTE 'INSERT INTO t (id, b) VALUES (3, 3)'; EXECUTE 'UPDATE t SET d = 3 WHERE id = 3'; EXECUTE 'DELETE FROM t WHERE id = 3';
    EXECUTE 'ALTER TABLE t DROP c'; EXECUTE 'ALTER TABLE t RENAME d TO dd';
    EXECUTE 'INSERT INTO t (id, b) VALUES (4, 3)'; EXECUTE 'UPDATE t SET dd = 3 WHERE id = 4'; EXECUTE 'DELETE FROM t WHERE id = 4';
    RETURN NEXT test.log('t') || ' -- ' || test.state('t');

    RETURN NEXT 'a column before the key is dropped';
    EXECUTE 'ALTER TABLE t DROP a';
    EXECUTE 'INSERT INTO t (id, b) VALUES (5, 3)'; EXECUTE 'UPDATE t SET dd = 3 WHERE id = 5'; EXECUTE 'DELETE FROM t WHERE id = 5';
    RETURN NEXT test.log('t') || ' -- ' || test.state('t');

    RETURN NEXT 'the key is renamed, and another column gets its name';
    EXECUTE 'ALTER TABLE t RENAME id TO "the ""id"'; EXECUTE 'ALTER TABLE t ADD id int DEFAULT 99';
    EXECUTE 'INSERT INTO t VALUES (6, 3)'; EXECUTE 'UPDATE t SET dd = 3 WHERE "the ""id" = 6';
    EXECUTE 'UPDATE t SET "the ""id" = 7 WHERE "the ""id" = 6'; EXECUTE 'DELETE FROM t WHERE "the ""id" = 7';
    RETURN NEXT test.log('t') || ' -- ' || test.state('t');
    RETURN NEXT test.repair('t') || ' -- ' || test.state('t');
    EXECUTE 'INSERT INTO t VALUES (8, 3)'; EXECUTE 'UPDATE t SET dd = 3 WHERE "the ""id" = 8'; EXECUTE 'DELETE FROM t WHERE "the ""id" = 8';
    RETURN NEXT test.log('t') || ' -- ' || test.state('t');

    RETURN NEXT 'the key has another type, and back';
    EXECUTE 'ALTER TABLE t ALTER "the ""id" TYPE bigint';
    EXECUTE 'INSERT INTO t VALUES (9, 3)'; EXECUTE 'UPDATE t SET dd = 3 WHERE "the ""id" = 9'; EXECUTE 'DELETE FROM t WHERE "the ""id" = 9';
    RETURN NEXT test.log('t') || ' -- ' || test.state('t');
    EXECUTE 'ALTER TABLE t ALTER "the ""id" TYPE int';
    EXECUTE 'INSERT INTO t VALUES (10, 3)'; EXECUTE 'UPDATE t SET dd = 3 WHERE "the ""id" = 10'; EXECUTE 'DELETE FROM t WHERE "the ""id" = 10';
    RETURN NEXT test.log('t') || ' -- ' || test.state('t');

    RETURN NEXT 'nothing is said of statements without rows';
    EXECUTE 'ALTER TABLE t ALTER "the ""id" TYPE bigint';
    EXECUTE 'DELETE FROM t WHERE false'; EXECUTE 'UPDATE t SET dd = 3 WHERE false'; EXECUTE 'INSERT INTO t SELECT 1, 1 WHERE false';
    RETURN NEXT test.log('t');
    EXECUTE 'ALTER TABLE t ALTER "the ""id" TYPE int';

    RETURN NEXT 'the primary key is dropped, the table renamed and moved';
    EXECUTE 'ALTER TABLE t DROP CONSTRAINT t_pkey'; EXECUTE 'CREATE SCHEMA moved'; EXECUTE 'ALTER TABLE t SET SCHEMA moved'; EXECUTE 'ALTER TABLE moved.t RENAME TO u';
    EXECUTE 'INSERT INTO moved.u VALUES (11, 3)'; EXECUTE 'UPDATE moved.u SET dd = 3 WHERE "the ""id" = 11'; EXECUTE 'DELETE FROM moved.u WHERE "the ""id" = 11';
    RETURN NEXT test.log('moved.u') || ' -- ' || test.state('moved.u');

    RETURN NEXT 'a key column is dropped';
    EXECUTE 'ALTER TABLE moved.u DROP "the ""id"';
    EXECUTE 'INSERT INTO moved.u VALUES (12, 3)'; EXECUTE 'UPDATE moved.u SET dd = 3 WHERE id = 12'; EXECUTE 'DELETE FROM moved.u'; EXECUTE 'TRUNCATE moved.u';
    RETURN NEXT test.log('moved.u') || ' -- ' || test.state('moved.u');
    EXECUTE 'DROP SCHEMA moved CASCADE';

    RETURN NEXT 'a key is NULL for a moment';
    EXECUTE 'CREATE TABLE n (k int NOT NULL UNIQUE, v int)';
    RETURN NEXT test.capture('n', form, 'n_k_key');
    EXECUTE 'INSERT INTO n VALUES (1)';
    RETURN NEXT test.log('n');
    EXECUTE 'ALTER TABLE n ALTER k DROP NOT NULL';
    EXECUTE 'UPDATE n SET k = NULL'; EXECUTE 'UPDATE n SET k = 2';
    EXECUTE 'ALTER TABLE n ALTER k SET NOT NULL';
    RETURN NEXT test.log('n') || ' -- ' || test.state('n');
    EXECUTE 'DROP TABLE n';
END $f$;
SELECT test.try('statement');
SELECT test.try('auto');
SELECT test.try('row');

\echo another session, with its plans made before
CREATE TABLE t (junk int, id int PRIMARY KEY, v int);
CREATE TABLE r (junk int, id int PRIMARY KEY, v int);
SELECT test.capture('t'), test.capture('r', 'row');
GRANT ALL ON t, r TO clerk;
\c - postgres
CREATE EXTENSION dblink; GRANT EXECUTE ON FUNCTION dblink_connect_u(text, text) TO app;
\c - app
SELECT dblink_connect_u('writer', format('user=clerk host=127.0.0.1 port=%s dbname=%s', current_setting('port'), current_database()));
CREATE FUNCTION test.write(id int, id_name text DEFAULT 'id') RETURNS text LANGUAGE sql AS $$
    SELECT dblink_exec('writer', format('INSERT INTO t (%1$s, v) VALUES (%2$s, 0); INSERT INTO r (%1$s, v) VALUES (%2$s, 0); UPDATE t SET v = 1 WHERE %1$s = %2$s; UPDATE r SET v = 1 WHERE %1$s = %2$s; DELETE FROM t WHERE %1$s = %2$s; DELETE FROM r WHERE %1$s = %2$s', id_name, id))
$$;
SELECT test.write(1); SELECT test.log('t'), test.log('r');
\echo it began before, REPEATABLE READ
SELECT dblink_exec('writer', 'BEGIN ISOLATION LEVEL REPEATABLE READ'); SELECT count(*) FROM dblink('writer', 'SELECT 1') x (n int);
ALTER TABLE t RENAME id TO key; ALTER TABLE t RENAME junk TO id; ALTER TABLE r RENAME id TO key; ALTER TABLE r RENAME junk TO id;
SELECT test.write(2, 'key'); SELECT dblink_exec('writer', 'COMMIT'); SELECT test.log('t'), test.log('r');
SELECT dblink_exec('writer', 'BEGIN ISOLATION LEVEL REPEATABLE READ'); SELECT count(*) FROM dblink('writer', 'SELECT 1') x (n int);
ALTER TABLE t DROP id; ALTER TABLE r DROP id;
SELECT test.write(3, 'key'); SELECT dblink_exec('writer', 'COMMIT'); SELECT test.log('t'), test.log('r');
SELECT dblink_exec('writer', 'BEGIN ISOLATION LEVEL REPEATABLE READ'); SELECT count(*) FROM dblink('writer', 'SELECT 1') x (n int);
ALTER TABLE t ALTER key TYPE text; ALTER TABLE r ALTER key TYPE text;
SELECT dblink_exec('writer', $$INSERT INTO t (key) VALUES ('x'); INSERT INTO r (key) VALUES ('x')$$); SELECT dblink_exec('writer', 'COMMIT'); SELECT test.log('t'), test.log('r');
ALTER TABLE t DROP key; ALTER TABLE r DROP key;
SELECT dblink_exec('writer', 'INSERT INTO t (v) VALUES (5); INSERT INTO r (v) VALUES (5); DELETE FROM t; DELETE FROM r'); SELECT test.log('t'), test.log('r');

\echo -- types and collations of a key that get other names
CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN moods AS mood; CREATE COLLATION coll FROM "C";
CREATE TABLE named (a mood, b moods, c mood[], d text COLLATE coll, e int, PRIMARY KEY (a, b, c, d, e));
SELECT test.capture('named');
SELECT key_types FROM rebeco.capture WHERE relid = 'named'::regclass;
ALTER TYPE mood RENAME TO "Temper"; CREATE SCHEMA other; ALTER COLLATION coll SET SCHEMA other; ALTER DOMAIN moods SET SCHEMA other;
INSERT INTO named VALUES ('a', 'b', '{a}', 'd', 1); UPDATE named SET e = 2;
SELECT test.log('named');
SELECT test.state('named');
SELECT test.repair('named'), test.state('named');
SELECT key_types FROM rebeco.capture WHERE relid = 'named'::regclass;
ALTER TYPE "Temper" RENAME TO mood;
SELECT test.state('named');
