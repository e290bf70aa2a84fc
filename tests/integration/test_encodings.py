"""Databases whose encodings differ: what both know arrives, whichever way the server has to convert it."""

import pytest
import rig

TABLES = """
CREATE TABLE "straße" (id int PRIMARY KEY, "größe" text, b bytea, j jsonb, c char(4));
CREATE TABLE bare (v text);
"""
ROWS = """
INSERT INTO "straße" SELECT i, 'ümläut ' || i || ' ¿¡ÿ', 'é'::bytea, '{"ä": "é"}', 'é' FROM generate_series(1, 50) i;
INSERT INTO bare SELECT 'ß' || i % 3 FROM generate_series(1, 10) i;
"""
CHANGES = """
UPDATE "straße" SET "größe" = 'Ärger', j = '{"ö": ["ñ"]}' WHERE id < 9; DELETE FROM "straße" WHERE id = 20;
INSERT INTO "straße" VALUES (100, 'nëu', '\\x00ff', '"ç"', 'äöüß'); DELETE FROM bare WHERE ctid = '(0,1)'; INSERT INTO bare VALUES ('ß1'), ('é');
"""


def make(server, owner, encoding):
    server.run(f"CREATE DATABASE other OWNER {owner} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'", user="postgres")


@pytest.mark.parametrize("at_source, at_target", [("UTF8", "LATIN1"), ("WIN1252", "LATIN9"), ("LATIN1", "UTF8")][:3 if rig.LONG else 2])
def test_encodings_that_differ(source, target, rebecos, at_source, at_target):
    make(source, "app", at_source)
    make(target, "rds", at_target)

    def put(sql):
        with source.connect(database="other") as c:
            c.raw.set_client_encoding("UTF8")
            c.run(sql)

    def read(server):
        with server.connect(database="other") as c:
            c.raw.set_client_encoding("UTF8")
            return c.run('SELECT to_jsonb(s) FROM "straße" s ORDER BY id'), c.run("SELECT v FROM bare ORDER BY 1")

    put(TABLES + ROWS)
    rebeco = rebecos(source.url(database="other"), target.url(database="other"))
    rebeco.start()
    rebeco.wait("it follows", lambda: (rebeco.status() or {}).get("in_sync"), 60)
    assert read(source) == read(target)
    put(CHANGES)
    rebeco.ok("kick", "--wait")
    assert read(source) == read(target)
    assert "straße" in rebeco.ok("status", "--json") or "stra\\u00dfe" in rebeco.ok("status", "--json")
