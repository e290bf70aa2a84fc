"""Types and values for random tables: each type with the edges that have ever broken a replicator.

A value is SQL text that may stand in an INSERT. Whatever is random comes from the random.Random that is
given, so that a seed says all."""

import json

INT2, INT4, INT8 = 2**15, 2**31, 2**63


def q(name):
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def lit(text):
    """A text as an SQL literal."""
    return ("E" if "\\" in text else "") + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


WORDS = ["", " ", "a", "A", "aa", "Aa", "ä", "Ä", "ß", "x y", "it's", 'say "so"', "back\\slash", "tab\there", "new\nline", "\\N",
         "\\.", "NULL", "null", "{}", "{a,b}", "(1,2)", "%s", "%", "$1", ",", ";", "--", "/*", "\r\n", "日本語", "🦌", "e\u0301", "é",
         "0", "-1", "1.0", "\u00a0", "\x01", "\x7f", "zzzzzzzzzzzzzzzzzzzz"]


def words(rng):
    return rng.choice(WORDS) if rng.random() < 0.5 else "w%d" % rng.randrange(10**6)


def _int(limit):
    edges = [0, 1, -1, limit - 1, -limit, 10, 100]
    return lambda rng: str(rng.choice(edges) if rng.random() < 0.3 else rng.randrange(-limit // 2, limit // 2))


def _of(*texts):
    return lambda rng: lit(rng.choice(texts))


def _mixed(texts, make):
    return lambda rng: lit(rng.choice(texts) if rng.random() < 0.4 else make(rng))


def _numeric(rng):
    edges = ["0", "0.0", "0.00", "1", "1.0", "1.00", "-1", "NaN", "1e-30", "9" * 100, "0." + "1" * 300, "-1e200", "1" + "0" * 999]
    return lit(rng.choice(edges) if rng.random() < 0.4 else "%d.%d" % (rng.randrange(-10**9, 10**9), rng.randrange(10**4)))


def _float(rng):
    edges = ["0", "-0", "NaN", "Infinity", "-Infinity", "1e-300", "1e300", "0.1", "3.4028235e38"]
    return lit(rng.choice(edges) if rng.random() < 0.4 else repr(rng.uniform(-1e6, 1e6)))


def _float4(rng):
    return lit(rng.choice(["0", "-0", "NaN", "Infinity", "-Infinity", "1e-37", "3.4028235e38"]) if rng.random() < 0.4
               else repr(rng.uniform(-1e6, 1e6)))


def _bytes(rng):
    return lit("\\x" + bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 3, 20]))).hex())


def _wide_bytes(rng):
    if rng.random() < 0.7:
        return _bytes(rng)
    return "decode(repeat(%s, %d), 'hex')" % (lit("%064x" % rng.getrandbits(256)), rng.randrange(50, 1500))


def _text(rng):
    if rng.random() < 0.08:
        return "repeat(%s, %d)" % (lit("%064x" % rng.getrandbits(256)), rng.randrange(50, 1500))
    return lit(words(rng))


def _short(n):
    return lambda rng: lit(words(rng)[:n])


def _date(rng):
    return "%04d-%02d-%02d" % (rng.randrange(1, 9999), rng.randrange(1, 13), rng.randrange(1, 29))


def _time(rng):
    return "%02d:%02d:%02d.%06d" % (rng.randrange(24), rng.randrange(60), rng.randrange(60), rng.randrange(10**6))


def _stamp(rng):
    return _date(rng) + " " + _time(rng)


def _zone(rng):
    return rng.choice(["+00", "-08", "+05:30", "+14", "-12:34"])


def _interval(rng):
    return rng.choice(["1 day", "24 hours", "1 mon", "30 days", "-1 year +3 days -4:05:06.7", "0", "100 years", "0.000001 s",
                       "%d mons %d days %d s" % (rng.randrange(-99, 99), rng.randrange(-99, 99), rng.randrange(-10**6, 10**6))])


def _uuid(rng):
    h = "%032x" % rng.getrandbits(128)
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))


def _json(rng):
    edges = ['{"a": 1, "a": 2}', "null", "[]", "{}", ' { "b" : 1 , "a" : [1, 2.0, 1e3] } ', '"\\u00e9"', "1.000", '{"": ""}']
    return rng.choice(edges) if rng.random() < 0.5 else json.dumps({words(rng).replace("\x00", ""): rng.random()})


