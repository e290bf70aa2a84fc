"""Every type with its edge values: through COPY, in binary and as text, and through changes."""

import pytest
import rig

# Types of the users' own. The labels and names need quoting in every form of text there is.
USER_TYPES = r"""
CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree;
CREATE SCHEMA "t y.p\e""s"; SET search_path = "t y.p\e""s", public;
CREATE TYPE color AS ENUM ('red', 'gr,een', 'b"l\ue', '', 'null', '名前');
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN lucky AS positive CHECK (value <> 13) DEFAULT 7;
CREATE DOMAIN short AS char(3); CREATE DOMAIN shorter AS short CHECK (value <> 'no');
CREATE DOMAIN bits AS bit(4); CREATE DOMAIN exact AS numeric(8, 3); CREATE DOMAIN paint AS color;
CREATE DOMAIN ints AS int[]; CREATE DOMAIN a_table AS regclass; CREATE DOMAIN loud AS citext;
CREATE TYPE pair AS (a int, "b ""b" text);
ALTER TYPE pair ADD ATTRIBUTE gone int, DROP ATTRIBUTE a, ADD ATTRIBUTE c color;
ALTER TYPE pair DROP ATTRIBUTE gone;
CREATE DOMAIN good_pair AS pair CHECK ((value).c <> 'null');
CREATE TYPE nest AS (p pair, ps pair[], h public.hstore, r int4range, f float8, d lucky, x xml, at timestamptz);
CREATE TYPE color_range AS RANGE (subtype = color);
CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE DOMAIN some_floats AS float_range;
"""

HUGE = "9" * 700 + "." + "1234567890" * 30

