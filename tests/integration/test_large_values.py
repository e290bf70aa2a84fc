"""Large values: they arrive, and cost no more memory than they must."""

import pytest
import rig

MB = 1024 * 1024


def put(source, i, size, with_text):
    """A row of `size` bytes; random, so that nothing is compressed away."""
    value = ("t, t::bytea, jsonb_build_array(t)" + (", ROW(1, t)::pair" if with_text else "") +
             f" FROM (SELECT string_agg(md5(n || '{i}'), '') AS t FROM generate_series(1, {size // (4 if with_text else 3) // 32}) n) x")
    source.run(f"INSERT INTO large (id, t, b, j{', p' if with_text else ''}) SELECT {i}, {value}")


@pytest.mark.parametrize("form", ["as text", "in binary"])
@pytest.mark.limit(240)
def test_memory_of_large_values(source, target, rebecos, form):
    """Rows of 1 MB and of 20 MB, copied and followed: at most 64 MB, and twice the largest row."""
    with_text = form == "as text"
    source.psql("CREATE TYPE pair AS (a int, b text); CREATE TABLE large (id int PRIMARY KEY, n int, t text, b bytea, j jsonb)")
    if with_text:
        source.run("ALTER TABLE large ADD p pair")
    row = 20 * MB
    for i in range(8):
        put(source, i, MB, with_text)
    for i in (20, 21):
        put(source, i, row, with_text)
    rebeco = rebecos(source, target, binary=rig.RELEASE)
    rebeco.start()
    rebeco.wait_in_sync(60)
    copying = rebeco.peak_rss()
    rebeco.terminate()
    rebeco._rss_seen = 0
    rebeco.start()
    rebeco.wait_in_sync(30)
    source.run("UPDATE large SET n = 1, t = t || 'x' WHERE id <> 20")
    put(source, 30, row, with_text)
    source.run("DELETE FROM large WHERE id = 20")
    rebeco.wait_in_sync(60)
    following = rebeco.peak_rss()
    print(f"copying {copying / MB:.0f} MB, following {following / MB:.0f} MB, with a row of {row / MB:.0f} MB")
    assert rig.compare(source, target) == []
    assert copying < 64 * MB + 2 * row
    assert following < 64 * MB + 2 * row


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.limit(600)
def test_a_value_of_200_megabytes(source, target, rebecos):
    """Text and bytea in one field, copied and followed; memory: three times the row, and what is always needed."""
    size = 200 * MB
    source.psql("CREATE TABLE large (id int PRIMARY KEY, n int, t text, b bytea)")
    source.run(f"INSERT INTO large (id, t) SELECT 1, string_agg(md5(i::text), '') FROM generate_series(1, {size // 32}) i")
    rebeco = rebecos(source, target, binary=rig.RELEASE)
    rebeco.start()
    rebeco.wait_in_sync(120)
    source.run(f"INSERT INTO large (id, b) SELECT 2, string_agg(sha256(i::text::bytea), '') FROM generate_series(1, {size // 32}) i")
    source.run("UPDATE large SET n = 1, t = t || 'x' WHERE id = 1")
    rebeco.wait_in_sync(240)
    print(f"{rebeco.peak_rss() / MB:.0f} MB with a row of {size / MB:.0f} MB")
    assert rig.compare(source, target) == []
    assert rebeco.peak_rss() < 64 * MB + 3.2 * size