def _inet(rng):
    return rng.choice(["10.0.0.1", "10.0.0.0/8", "::1", "fe80::/10", "::ffff:1.2.3.4/128", "0.0.0.0/0", "192.168.%d.%d/%d" % (
        rng.randrange(256), rng.randrange(256), rng.randrange(33))])


def _bits(n):
    return lambda rng: "B'%s'" % "".join(rng.choice("01") for _ in range(n or rng.randrange(20)))


def _point(rng):
    return "(%r,%r)" % (rng.choice([0.0, -0.5, 1e300, rng.uniform(-9, 9)]), rng.uniform(-9, 9))


def _range(low, step, form=str):
    def make(rng):
        a = low + rng.randrange(0, 50)
        b = a + rng.randrange(0, 20)
        return rng.choice(["empty", "(,)", "[%s,)" % form(a * step), "[%s,%s)" % (form(a * step), form((b + 1) * step)),
                           "(%s,%s]" % (form(a * step), form((b + 1) * step))])
    return make


def _day(n):
    return "2024-%02d-%02d" % (1 + int(n) // 28 % 12, 1 + int(n) % 28)


# name: (SQL type, value maker, may be a key)
TYPES = {
    "smallint": ("smallint", _int(INT2), True),
    "int": ("int", _int(INT4), True),
    "bigint": ("bigint", _int(INT8), True),
    "numeric": ("numeric", _numeric, True),
    "numeric(12,3)": ("numeric(12,3)", lambda r: str(r.choice([0, 1, -1, r.randrange(-10**8, 10**8) / 1000])), True),
    "real": ("real", _float4, True),
    "float8": ("double precision", _float, True),
    "money": ("money", lambda r: lit("%d.%02d" % (r.randrange(-10**6, 10**6), r.randrange(100))), True),
    "text": ("text", _text, False),
    "key text": ("text", lambda r: lit(words(r)), True),
    "C text": ('text COLLATE "C"', lambda r: lit(words(r)), True),
    "varchar": ("varchar(20)", _short(20), True),
    "char": ("char(7)", _short(7), True),
    '"char"': ('"char"', _of("", "a", "Z", "1"), True),
    "name": ("name", _short(40), True),
    "bytea": ("bytea", _wide_bytes, False),
    "key bytea": ("bytea", _bytes, True),
    "bool": ("boolean", _of("t", "f"), True),
    "date": ("date", _mixed(["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "2000-02-29"], _date), True),
    "time": ("time", _mixed(["00:00", "24:00:00", "23:59:59.999999"], _time), True),
    "time(2)": ("time(2)", _mixed(["00:00"], _time), True),
    "timetz": ("timetz", _mixed(["00:00+15:59", "24:00-15:59", "12:00+00", "13:00+01"], lambda r: _time(r) + _zone(r)), True),
    "timestamp": ("timestamp", _mixed(["infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999"], _stamp), True),
    "timestamptz": ("timestamptz", _mixed(["infinity", "-infinity", "2024-03-31 02:30:00+01", "0044-03-15 12:00+00 BC"],
                                          lambda r: _stamp(r) + _zone(r)), True),
    "interval": ("interval", lambda r: lit(_interval(r)), True),
    "uuid": ("uuid", _mixed(["00000000-0000-0000-0000-000000000000"], _uuid), True),
    "inet": ("inet", lambda r: lit(_inet(r)), True),
    "cidr": ("cidr", _of("10.0.0.0/8", "::/0", "192.168.1.0/24", "1.2.3.4/32"), True),
    "macaddr": ("macaddr", lambda r: lit("%012x" % r.getrandbits(48)), True),
    "macaddr8": ("macaddr8", lambda r: lit("%016x" % r.getrandbits(64)), True),
    "bit": ("bit(5)", _bits(5), True),
    "varbit": ("varbit", _bits(0), True),
    "point": ("point", lambda r: lit(_point(r)), False),
    "line": ("line", _of("{1,2,3}", "{-1,0,5}"), False),
    "lseg": ("lseg", lambda r: lit("[%s,%s]" % (_point(r), _point(r))), False),
    "box": ("box", lambda r: lit("%s,%s" % (_point(r), _point(r))), False),
    "path": ("path", lambda r: lit(r.choice(["[%s,%s]", "(%s,%s)"]) % (_point(r), _point(r))), False),
    "polygon": ("polygon", lambda r: lit("(%s,%s,%s)" % (_point(r), _point(r), _point(r))), False),
    "circle": ("circle", lambda r: lit("<%s,%d>" % (_point(r), r.randrange(9))), False),
    "json": ("json", lambda r: lit(_json(r)), False),
    "jsonb": ("jsonb", lambda r: lit(_json(r)), True),
    "jsonpath": ("jsonpath", _of("$", "$.a[*] ? (@ > 1)", 'strict $."x y"'), False),
    "xml": ("xml", _of("<a/>", "text only", "<a b='c'>&amp;<![CDATA[x]]></a>", "<?xml version='1.0'?><a> </a>"), False),
    "tsvector": ("tsvector", _of("", "a b", "fat:1A,2 cat:3", "'it''s':4"), True),
    "tsquery": ("tsquery", _of("a & b", "!a | b:*", "a <-> b"), True),
    "pg_lsn": ("pg_lsn", _of("0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"), True),
    "oid": ("oid", lambda r: lit(str(r.choice([0, 1, 2**32 - 1, r.randrange(2**32)]))), True),
    "xid8": ("xid8", lambda r: lit(str(r.randrange(2**63))), True),
    "txid_snapshot": ("txid_snapshot", _of("1:1:", "10:20:10,14,15"), False),
    "regclass": ("regclass", _of("pg_class", "pg_type", "-"), True),
    "regtype": ("regtype", _of("integer", "text[]", "-"), True),
    "int4range": ("int4range", lambda r: lit(_range(-20, 1)(r)), True),
    "numrange": ("numrange", lambda r: lit(_range(-20, 0.5)(r)), True),
    "daterange": ("daterange", lambda r: lit(_range(0, 1, _day)(r)), True),
    "tstzrange": ("tstzrange", lambda r: lit(_range(0, 1, _day)(r)), True),
    "int[]": ("int[]", _of("{}", "{NULL}", "{1,2,3}", "{{1,2},{3,NULL}}", "[0:1]={7,8}", "{-2147483648}"), True),
    "text[]": ("text[]", _of("{}", '{"a,b","",NULL,"NULL"}', '{"{","\\"","\\\\"}', "{{a},{b}}", '[-1:0]={x," y "}'), True),
    "numeric[]": ("numeric[]", _of("{NaN,1.00,1.0}", "{}", "{{0}}"), True),
    "timestamptz[]": ("timestamptz[]", _of("{infinity}", '{"2024-01-01 00:00:00+05",NULL}'), True),
    "jsonb[]": ("jsonb[]", _of('{"{\\"a\\": 1}",NULL}', "{}"), False),
    "bytea[]": ("bytea[]", _of('{"\\\\x00ff",NULL,"\\\\x"}', "{}"), False),
}

# With the types that schema_plan makes in each database, under the schema "u t".
LABELS = ["new", "it's \"gone\"", "A", "a", " ", "Ünï", "x,y"]
USER_TYPES = [
    ('CREATE SCHEMA "u t"', None),
    ('CREATE TYPE "u t".mood AS ENUM (%s)' % ", ".join(lit(x) for x in LABELS), None),
    ('CREATE TYPE "u t"."order" AS ENUM (\'b\', \'a\', \'c\')', None),
    ('CREATE DOMAIN "u t".small AS int CHECK (value BETWEEN -1000000 AND 1000000)', None),
    ('CREATE DOMAIN "u t".smaller AS "u t".small DEFAULT 5', None),
    ('CREATE DOMAIN "u t".words AS text[]', None),
    ('CREATE DOMAIN "u t".state AS "u t".mood', None),
    ('CREATE TYPE "u t".pair AS (a int, "b b" text, m "u t".mood, l int[])', None),
    ('CREATE TYPE "u t".deep AS (p "u t".pair, ps "u t".pair[], n numeric)', None),
    ('CREATE TYPE "u t".span AS RANGE (subtype = float8)', None),
    ('CREATE TYPE "u t".tongue AS RANGE (subtype = text, collation = "C")', None),
    ('CREATE COLLATION "u t".nocase (provider = icu, locale = \'und-u-ks-level2\', deterministic = false)', None),
]


def _mood(rng):
    return lit(rng.choice(LABELS))


def pair(rng, more=0):
    """A value of "u t".pair, to which so many numbers were added."""
    return "ROW(%s, %s, %s, %s%s)::\"u t\".pair" % (
        rng.choice(["NULL", "1", "-5"]), rng.choice(["NULL", lit(words(rng))]), rng.choice(["NULL", _mood(rng)]),
        rng.choice(["NULL", "'{}'", "'{1,NULL}'"]), "".join(rng.choice([", NULL", ", 7", ", -1"]) for _ in range(more)))


def deep(rng, more=0):
    return "ROW(%s, ARRAY[%s], '1.0')::\"u t\".deep" % (pair(rng, more), pair(rng, more))


USER = {
    "mood": ('"u t".mood', _mood, True),
    "order": ('"u t"."order"', _of("a", "b", "c"), True),
    "mood[]": ('"u t".mood[]', lambda r: "ARRAY[%s, NULL]::\"u t\".mood[]" % _mood(r), True),
    "small": ('"u t".small', lambda r: str(r.randrange(-10**6, 10**6)), True),
    "smaller": ('"u t".smaller', lambda r: str(r.randrange(-10**6, 10**6)), True),
    "words": ('"u t".words', _of("{}", '{"a b",NULL}', "{{x}}"), False),
    "state": ('"u t".state', _mood, True),
    "pair": ('"u t".pair', pair, True),
    "pair[]": ('"u t".pair[]', lambda r: "ARRAY[%s, %s, NULL]" % (pair(r), pair(r)), False),
    "deep": ('"u t".deep', deep, False),
    "span": ('"u t".span', lambda r: lit(_range(-9, 0.25)(r)), True),
    "tongue": ('"u t".tongue', _of("empty", "[a,b)", '["",z]', "(,)"), True),
    "nocase": ('text COLLATE "u t".nocase', lambda r: lit(words(r)), True),
    "small[]": ('"u t".small[]', _of("{1,2}", "{}", "{NULL}"), True),
}

FROM_14 = {
    "int4multirange": ("int4multirange", _of("{}", "{[1,3),[5,8)}", "{(,)}"), True),
    "datemultirange": ("datemultirange", _of("{}", "{[2024-01-01,2024-02-01)}"), True),
}

# An extension that every owner of a database may create, and its types.
EXTENSIONS = {
    "hstore": {"hstore": ("public.hstore", _of("", "a=>1", '"x y"=>NULL', 'a=>"say \\"so\\"", b=>2'), True)},
    "citext": {"citext": ("public.citext", lambda r: lit(words(r)), True)},
    "ltree": {"ltree": ("public.ltree", _of("", "Top", "Top.Science.Astronomy"), True)},
}

# What ALTER TABLE .. TYPE makes of any value of a type: the target may still have rows that are gone at the source.
RETYPE = {
    "smallint": ("int", "bigint", "numeric", "text"), "int": ("bigint", "numeric", "text", "float8"), "bigint": ("numeric", "text"),
    "varchar": ("text",), "char": ("text", "varchar"), "date": ("text",), "timestamp": ("timestamptz",),
    "json": ("text",), "jsonb": ("json", "text"), "uuid": ("text",), "real": ("float8",), "numeric": ("text",),
    "mood": ("text",), "small": ("int", "bigint"), "int[]": ("text",), "inet": ("text",),
}

NAMES = ["select", "user", "a b", 'quo"ted', "it's", "dot.ted", "semi;colon", "$1", "%s", "100%", "über", "new\nline", "tab\there",
         "back\\slash", '"; DROP TABLE x; --', "{}", "NULL", "key", "k1", "xid", "op", "old", "new", "n", "r", "v", "s", "row", "position",
         " lead", "trail ", "UPPER", "upper", "日本", "🦌", "n" * 63, "ß" * 31, "a,b", "(x)", "rebeco", "log_1", "table", "values", "excluded"]


def all_types(major, extensions):
    found = {**TYPES, **USER}
    if major >= 14:
        found.update(FROM_14)
    for e in extensions:
        found.update(EXTENSIONS[e])
    return found