# type: values. What compares as equal and is not the same stands side by side: the test replaces each
# value by the next one.
PLAIN = {
    "bool": ["t", "f"],
    "int2": ["-32768", "0", "32767"],
    "int4": ["-2147483648", "0", "2147483647"],
    "int8": ["-9223372036854775808", "0", "9223372036854775807"],
    "float4": ["NaN", "Infinity", "-Infinity", "-0", "0", "1.4e-45", "3.4028235e38", "0.1", "16777217"],
    "float8": ["NaN", "Infinity", "-Infinity", "-0", "0", "5e-324", "1.7976931348623157e308", "0.1", "0.30000000000000004"],
    "numeric": ["NaN", "0", "0.0", "0.00", "1", "1.0", "-1.000", "1e-1000", HUGE, "-" + HUGE, "1e130000", "0." + "0" * 16382 + "1"],
    "numeric(10,2)": ["NaN", "-99999999.99", "0.01", "0"],
    "money": ["-92233720368547758.08", "92233720368547758.07", "0.01", "0"],
    "text": ["", " ", "\\", "\\N", "\\.", "\t\n\r\b\v\f\\", "NULL", "'\"{},()", "e\u0301", "\u00e9", "\U0001f600\ufffe", "\x01\x7f", "long" * 300000],
    "varchar": ["", "a ", "a"],
    "varchar(5)": ["", "12345", "1 ", "1", "éééé😀"],
    "char(5)": ["", "ab", "é", "12345"],
    "bpchar": ["a", "a  ", ""],
    '"char"': ["a", "", "'", "\\"],
    "name": ["", "n" * 63, 'na"me', "é" * 31],
    "bytea": ["", "\\x00", "\\x00ff5c27", "\\x" + "5c" * 300000],
    "date": ["infinity", "-infinity", "4713-01-01 BC", "0001-12-31 BC", "0001-01-01", "1582-10-10", "2024-02-29", "5874897-12-31"],
    "time": ["00:00", "24:00", "23:59:59.999999", "00:00:00.000001"],
    "time(3)": ["12:34:56.789"],
    "timetz": ["24:00:00-15:59:59", "00:00:00.000001+15:59:59", "12:00+00", "13:00+01", "12:00:00-03:30"],
    "timestamp": ["infinity", "-infinity", "4713-01-01 00:00:00 BC", "0044-03-15 23:59:59.999999 BC", "1999-12-31 23:59:60", "294276-12-31 23:59:59.999999"],
    "timestamp(3)": ["2024-02-29 12:34:56.789"],
    "timestamptz": ["infinity", "-infinity", "4713-01-01 00:00:00+00 BC", "2024-03-31 02:30:00 Europe/Berlin", "1883-11-18 12:03:57 America/New_York", "294276-12-31 23:59:59.999999+00"],
    "timestamptz(0)": ["2024-02-29 12:34:57+02"],
    "interval": ["1 mon", "30 days", "720:00:00", "0", "178000000 years", "-178000000 years", "1 mon -1 day 00:00:00.000001", "-1 mon +1 day -00:00:00.000001",
                 "2147483647 days", "-2147483648 days", "P1Y2M3DT4H5M6.7S"],
    "interval day to second(2)": ["3 days 04:05:06.78", "-3 days 00:00:00.01"],
    "interval year to month": ["3-7"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "inet": ["0.0.0.0", "10.1.2.3/8", "10.1.2.3", "10.1.2.3/32", "::1", "::ffff:1.2.3.4/96", "fe80::1/64"],
    "cidr": ["0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/32", "::1/128"],
    "macaddr": ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"],
    "macaddr8": ["08:00:2b:01:02:03:04:05", "08:00:2b:ff:fe:01:02:03"],
    "bit(5)": ["00000", "10101"],
    "varbit": ["", "1", "0", "10110101101", "0" * 1000],
    "varbit(9)": ["", "101010101"],
    "point": ["(NaN,Infinity)", "(-0,0)", "(0,0)", "(1e-300,-1e300)", "(1.0000000000001,1)", "(1,1)"],
    "line": ["{1,-1,0}", "{0,-1,3.5}", "{-1,0,NaN}"],
    "lseg": ["[(0,0),(1,NaN)]", "[(-1,-1),(1,1)]"],
    "box": ["(1,1),(0,0)", "(Infinity,1),(0,-Infinity)"],
    "path": ["[(0,0)]", "((0,0),(1,1),(2,0))", "[(0,0),(1,1),(2,0)]"],
    "polygon": ["((0,0))", "((0,0),(1,1),(1,0))", "((0,0),(1,0),(1,1))"],
    "circle": ["<(0,0),0>", "<(1,2),Infinity>", "<(NaN,0),1>"],
    "json": ["null", '{"a" :  1, "a":2}', '{"a": 1,"a":2}', '"\\u0000"', "[1e400, -0, 1.0, 1.00]", ' {} ', '"\\ud83d\\ude00"'],
    "jsonb": ["null", '{"z": [null, "\\u00e9", {}], "": ""}', "[]", "1.00", "1.0", "1e-300", '"' + "x" * 100000 + '"', '{"a":{"b":{"c":[[[[]]]]}}}'],
    "tsvector": ["", "a:1A,2B,16383 'it''s \\\\':3C b", "'a' 'b'", "'a' 'a b'"],
    "tsquery": ["", "a & !b | c:*AB <3> d", "'it''s' <-> x"],
    "pg_lsn": ["0/0", "FFFFFFFF/FFFFFFFF"],
    "oid": ["0", "4294967295"],
}

# As text always, or in binary only as a whole column.
OTHER = {
    "xml": ['<?xml version="1.0" encoding="UTF-8"?><a>é</a>', "<a>é</a>", "a<b/>&amp;<!-- c -->", "<![CDATA[x<]]>", " ", '<?xml version="1.1" standalone="yes"?><a/>'],
    "jsonpath": ["$", "strict $.\"a b\"[*] ? (@ > 1.0 && exists (@.x))"],
    "xid": ["0", "4294967295"],
    "cid": ["0", "4294967295"],
    "tid": ["(0,0)", "(4294967294,65535)"],
    "refcursor": ["", "c 1"],
    "txid_snapshot": ["10:20:10,14,15", "1:1:"],
    "int2vector": ["", "1 2 -3"],
    "oidvector": ["", "1 4294967295"],
    "regclass": ["-", "4294967295", "pg_class", '"t y.p\\e""s".plain'],
    "regtype": ["-", "int4", '"t y.p\\e""s".color', "numeric[]"],
    "regproc": ["-", "pg_catalog.now", "public.hstore_out"],
    "regprocedure": ["-", "pg_catalog.length(text)"],
    "regoper": ["0", "pg_catalog.||/"],
    "regoperator": ["0", "+(int4,int4)"],
    "regnamespace": ["-", "pg_catalog", '"t y.p\\e""s"'],
    "regrole": ["-", "postgres", "clerk"],
    "regconfig": ["-", "english"],
    "regdictionary": ["-", "simple"],
    "regcollation": ["-", '"C"'],
    "aclitem": ["clerk=r*w/postgres", "=arwd/postgres"],
    "int4range": ["empty", "(,)", "[1,5)", "[-2147483648,2147483647)", "[7,)"],
    "int8range": ["[-9223372036854775808,9223372036854775807)", "(,0)"],
    "numrange": ["[1.0,1.00]", "[1,1]", "(NaN,)", "(-1e100,NaN)"],
    "tsrange": ["[infinity,]", "(-infinity,infinity)", "[2024-01-01 00:00,2024-01-01 00:00:00.000001)"],
    "tstzrange": ["[2024-03-31 02:30+02,)", "[0044-03-15 00:00+00 BC,2024-01-01 00:00+14)"],
    "daterange": ["[4713-01-01 BC,infinity)", "empty", "[infinity,infinity]"],
    "int4[]": ["{}", "{NULL}", "{1,NULL,3}", "[-2:0]={1,2,3}", "[0:1][5:6]={{1,2},{3,NULL}}", "{{{1},{2}},{{3},{4}}}", "{{{{{{1}}}}}}", "{" + ",".join(["7"] * 50000) + "}"],
    "text[]": ["{}", '{NULL,"NULL",null,"null",""," ","a b","{","}","\\\\","\\"",","}', "[3:3]={x}", "{{a,b},{NULL,d}}"],
    "numeric[]": ["{NaN,1.0,1.00}", "{1.00,1.0}", "{}"],
    "float8[]": ["{NaN,-0,0,Infinity,5e-324}", "{0,-0}"],
    "timestamptz[]": ["{infinity,0044-03-15 00:00+00 BC}", "{NULL}"],
    "bytea[]": ['{"\\\\x","\\\\x00ff",NULL}'],
    "box[]": ["{(1,1),(0,0);(2,2),(1,1)}", "{}"],
    "char(3)[]": ['{a,"b  ",abc}'],
    "varchar(4)[]": ['{a,"b  ",abcd}'],
    "bit(3)[]": ["{101,010}"],
    "numeric(6,2)[]": ["{1,2.50}"],
    "jsonb[]": ['{"{\\"a\\": [1, 2]}",NULL}'],
    "regclass[]": ['{-,pg_class,4294967295}'],
    "int4range[]": ['{"[1,3)",empty,NULL}'],
    "color": ["red", "gr,een", 'b"l\\ue', "", "null", "名前"],
    "color[]": ['{red,"gr,een","b\\"l\\\\ue","","null",NULL,名前}', "{}"],
    "paint": ["", "null"],
    "positive": ["1", "2147483647"],
    "lucky": ["7", "2147483647"],
    "lucky[]": ["{7,NULL,1}", "[5:6]={1,2}"],
    "short": ["a", "abc", ""],
    "shorter": ["a", "yes"],
    "shorter[]": ['{a,"",NULL}'],
    "bits": ["0110"],
    "bits[]": ["{0110,1111}"],
    "exact": ["12345.678", "NaN", "-0.001"],
    "ints": ["{1,NULL}", "[0:0]={7}"],
    "a_table": ["-", "pg_class"],
    "loud": ["ab", "AB"],
    "pair": ['(,)', '("",)', '("NULL",null)', '(" a,(b)\\\\""c",red)', '("","gr,een")'],
    "pair[]": ['{"(x,\\"gr,een\\")",NULL,"(,)"}', "[2:2]={\"(,)\"}"],
    "good_pair": ["(x,red)", "(,)"],
    "nest": ['("(x,""gr,een"")","{""(y,)"",NULL}","""k""=>NULL, ""é""=>""x\\\\""y""","[1,5)",-0,7,<a/>,"2024-03-31 02:30:00+02")', "(,,,,,,,)",
             '("(x,)",{},"",empty,NaN,1,"",infinity)'],
    "nest[]": ['{"(\\"(x,)\\",{},,empty,5e-324,1,,)"}'],
    "color_range": ['[red,"gr,een"]', "empty", '("b""l\\\\ue",)', '["",null]'],
    "float_range": ["[-0,0]", "[0,0]", "(NaN,)", "[-Infinity,Infinity]", "[5e-324,1.7976931348623157e308)"],
    "some_floats": ["[1,2]"],
    "hstore": ["", "a=>1, b=>NULL", '"a b"=>"NULL", ""=>"\\"", "é"=>"=>"'],
    "hstore[]": ['{"\\"a\\"=>\\"1\\"",NULL}'],
    "citext": ["", "ab", "AB", "aB", "É", "é"],
    "citext[]": ["{ab,AB}", "{AB,ab}"],
    "ltree": ["", "a", "a.B_1.c"],
    "lquery": ["*.a|b*@%.!c{1,2}"],
    "ltree[]": ["{a.b,\"\"}"],
}

FROM_14 = {
    "numeric ": ["Infinity", "-Infinity", "NaN"],
    "interval  ": ["2562047788:00:54.775807", "-2562047788:00:54.775807"],
    "int4multirange": ["{}", "{[1,3),[7,9)}", "{(,1),[5,)}"],
    "nummultirange": ["{[1.0,1.00],(2,NaN)}", "{[1.00,1.0],(2,NaN)}"],
    "tstzmultirange": ["{[2024-03-31 02:30+02,infinity]}"],
    "datemultirange": ["{[2024-01-01,2024-01-02),[infinity,]}"],
    "int4multirange[]": ['{"{}","{[1,3),[7,9)}"}'],
    "color_multirange": ['{[red,"gr,een"],(null,)}', "{}"],
    "pg_snapshot": ["10:20:10,14,15"],
    "xid8": ["0", "18446744073709551615"],
}
FROM_17 = {"interval ": ["infinity", "-infinity"], "interval[]": ["{infinity,NULL}"]}


def types_of(major):
    return {**OTHER, **(FROM_14 if major >= 14 else {}), **(FROM_17 if major >= 17 else {})}


TABLES = {"plain": PLAIN, "plain_as_text": PLAIN, "other": None}


def ident(name):
    return '"' + name.replace('"', '""') + '"'


def create(c, name, types):
    """A table with one column per type, and one row per edge value; short lists are repeated."""
    columns = ", ".join(f"{ident(t)} {t}" for t in types)
    # Dropped columns in front, between and behind: attribute numbers are not the same at both ends.
    c.run(f'CREATE TABLE {name} (dropped1 int, dropped2 pair, id int PRIMARY KEY, {columns}, dropped3 text)')
    for i in (1, 2, 3):
        c.run(f"ALTER TABLE {name} DROP COLUMN dropped{i}")
    rows = max(map(len, types.values()))
    for i in range(rows):
        values = ", ".join(f"%s::{t}" for t in types)
        c.run(f"INSERT INTO {name} VALUES (%s, {values})", i, *[v[i % len(v)] for v in types.values()])
    c.run(f"INSERT INTO {name} (id) VALUES (%s)", rows)
    return rows


def check_each_value(source, target):
    """As text, by the cast and by the type's output, and the bytes of the value itself."""
    with source.admin() as s, target.admin() as t:
        for c in (s, t):
            c.run('SET search_path = "t y.p\\e""s", public')
        for table in TABLES:
            names = [r[0] for r in s.run("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
                                         "AND NOT attisdropped ORDER BY attname", table)]
            for name in names:
                q = ident(name)
                sql = (f"SELECT id, md5({q}::text), left({q}::text, 60), md5(format('%%s', {q})) FROM {table} ORDER BY id")
                a, b = s.run(sql, None), t.run(sql, None)
                differ = [(x, y) for x, y in zip(a, b) if x != y]
                assert len(a) == len(b) and not differ, f"{table}.{name}: {differ[:3]}"


def test_an_enum_gets_new_labels(source, target, rebeco):
    """A label that the target lacks stops the table, by name; the others go on, and so does it when it is there."""
    source.psql("CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE t (id int PRIMARY KEY, m mood, ms mood[]); "
                "CREATE TABLE other (id int PRIMARY KEY); INSERT INTO t VALUES (1, 'good', '{bad}'), (2, 'bad', '{}')")
    rebeco.start()
    rebeco.wait_in_sync()
    source.psql("ALTER TYPE mood ADD VALUE 'fine' BEFORE 'bad'")
    source.psql("INSERT INTO t VALUES (3, 'fine', '{fine,bad}'); UPDATE t SET m = 'bad' WHERE id = 1; INSERT INTO other VALUES (1)")
    rig.eventually("the other table moves", lambda: target.value("SELECT count(*) FROM other") == 1, 20)
    rebeco.wait("the label is named", lambda: "fine" in target.value(
        "SELECT paused_what FROM rebeco.sync_table WHERE source_name = 't'"), 20)
    target.psql("ALTER TYPE mood ADD VALUE 'fine' BEFORE 'bad'")
    rebeco.ok("resume", "t")
    rig.wait_converged(source, target, 40)
    for server in (source, target):
        server.psql("ALTER TYPE mood RENAME VALUE 'fine' TO 'so \"la, la'")
    source.psql("UPDATE t SET m = 'so \"la, la', ms = ms || m WHERE id < 3")
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


MOODS = """
CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN feeling AS mood; CREATE TYPE day AS (morning feeling[], evening text);
CREATE TABLE t (id int PRIMARY KEY, d day); CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO t VALUES (1, '({good},x)'), (2, '({bad},y)')
"""


def check_stands_still(source, target, rebeco, words):
    """The table says why, and the other one moves."""
    source.run("INSERT INTO other VALUES (1)")
    rig.eventually("the other table moves", lambda: target.value("SELECT count(*) FROM other") == 1, 20)
    rebeco.wait("the type is named", lambda: words in (target.value(
        "SELECT concat_ws(' ', paused_what, paused_hint) FROM rebeco.sync_table WHERE source_name = 't'") or ""), 20)


@pytest.mark.parametrize("remedy", ["the same", "another"])
def test_a_label_gets_another_name(source, target, rebeco, remedy):
    """No row is written by that, and no table touched."""
    source.psql(MOODS)
    rebeco.start()
    rebeco.wait_in_sync()
    source.psql("ALTER TYPE mood RENAME VALUE 'good' TO 'fine'")
    check_stands_still(source, target, rebeco, "ALTER TYPE public.mood RENAME VALUE 'good' TO 'fine'")
    source.run("""INSERT INTO t VALUES (3, '("{fine,bad}",z)')""")
    copied = len(rebeco.log_lines("table copied"))
    if remedy == "the same":
        target.psql("ALTER TYPE mood RENAME VALUE 'good' TO 'fine'")
    else:
        target.psql("ALTER TYPE mood ADD VALUE 'fine'")
    rig.wait_converged(source, target, 40)
    rebeco.wait_in_sync()
    assert (len(rebeco.log_lines("table copied")) > copied) == (remedy == "another"), rebeco.log_tail()
    rig.check_equal(source, target)


def test_labels_trade_their_names(source, target, rebeco):
    source.psql(MOODS)
    rebeco.start()
    rebeco.wait_in_sync()
    for server in (source, target):
        server.psql("BEGIN; ALTER TYPE mood RENAME VALUE 'good' TO 'x'; ALTER TYPE mood RENAME VALUE 'bad' TO 'good'; "
                    "ALTER TYPE mood RENAME VALUE 'x' TO 'bad'; COMMIT")
        if server is source:
            source.run("UPDATE t SET d.evening = 'noon' WHERE id = 1")
            rig.eventually("it has come", lambda: target.value("SELECT (d).evening FROM t WHERE id = 1") == "noon", 20)
    rig.wait_converged(source, target, 40)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


def test_a_composite_gets_other_attributes(source, target, rebeco):
    """A row that comes between the two changes has as many attributes as the target awaits."""
    source.psql(MOODS)
    rebeco.start()
    rebeco.wait_in_sync()
    change = "ALTER TYPE day DROP ATTRIBUTE morning, ADD ATTRIBUTE night text"
    source.psql(change)
    source.run("INSERT INTO t VALUES (3, '({good},z)'), (4, NULL)")
    check_stands_still(source, target, rebeco, "type public.day is (evening text, night text) at the source")
    target.psql(change)
    rig.wait_converged(source, target, 40)
    rebeco.wait_in_sync()
    rig.check_equal(source, target)


@pytest.mark.limit(240)
def test_values_of_every_type(source, target, rebeco):
    """Initial copy, in binary and as text; then insert, update and delete of each value."""
    if target.major < 14 <= source.major:
        pytest.skip("from 14 on a range type is dumped with its multirange, which 13 does not know")
    source.psql(USER_TYPES)
    with source.admin() as c:
        c.run('SET search_path = "t y.p\\e""s", public')
        rows = {"plain": create(c, "plain", PLAIN)}
        rows["plain_as_text"] = create(c, "plain_as_text", PLAIN)
        c.run("ALTER TABLE plain_as_text ADD forces_text pair")
        rows["other"] = create(c, "other", types_of(min(source.major, target.major)))
        for table in TABLES:
            c.run(f"ALTER TABLE {table} OWNER TO app")
    rebeco.start()
    rebeco.wait_in_sync(60)
    assert not rebeco.log_lines("level=error"), rebeco.log_tail()
    rig.check_equal(source, target)
    check_each_value(source, target)

    with source.connect() as c:
        c.run('SET search_path = "t y.p\\e""s", public')
        for table, n in rows.items():
            names = [r[0] for r in c.run("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = %s::regclass "
                                         "AND attnum > 0 AND NOT attisdropped AND attname <> 'id'", table)]
            names = ", ".join(names).replace("%", "%%")
            c.run(f"INSERT INTO {table} (id, {names}) SELECT id + 1000, {names} FROM {table}")
            c.run(f"UPDATE {table} t SET ({names}) = (SELECT {names} FROM {table} o WHERE o.id = (t.id + 1) %% {n + 1}) "
                  f"WHERE id < 1000", None)
            c.run(f"DELETE FROM {table} WHERE id %% 1000 = 1", None)
    rebeco.wait_in_sync(60)
    assert not rebeco.log_lines("level=error"), rebeco.log_tail()
    rig.check_equal(source, target)
    check_each_value(source, target)


SETTINGS = """exit_on_error = on; default_transaction_isolation = serializable; default_transaction_deferrable = on;
statement_timeout = '900ms'; lock_timeout = '500ms'; idle_in_transaction_session_timeout = '500ms'; idle_session_timeout = '500ms'; transaction_timeout = '900ms';
search_path = 'evil, pg_catalog'; client_encoding = LATIN1; quote_all_identifiers = on; standard_conforming_strings = off; backslash_quote = off;
datestyle = 'SQL, DMY'; intervalstyle = iso_8601; timezone = 'Asia/Kathmandu'; timezone_abbreviations = 'Australia'; bytea_output = escape; extra_float_digits = -5;
xmloption = document; xmlbinary = hex; transform_null_equals = on; array_nulls = off; row_security = off; client_min_messages = debug1;
synchronous_commit = off; work_mem = '64kB'; maintenance_work_mem = '1MB'; from_collapse_limit = 1; join_collapse_limit = 1; geqo_threshold = 2;
plan_cache_mode = force_generic_plan; enable_indexscan = off; enable_indexonlyscan = off; enable_bitmapscan = off; enable_nestloop = off; enable_hashjoin = off;
enable_sort = off; enable_hashagg = off; constraint_exclusion = on; jit = off; plpgsql.extra_errors = 'all'; plpgsql.variable_conflict = use_column"""
VALUES = """INSERT INTO public.t SELECT n, 'é' || n, decode(md5(n::text), 'hex'), 1.0 / 3 * n, 1.0 / 7 * n, date '2024-01-31' + n, timestamptz '2024-10-27 00:30:00+00' + n * interval '17 min',
    make_interval(months => n, days => -n, secs => n / 3.0), ARRAY[n, NULL, 3], jsonb_build_object('k', n), '<a>b</a>', n / 3.0 FROM generate_series({0}, {1}) n;
INSERT INTO public.f SELECT 1.0 / n, timestamptz '2024-10-27 00:30:00+00' + n * interval '17 min', make_interval(months => n, secs => n / 3.0) FROM generate_series({0}, {1}) n;
INSERT INTO public.none SELECT 'x' || n, date '2024-02-13' + n, 1.0 / n, make_interval(days => n, secs => 0.1) FROM generate_series({0}, {1}) n"""


def test_settings_of_our_role_break_nothing(source, target, rebecos):
    """Whatever an administrator has set for it, or for the database: names, plans, limits, and what an error does."""
    admin = {"user": "postgres"}
    source.psql("CREATE TABLE t (id int PRIMARY KEY, a text, b bytea, c float8, d real, e date, f timestamptz, g interval, i int[], k jsonb, l xml, m numeric UNIQUE);"
                "CREATE TABLE f (f float8, ts timestamptz, iv interval, PRIMARY KEY (f, ts, iv)); CREATE TABLE none (a text, d date, f float8, iv interval);"
                "CREATE TABLE child (id serial PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE, CHECK (id > 0)); CREATE INDEX ON t (e) WHERE e > '2000-12-13';"
                "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM public.t")
    for server, role in ((source, "app"), (target, "rds")):
        known = {name for name, in server.run("SELECT lower(name) FROM pg_settings")}
        server.run("CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO PUBLIC; CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT 'epoch'::timestamptz$$", **admin)
        for setting in SETTINGS.split(";"):
            if setting.split()[0] in known or "plpgsql" in setting:
                server.run(f"ALTER ROLE {role} SET {setting}", **admin)
    source.run(VALUES.format(1, 200), **admin)
    r = rebecos(source, target, config=rig.config(materialized_views={"refresh": ["initial", "on-change"]})).start()
    r.wait_in_sync(60)
    source.run(VALUES.format(201, 300), **admin)
    source.run("UPDATE public.t SET a = a || 'ß', f = f + interval '1 day' WHERE id % 3 = 0; DELETE FROM public.t WHERE id % 7 = 0; UPDATE public.f SET iv = iv + interval '1 day';"
               "INSERT INTO public.child (t) SELECT id FROM public.t; UPDATE public.none SET f = f * 3.3 WHERE a LIKE '%5'; UPDATE public.t SET m = -m", **admin)
    r.wait_in_sync(60)
    r.ok("ddl", "-", stdin="ALTER TABLE public.t ADD q date DEFAULT '03/02/2024'")
    r.ok("resync", "public.none")
    r.wait_in_sync(60)
    r.wait("the view is refreshed", lambda: target.run("TABLE public.m", **admin) == source.run("SELECT count(*) FROM public.t", **admin), 60)
    rig.check_equal(source, target)
    r.terminate()
    r.ok("uninstall")


@pytest.mark.parametrize("where", ["role", "url"])
def test_settings_of_our_role_change_no_value(source, target, rebecos, where):
    """What is set for a role or a database, or stands in the URL, changes how values are read and written as text."""
    source.psql("CREATE TYPE mood AS ENUM ('so', 'so la'); CREATE TYPE pair AS (a text, b money);"
                "CREATE TABLE t (id int PRIMARY KEY, moods mood[], pairs pair[], word text, amount money)")
    add = ("INSERT INTO t VALUES (%s, ARRAY['so', NULL, 'so la']::mood[], ARRAY[ROW(NULL, 1234.5::money), ROW('NULL', NULL), NULL]::pair[],"
           " 'Ã©€', 1234567.89::numeric::money)")
    source.run(add, 1)
    for server, role in ((source, "app"), (target, "rds")):
        for setting in ("array_nulls = off", "quote_all_identifiers = on", "datestyle = 'SQL, DMY'", "plpgsql.extra_errors = 'all'"):
            if where == "role":
                server.run(f"ALTER ROLE {role} SET {setting}", user="postgres")
    more = "?client_encoding=LATIN1" if where == "url" else ""
    r = rebecos(source.url() + more, target).start()
    r.wait_in_sync()
    source.run(add, 2)
    source.run("UPDATE t SET word = word || 'é' WHERE id = 1")
    r.wait_in_sync()
    rig.check_equal(source, target)
