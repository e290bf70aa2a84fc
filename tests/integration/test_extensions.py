"""Types of extensions that are no part of PostgreSQL, where their packages are installed (postgresql-15-postgis-3,
postgresql-17-pgvector): copied, followed, and as what indexes and exclusions are over."""

import pytest
import rig

CASES = {
    "postgis": ("geometry", """
        CREATE TABLE place (id int PRIMARY KEY, g geometry, p geometry(Point, 4326), h geography, b box2d, r geometry(PolygonZ));
        CREATE INDEX ON place USING gist (g);
        INSERT INTO place SELECT i, ST_MakePoint(i, -i), ST_SetSRID(ST_MakePoint(i % 180, i % 90), 4326), ST_MakePoint(i % 180, i % 90)::geography,
                                 box2d(ST_MakePoint(i, i)), NULL FROM generate_series(1, 200) i;
        INSERT INTO place (id, g) VALUES (1000, 'POINT EMPTY'), (1001, 'GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1e-300 1e300))'),
                                  (1002, 'CIRCULARSTRING(0 0,1 1,2 0)'), (1003, 'SRID=4326;POINT ZM (1 2 3 4)'), (1004, 'POINT(NaN 1)');
        CREATE TABLE bare (g geometry); INSERT INTO bare SELECT ST_MakePoint(i % 3, 0) FROM generate_series(1, 9) i""",
                "UPDATE place SET g = ST_Buffer(g, 2), p = NULL WHERE id < 20; UPDATE place SET g = NULL WHERE id = 1001; "
                "INSERT INTO place (id, r) VALUES (2000, 'POLYGON Z ((0 0 0,1 0 1,1 1 2,0 0 0))'); DELETE FROM place WHERE id = 30; "
                "DELETE FROM bare WHERE ctid = '(0,2)'; INSERT INTO bare VALUES ('POINT(1 0)')"),
    "vector": ("vector", """
        CREATE TABLE place (id int PRIMARY KEY, v vector, v3 vector(3));
        INSERT INTO place SELECT i, ('[' || i || ',0.1,-1e-30]')::vector, ('[' || i || ',2,3]')::vector FROM generate_series(1, 200) i;
        CREATE INDEX ON place USING hnsw (v3 vector_l2_ops);
        CREATE TABLE bare (v vector); INSERT INTO bare SELECT ('[' || i % 3 || ']')::vector FROM generate_series(1, 9) i""",
               "UPDATE place SET v = '[1]', v3 = NULL WHERE id < 20; INSERT INTO place VALUES (1000, '[1,2]', '[0.333333,1e30,-0]'); "
               "DELETE FROM place WHERE id = 30; DELETE FROM bare WHERE ctid = '(0,2)'; INSERT INTO bare VALUES ('[1]')"),
}


@pytest.mark.parametrize("extension", CASES)
def test_types_of_extensions(source, target, rebeco, extension):
    kind, tables, changes = CASES[extension]
    for server in (source, target):
        if not server.value("SELECT 1 FROM pg_available_extensions WHERE name = %s", extension):
            pytest.skip(f"{extension} is not installed")
        server.run(f"CREATE EXTENSION {extension}", user="postgres")
    source.psql(tables)
    rebeco.start()
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target, ignore=("public.spatial_ref_sys",))
    source.psql(changes)
    rebeco.wait_in_sync(60)
    rig.check_equal(source, target, ignore=("public.spatial_ref_sys",))
    assert target.value(f"SELECT count(*) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = 'place'::regclass AND t.typname = '{kind}'")
    assert not rebeco.log_lines("paused"), rebeco.log_tail()
