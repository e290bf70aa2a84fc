"""From a seed, a plan: a random schema and what random sessions do to it. Pure data, no server.

A plan is a dict that JSON can hold:
  config   options of the sync
  target_role   rds, or plain: may not switch triggers and foreign keys off
  setup    statements that make the schema at the source, in order
  target_setup  when the target has tables of its own before: statements after those of setup
  compare  the tables that are not simply equal at both ends, and how they are (schema_shape.py)
  rounds   each: sessions (lists of transactions: {"sql": [..], "end": COMMIT or ROLLBACK}) that run side by
           side, and events for the daemon and for both ends' definitions that happen meanwhile
Every statement names the tables that it needs (numbers), so that the shrinker can take a table out of a
plan. Statements may fail, for the data is random: then the transaction goes on after a savepoint, or ends."""

import random

from schema_kinds import Kinds
from schema_shape import Shaping
from schema_values import (EXTENSIONS, LABELS, NAMES, RETYPE, USER_TYPES, all_types, lit, q)


class Column:
    def __init__(self, name, kind, make):
        self.name, self.kind, self.make = name, kind, make
        self.not_null = False
        self.is_fixed = False  # generated, or an identity ALWAYS: no statement sets it
        self.is_bound = False  # others depend on it: it is neither dropped nor retyped
        self.is_always = False  # an identity that no UPDATE may set


class Table:
    def __init__(self, number, schema, name):
        self.number, self.schema, self.name = number, schema, name
        self.columns, self.key = [], []
        self.uniques = []        # columns of a second unique index, one each
        self.leaves = []         # partitions that are written directly: SQL names
        self.part = None         # the column that is partitioned by
        self.is_deferrable = False
        self.detached = None     # a partition that was taken off: (name, bounds)
        self.is_unlogged = False
        self.parent = None       # of an inheritance child
        self.is_shaped = False   # see schema_shape.py
        self.has_extras = False  # indexes, triggers and policies beside its key
        self.of_type = None      # of a typed table
        self.view = None         # by which it is written, too
        self.has_rules = False
        self.is_fired = False    # its triggers are to fire at the target
        self.only_at = None      # of a two-way sync: the one end that writes it

    @property
    def sql(self):
        return f"{q(self.schema)}.{q(self.name)}"

    def column(self, name):
        return next(c for c in self.columns if c.name == name)

    def free(self):
        return [c for c in self.columns if c.name not in self.key and not c.is_bound and not c.is_fixed]


class Generator(Shaping, Kinds):
    def __init__(self, seed, source=15, target=15):
        self.rng = random.Random(f"schema {seed}")
        self.majors = source, target
        self.target_role = "plain" if self.chance(0.3) else "rds"
        self.compare, self.at_target = [], []
        self.names_given = set()
        self.tables = []
        self.setup = []
        self.labels = list(LABELS)
        extensions = [e for e in EXTENSIONS if self.rng.random() < 0.12]
        self.types = all_types(min(source, target), extensions)
        self.follow_pair()
        for e in extensions:
            self.add(f"CREATE EXTENSION {e} SCHEMA public")
        for text, _ in USER_TYPES:
            self.add(text)

    def add(self, sql, *tables):
        self.setup.append({"sql": sql, "tables": [t.number for t in tables]})

    def chance(self, p):
        return self.rng.random() < p

    def name(self, scope, plain):
        """A name that is new in its scope; a hostile one now and then."""
        name = self.rng.choice(NAMES) if self.chance(0.35) else plain
        while (scope, name) in self.names_given or scope == "schema" and name == "rebeco":  # that is refused
            name = (plain + "_%d" % self.rng.randrange(10**4))
        self.names_given.add((scope, name))
        return name

    def value(self, column):
        if not column.not_null and self.chance(0.12):
            return "NULL"
        return f"{column.make(self.rng)}::{self.types[column.kind][0].split(' COLLATE')[0]}"

    # ------------------------------------------------------------------ the schema

    def new_column(self, t, kind=None, key=False):
        if kind is None:
            kind = self.rng.choice([k for k, (_, _, is_key) in self.types.items() if is_key or not key])
        c = Column(self.name(t.number, f"c{len(t.columns)}"), kind, self.types[kind][1])
        t.columns.append(c)
        return c

    def make_schema(self):
        schemas = ["public"] + [self.name("schema", f"s{i}") for i in range(self.rng.randrange(3))]
        for s in schemas[1:]:
            self.add(f"CREATE SCHEMA {q(s)}")
        makers = [(self.make_plain, 10), (self.make_partitioned, 4), (self.make_inherited, 1), (self.make_typed, 1)]
        for _ in range(self.rng.randint(2, 5)):
            t = self.new_table(self.rng.choice(schemas))
            self.rng.choices([m for m, _ in makers], [w for _, w in makers])[0](t)
        for t in list(self.tables):
            self.add_constraints(t)

    def new_table(self, schema):
        t = Table(len(self.tables), schema, self.name(("relation", schema), f"t{len(self.tables)}"))
        self.tables.append(t)
        return t

    def key_columns(self, t, count):
        if self.chance(0.5):  # as applications have it: numbers
            c = self.new_column(t, self.rng.choice(["int", "bigint", "int", "uuid"]))
            c.not_null = True
            t.key.append(c.name)
            count -= 1
        for _ in range(count):
            c = self.new_column(t, key=True)
            c.not_null = True
            t.key.append(c.name)

    def definition(self, t, c):
        text = f"{q(c.name)} {self.types[c.kind][0]}"
        if c.not_null:
            text += " NOT NULL"
        elif not c.is_fixed and self.chance(0.15):
            text += f" DEFAULT {self.value(c)}"
        return text

    def more_columns(self, t):
        lines = []
        if self.chance(0.15):
            lines.append(f"{q(self.filler(t))} text")  # dropped below: numbers of columns differ between ends
        for _ in range(self.rng.choice([0, 1, 2, 3, 5, 8])):
            c = self.new_column(t)
            c.not_null = self.chance(0.25)
            lines.append(self.definition(t, c))
        if self.chance(0.2):
            c = self.new_column(t, "bigint")
            c.is_fixed = c.is_bound = True
            always = c.is_always = self.chance(0.5)
            lines.append(f"{q(c.name)} bigint GENERATED {'ALWAYS' if always else 'BY DEFAULT'} AS IDENTITY")
        numbers = [c for c in t.columns if c.kind in ("int", "smallint") and not c.is_fixed and c.name != t.part]
        if numbers and self.chance(0.4):
            base = self.rng.choice(numbers)
            base.is_bound = True
            c = self.new_column(t, "text")
            c.is_fixed = c.is_bound = True
            stored = "STORED" if min(self.majors) < 18 or self.chance(0.5) else "VIRTUAL"
            lines.append(f"{q(c.name)} text GENERATED ALWAYS AS ('g' || {q(base.name)}) {stored}")
        return lines

    def filler(self, t):
        t.filler = self.name(t.number, "filler")
        return t.filler

    def key_clause(self, t, plain=False):
        """The key as a table constraint, or None when an index comes after, or nothing."""
        if not t.key:
            return None
        columns = ", ".join(q(k) for k in t.key)
        how = self.rng.random()
        if how < 0.65 or t.part or plain:
            return f"PRIMARY KEY ({columns})"
        if how < 0.72:
            spare = [c.name for c in t.columns if c.name not in t.key and self.types[c.kind][2] and not c.is_fixed]
            if spare:
                name = self.rng.choice(spare)
                t.column(name).is_bound = True
                return f"PRIMARY KEY ({columns}) INCLUDE ({q(name)})"
            return f"PRIMARY KEY ({columns})"
        if how < 0.82:
            t.is_deferrable = True
            return f"PRIMARY KEY ({columns}) DEFERRABLE INITIALLY {self.rng.choice(['DEFERRED', 'IMMEDIATE'])}"
        if how < 0.9:
            return f"UNIQUE ({columns})"
        return None

    def finish_table(self, t, lines, suffix=""):
        key = self.key_clause(t)
        body = ",\n  ".join(lines + ([key] if key else []))
        t.is_unlogged = not suffix and self.chance(0.03)
        kind = "CREATE UNLOGGED TABLE" if t.is_unlogged else "CREATE TABLE"
        self.add(f"{kind} {t.sql} (\n  {body}){suffix}", t)
        if key is None and t.key:
            self.add(f"CREATE UNIQUE INDEX ON {t.sql} ({', '.join(q(k) for k in t.key)})", t)
        if getattr(t, "filler", None):
            self.add(f"ALTER TABLE {t.sql} DROP COLUMN {q(t.filler)}", t)

    def make_plain(self, t, keyless=0.12):
        count = self.rng.choices([1, 2, 3, 5, 16], [60, 20, 10, 4, 2])[0]
        self.key_columns(t, count)
        lines = [self.definition(t, c) for c in t.columns]
        lines += self.more_columns(t)
        if self.chance(keyless):
            t.key = []
        self.finish_table(t, lines)

    def make_partitioned(self, t):
        self.key_columns(t, self.rng.choice([1, 1, 2]))
        c = self.new_column(t, "smallint")
        c.name, c.not_null, c.is_bound = c.name, True, True
        c.make = lambda rng: str(rng.randrange(0, 6))
        t.part = c.name
        t.key.append(c.name)
        self.rng.shuffle(t.key)
        lines = [self.definition(t, x) for x in t.columns]
        lines += self.more_columns(t)
        how = self.rng.choice(["LIST", "RANGE", "HASH"])
        if self.chance(0.08):
            t.key = []
        self.finish_table(t, lines, f" PARTITION BY {how} ({q(c.name)})")
        bounds = {"LIST": ["IN (0)", "IN (1, 2)", "IN (3)", None], "RANGE": ["FROM (MINVALUE) TO (1)", "FROM (1) TO (3)", "FROM (3) TO (4)", None],
                  "HASH": ["WITH (MODULUS 2, REMAINDER 0)", "WITH (MODULUS 4, REMAINDER 1)", "WITH (MODULUS 4, REMAINDER 3)"]}[how]
        t.bounds = [self.add_partition(t, b, i) for i, b in enumerate(bounds)]

    def add_partition(self, t, bound, i):
        name = f"{q(t.schema)}.{q(self.name(('relation', t.schema), f't{t.number}_p{i}'))}"
        clause = "DEFAULT" if bound is None else f"FOR VALUES {bound}"
        if i == 1 and self.chance(0.4):  # a second level
            self.add(f"CREATE TABLE {name} PARTITION OF {t.sql} {clause} PARTITION BY HASH ({q(t.part)})", t)
            for r in range(2):
                leaf = f"{q(t.schema)}.{q(self.name(('relation', t.schema), f't{t.number}_p{i}_{r}'))}"
                self.add(f"CREATE TABLE {leaf} PARTITION OF {name} FOR VALUES WITH (MODULUS 2, REMAINDER {r})", t)
                t.leaves.append(leaf)
        elif i == 2 and self.chance(0.4):  # with columns of other numbers
            columns = [c for c in t.columns]
            if not any(c.is_fixed for c in columns):
                rows = ", ".join(f"{q(c.name)} {self.types[c.kind][0]}{' NOT NULL' if c.not_null else ''}" for c in reversed(columns))
                self.add(f"CREATE TABLE {name} (gone int, {rows}); ALTER TABLE {name} DROP COLUMN gone", t)
                self.add(f"ALTER TABLE {t.sql} ATTACH PARTITION {name} {clause}", t)
            else:
                self.add(f"CREATE TABLE {name} PARTITION OF {t.sql} {clause}", t)
            t.leaves.append(name)
        else:
            self.add(f"CREATE TABLE {name} PARTITION OF {t.sql} {clause}", t)
            t.leaves.append(name)
        return name, clause

    def make_inherited(self, t):
        self.make_plain(t, keyless=0)
        for c in t.columns:
            c.is_bound = True
        child = self.new_table(t.schema)
        child.parent = t
        child.key = list(t.key)
        child.columns = [c for c in t.columns if not c.is_fixed]
        self.names_given |= {(child.number, name) for scope, name in self.names_given if scope == t.number}
        extra = self.new_column(child)
        keys = ", ".join(q(k) for k in child.key)
        self.add(f"CREATE TABLE {child.sql} ({self.definition(child, extra)}, PRIMARY KEY ({keys})) INHERITS ({t.sql})", t, child)

    # ------------------------------------------------------------------ constraints, triggers

    def add_constraints(self, t):
        before = len(self.setup)
        self.add_indexes(t)
        self.add_kinds(t)
        # A foreign key that points here is found at its own table.
        t.has_extras = len(self.setup) > before

    def add_indexes(self, t):
        spare = [c for c in t.columns if c.name not in t.key and not c.is_fixed and self.types[c.kind][2]]
        if spare and not t.part and self.chance(0.3):
            c = self.rng.choice(spare)
            c.is_bound = True
            t.uniques.append(c.name)
            form = self.rng.choice(["ADD UNIQUE ({c})", "ADD UNIQUE ({c}) DEFERRABLE INITIALLY DEFERRED", "ADD UNIQUE ({c})"])
            if min(self.majors) >= 15 and self.chance(0.2):
                form = "ADD UNIQUE NULLS NOT DISTINCT ({c})"
            self.add(f"ALTER TABLE {t.sql} " + form.format(c=q(c.name)), t)
        ranges = [c for c in t.columns if c.kind in ("int4range", "tstzrange", "span") and not c.is_fixed]
        if ranges and not t.part and self.chance(0.7):
            c = ranges[0]
            c.is_bound = True
            self.add(f"ALTER TABLE {t.sql} ADD EXCLUDE USING gist ({q(c.name)} WITH &&)", t)
        texts = [c for c in t.columns if c.kind in ("text", "key text", "varchar") and not c.is_fixed and c.name not in t.key]
        if texts and self.chance(0.2):
            c = self.rng.choice(texts)
            c.is_bound = True
            self.add(f"CREATE UNIQUE INDEX ON {t.sql} (md5({q(c.name)}::text)" + (f", {q(t.part)}" if t.part else "") + ")"
                     + (f" WHERE {q(c.name)} <> ''" if self.chance(0.4) else ""), t)
        if self.chance(0.35) and not t.of_type:
            self.add_foreign_key(t)
        # A target whose role may not switch triggers off runs them on what arrives.
        if self.chance(0.12) and t.parent is None and not t.part and self.target_role == "rds" and self.majors[1] >= 15:
            self.add_trigger(t)
        if self.chance(0.05) and not t.part and t.parent is None:
            self.add(f"ALTER TABLE {t.sql} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {t.sql} USING (true)", t)

    def can_be_referred(self, o):
        # Another row under the same key would have to be removed for its identity, which foreign keys forbid: it waits for a person.
        return (not o.is_unlogged and 1 <= len(o.key) <= 2 and not o.is_deferrable and o.parent is None
                and not any(o.column(k).kind == "state" for k in o.key)
                and not (self.target_role == "plain" and any(c.is_always for c in o.columns)))

    def add_foreign_key(self, t):
        others = [o for o in self.tables if self.can_be_referred(o)]
        if not others or t.parent is not None or any(x.parent is t for x in self.tables):
            return
        self.refer(t, self.rng.choice(others))

    def refer(self, t, o):
        columns = []
        for k in list(o.key):
            c = self.new_column(t, o.column(k).kind)
            c.is_bound = o.column(k).is_bound = True
            c.make = self.reference(o, k)
            c.needs = o.number
            columns.append(c)
            self.add(f"ALTER TABLE {t.sql} ADD COLUMN {q(c.name)} {self.types[c.kind][0]}", t)
        action = ["NO ACTION", "CASCADE", "SET NULL", "RESTRICT", "SET DEFAULT"]
        ends = ["", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"] + ([] if t.part or o.part else [" NOT VALID"])
        self.add(f"ALTER TABLE {t.sql} ADD FOREIGN KEY ({', '.join(q(c.name) for c in columns)}) REFERENCES {o.sql} "
                 f"({', '.join(q(k) for k in o.key)}) ON DELETE {self.rng.choice(action)} ON UPDATE {self.rng.choice(action)}"
                 + self.rng.choice(ends), t, o)

    def reference(self, o, name):
        """The key of a row that is there. Few different ones where the key has several columns: they must be one row's."""
        rows = 100 if len(o.key) == 1 else 2
        key = ", ".join(q(k) for k in o.key)
        return lambda rng: f"(SELECT {q(name)} FROM {o.sql} ORDER BY md5(ROW({key})::text || '{rng.randrange(rows)}') LIMIT 1)"

    def add_trigger(self, t):
        texts = [c for c in t.columns if c.kind in ("text", "key text") and c.name not in t.key and not c.is_fixed and not c.not_null
                 and c.name not in t.uniques]
        if not texts:
            return
        texts[0].is_bound = True
        name = f'{q(t.schema)}."touch {t.number}"'
        self.add(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN "
                 f"NEW.{q(texts[0].name)} := clock_timestamp()::text; RETURN NEW; END $f$", t)
        self.add(f"CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON {t.sql} FOR EACH ROW{self.trigger_when()} EXECUTE FUNCTION {name}()", t)

    def trigger_when(self):
        return ""

    # ------------------------------------------------------------------ statements

    def statement(self, sql, *tables):
        needs = {t.number for t in tables}
        for t in tables:
            needs |= {c.needs for c in t.columns if hasattr(c, "needs")}
        return {"sql": sql, "tables": sorted(needs)}

    def pick(self, t, count, name=None):
        """A condition that is true for `count` rows, the same ones for the same data."""
        salt = self.rng.randrange(10**6)
        return (f"(tableoid, ctid) IN (SELECT zz.tableoid, zz.ctid FROM {name or t.sql} zz "
                f"ORDER BY md5(ROW(zz.*)::text || '{salt}') LIMIT {count})")

    def some_name(self, t):
        return self.rng.choice(t.leaves) if t.leaves and self.chance(0.25) else t.sql

    def insert(self, t, rows=None):
        columns = [c for c in t.columns if not c.is_fixed and (c.not_null or c.name in t.key or self.chance(0.8))]
        tuples = ",\n  ".join("(" + ", ".join(self.value(c) for c in columns) + ")"
                              for _ in range(rows or self.rng.choice([1, 1, 2, 5, 20])))
        end = self.rng.choice(["", self.unless_there(t), self.unless_there(t)])
        updatable = [c for c in columns if c.name not in t.key]
        if updatable and t.key and not t.is_deferrable and not t.has_rules and self.chance(0.25):
            c = self.rng.choice(updatable)
            end = f" ON CONFLICT ({', '.join(q(k) for k in t.key)}) DO UPDATE SET {q(c.name)} = excluded.{q(c.name)}"
        return self.statement(f"INSERT INTO {self.some_name(t) if not end else t.sql} ({', '.join(q(c.name) for c in columns)}) VALUES\n  {tuples}{end}", t)

    def unless_there(self, t):
        return "" if t.has_rules else " ON CONFLICT DO NOTHING"

    def update(self, t):
        free = [c for c in t.columns if not c.is_fixed and c.name not in t.key]
        if not free:
            return self.insert(t)
        columns = self.rng.sample(free, min(len(free), self.rng.choice([1, 1, 2, 4])))
        sets = ", ".join(f"{q(c.name)} = {self.value(c)}" for c in columns)
        if self.chance(0.1):
            sets = f"{q(columns[0].name)} = {q(columns[0].name)}"  # nothing changes
        name = self.some_name(t)
        where = "" if self.chance(0.08) else f" WHERE {self.pick(t, self.rng.choice([1, 1, 2, 10]), name)}"
        return self.statement(f"UPDATE {name} SET {sets}{where}", t)

    def delete(self, t):
        name = self.some_name(t)
        only = "ONLY " if t.parent is None and not t.part and self.chance(0.1) else ""
        return self.statement(f"DELETE FROM {only}{name} WHERE {self.pick(t, self.rng.choice([1, 1, 2, 10]), only + name)}", t)

    def change_key(self, t):
        if not t.key:
            return self.double(t)
        c = t.column(self.rng.choice(t.key))
        return self.statement(f"UPDATE {t.sql} SET {q(c.name)} = {self.value(c)} WHERE {self.pick(t, self.rng.choice([1, 1, 3]))}", t)

    def shift_key(self, t):
        """Every number moves, over the others where the key lets it."""
        numbers = [k for k in t.key if t.column(k).kind in ("int", "bigint", "numeric", "smallint", "float8", "small") and k != t.part]
        if not numbers:
            return self.change_key(t)
        k = q(self.rng.choice(numbers))
        new = self.rng.choice([f"{k} + 1", f"{k} - 1", f"- {k}", f"{k} + 1000"])
        return self.statement(f"UPDATE {t.sql} SET {k} = {new}", t)

    def same_key(self, t):
        """Another text of an equal key: 1.0 and 1.00, -0 and 0, 'A' and 'a' where the collation says so."""
        for k in t.key:
            kind = t.column(k).kind
            if kind == "numeric":
                return self.statement(f"UPDATE {t.sql} SET {q(k)} = {q(k)} * 1.00 WHERE {self.pick(t, 5)}", t)
            if kind in ("nocase", "citext"):
                return self.statement(f"UPDATE {t.sql} SET {q(k)} = upper({q(k)}::text) WHERE {self.pick(t, 5)}", t)
            if kind in ("float8", "real"):
                return self.statement(f"UPDATE {t.sql} SET {q(k)} = -{q(k)} WHERE {q(k)} = 0", t)
        return self.change_key(t)

    def replace(self, t):
        """Rows are deleted, and others come under the same keys in the same transaction."""
        if not t.key:
            return self.double(t)
        free = [c for c in t.columns if not c.is_fixed]
        names = ", ".join(q(c.name) for c in free)
        values = ", ".join("d." + q(c.name) if c.name in t.key or c.name in t.uniques else self.value(c) for c in free)
        return self.statement(f"CREATE TEMP TABLE d ON COMMIT DROP AS SELECT {names} FROM {t.sql} WHERE {self.pick(t, 3)}; "
                              f"DELETE FROM {t.sql} t USING d WHERE ({', '.join('t.' + q(k) for k in t.key)}) = "
                              f"({', '.join('d.' + q(k) for k in t.key)}); "
                              f"INSERT INTO {t.sql} ({names}) SELECT {values} FROM d", t)

    def double(self, t):
        """Rows that are there come once more, where nothing forbids it."""
        names = ", ".join(q(c.name) for c in t.columns if not c.is_fixed)
        return self.statement(f"INSERT INTO {t.sql} ({names}) SELECT {names} FROM {t.sql} WHERE {self.pick(t, 3)}{self.unless_there(t)}", t)

    def recycle(self, t):
        """One statement that deletes and inserts."""
        names = ", ".join(q(c.name) for c in t.columns if not c.is_fixed)
        values = ", ".join(q(c.name) if c.name in t.key or self.chance(0.7) else self.value(c) for c in t.columns if not c.is_fixed)
        return self.statement(f"WITH gone AS (DELETE FROM {t.sql} WHERE {self.pick(t, 3)} RETURNING *) "
                              f"INSERT INTO {t.sql} ({names}) SELECT {values} FROM gone{self.unless_there(t)}", t)

    def merge(self, t):
        free = [c for c in t.columns if not c.is_fixed and c.name not in t.key]
        if not free or self.majors[0] < 15:
            return self.recycle(t)
        c = self.rng.choice(free)
        return self.statement(f"MERGE INTO {t.sql} t USING (SELECT tableoid AS o, ctid AS i, * FROM {t.sql} WHERE {self.pick(t, 6)}) s ON (t.tableoid, t.ctid) = (s.o, s.i) "
                              f"WHEN MATCHED AND md5(s::text) < '5' THEN DELETE WHEN MATCHED THEN UPDATE SET {q(c.name)} = {self.value(c)}", t)

    def swap(self, t):
        """Two rows trade their keys, or their values under a second unique index."""
        if not t.key:
            return self.double(t)
        k = self.rng.choice(t.uniques) if t.uniques and self.chance(0.6) else self.rng.choice(t.key)
        c = q(k)
        # By way of a third value where the index wants it.
        return self.statement(
            f"CREATE TEMP TABLE w ON COMMIT DROP AS SELECT tableoid AS o, ctid AS i, {c} AS v, row_number() OVER (ORDER BY {c}) AS n "
            f"FROM {t.sql} WHERE {self.pick(t, 2)}; "
            f"UPDATE {t.sql} t SET {c} = {self.value(t.column(k))} FROM w WHERE w.n = 1 AND (t.tableoid, t.ctid) = (w.o, w.i); "
            f"UPDATE {t.sql} t SET {c} = (SELECT v FROM w WHERE n = 1) FROM w WHERE w.n = 2 AND (t.tableoid, t.ctid) = (w.o, w.i); "
            f"UPDATE {t.sql} t SET {c} = (SELECT v FROM w WHERE n = 2) WHERE (tableoid, ctid) IN (SELECT zz.tableoid, zz.ctid FROM {t.sql} zz "
            f"WHERE xmin::text::bigint = txid_current() % 4294967296 ORDER BY zz.ctid LIMIT 1)", t)

    def truncate(self, t):
        more = [o for o in self.writable() if o is not t and o.parent is None and self.chance(0.1)]
        names = ", ".join(o.sql for o in [t, *more])
        if t.leaves and self.chance(0.4):
            names = self.rng.choice(t.leaves)
        return self.statement(f"TRUNCATE {names}{self.rng.choice(['', ' RESTART IDENTITY'])}{self.rng.choice(['', ' CASCADE', ' CASCADE'])}", t, *more)

    def move_partition(self, t):
        if not t.part:
            return self.update(t)
        return self.statement(f"UPDATE {t.sql} SET {q(t.part)} = {self.rng.randrange(6)} WHERE {self.pick(t, 4)}", t)

    def writable(self):
        return self.tables

    def one(self):
        t = self.rng.choice(self.writable())
        makers = [(self.insert, 30), (self.update, 30), (self.delete, 10), (self.change_key, 8), (self.shift_key, 5), (self.same_key, 4),
                  (self.replace, 6), (self.swap, 5), (self.truncate, 3), (self.move_partition, 5), (self.recycle, 3), (self.merge, 3), (self.copy_from, 4),
                  (self.write_view, 30 if t.view else 0)]
        return self.rng.choices([m for m, _ in makers], [w for _, w in makers])[0](t)

    def transaction(self):
        """Statements with savepoints between them; `try` marks those that may fail alone."""
        items = []
        for _ in range(self.rng.choice([1, 1, 2, 3, 5])):
            if self.chance(0.15):
                inner = [self.one() for _ in range(self.rng.randint(1, 2))]
                items += [{"savepoint": True}, *inner, {"savepoint": False, "rollback": self.chance(0.5)}]
            else:
                items.append(self.one())
        end = "ROLLBACK" if self.chance(0.1) else "COMMIT"
        # Who has used a temporary table cannot prepare.
        if self.chance(0.12) and not any("TEMP TABLE" in i.get("sql", "") for i in items):
            end = "PREPARE TRANSACTION"
        return {"items": items, "end": end, "pause": round(self.rng.uniform(0, 0.03), 3)}

    # ------------------------------------------------------------------ definitions that change at both ends

    def ddl(self):
        makers = [(self.add_column, 5), (self.drop_column, 4), (self.rename_column, 4), (self.retype_column, 4), (self.trade_names, 1),
                  (self.new_label, 2), (self.rename_label, 1), (self.rename_table, 2), (self.detach, 3), (self.attach, 4), (self.new_partition, 2),
                  (self.new_table_later, 3), (self.drop_table, 1), (self.loosen, 1), (self.key_of_more, 1), (self.rewrite, 1),
                  (self.alter_pair, 1), (self.rename_attribute, 1)]
        tables = [t for t in self.tables if t.parent is None and not t.is_shaped and not any(o.parent is t for o in self.tables)]
        if not tables:
            return None
        t = self.rng.choice(tables)
        if t.of_type:
            makers = [(self.alter_row_type, 4), (self.alter_pair, 1), (self.rename_table, 1), (self.rewrite, 1)]
        return self.rng.choices([m for m, _ in makers], [w for _, w in makers])[0](t)

    def both(self, sql, *tables, then=None, first="source"):
        """The same at both ends; `then` is said in the source's transaction only."""
        return {"do": "ddl", "by_command": then is None and self.chance(0.25), "first": first, "source": [sql] + ([then["sql"]] if then else []), "target": [sql],
                "tables": [t.number for t in tables], "pause": round(self.rng.choice([0, 0, 0.05, 0.4]), 2)}

    def add_column(self, t):
        c = self.new_column(t)
        how = self.rng.random()
        sql_type = self.types[c.kind][0]
        if how < 0.5:
            text = f"{q(c.name)} {sql_type}"
        elif how < 0.8:
            c.not_null = True
            text = f"{q(c.name)} {sql_type} NOT NULL DEFAULT {self.value(c)}"
        elif how < 0.9:
            c.kind, c.make = "float8", self.types["float8"][1]
            text = f"{q(c.name)} double precision DEFAULT random()"
        else:
            c.kind, c.make, c.is_fixed, c.is_bound = "bigint", self.types["bigint"][1], True, True
            text = f"{q(c.name)} bigint GENERATED BY DEFAULT AS IDENTITY"
        then = self.update(t) if self.chance(0.3) else None
        # What the data may refuse is tried at the source first.
        return self.both(f"ALTER TABLE {t.sql} ADD COLUMN {text}", t, then=then, first="source" if then else self.rng.choice(["source", "target"]))

    def drop_column(self, t):
        if not t.free() or len(t.columns) < 3:
            return None
        c = self.rng.choice(t.free())
        t.columns.remove(c)
        return self.both(f"ALTER TABLE {t.sql} DROP COLUMN {q(c.name)}", t)

    def rename_column(self, t):
        c = self.rng.choice([c for c in t.columns if c.name != t.part] or t.columns)
        if hasattr(c, "needs") or c.is_bound:
            return None
        new = self.name(t.number, "renamed")
        old, c.name = c.name, new
        t.key = [new if k == old else k for k in t.key]
        t.uniques = [new if k == old else k for k in t.uniques]
        return self.both(f"ALTER TABLE {t.sql} RENAME COLUMN {q(old)} TO {q(new)}", t)

    def retype_column(self, t):
        able = [c for c in t.columns if c.kind in RETYPE and not c.is_bound and not c.is_fixed and c.name not in t.uniques and c.name != t.part]
        if not able:
            return None
        c = self.rng.choice(able)
        new = self.rng.choice([k for k in RETYPE[c.kind] if c.name not in t.key or self.types[k][2] or k == "text"])
        was = self.types[c.kind][0]
        c.kind, c.make = new, self.types[new][1]
        using = f"{q(c.name)}::text::{self.types[new][0]}" if self.chance(0.5) or "range" in was else f"{q(c.name)}::{self.types[new][0]}"
        drop = f"ALTER TABLE {t.sql} ALTER {q(c.name)} DROP DEFAULT; "
        return self.both(f"{drop}ALTER TABLE {t.sql} ALTER {q(c.name)} TYPE {self.types[new][0]} USING {using}", t)

    def trade_names(self, t):
        kinds = {}
        for c in t.free():
            kinds.setdefault((c.kind, c.not_null), []).append(c)
        pairs = [cs for cs in kinds.values() if len(cs) > 1]
        if not pairs:
            return None
        a, b = pairs[0][:2]
        return self.both(f"ALTER TABLE {t.sql} RENAME {q(a.name)} TO \"tmp name\"; ALTER TABLE {t.sql} RENAME {q(b.name)} TO {q(a.name)}; "
                         f"ALTER TABLE {t.sql} RENAME \"tmp name\" TO {q(b.name)}", t)

    def new_label(self, t):
        label = "label %d" % self.rng.randrange(10**4)
        where = self.rng.choice(["", f" BEFORE {lit(self.labels[0])}", f" AFTER {lit(self.labels[-1])}"])
        event = self.both(f"ALTER TYPE \"u t\".mood ADD VALUE {lit(label)}{where}", first=self.rng.choice(["source", "target"]))
        self.labels.append(label)
        return event

    def rename_label(self, t):
        i = self.rng.randrange(len(self.labels))
        if self.labels[i] in LABELS:
            return None
        old, self.labels[i] = self.labels[i], "renamed %d" % self.rng.randrange(10**4)
        return self.both(f"ALTER TYPE \"u t\".mood RENAME VALUE {lit(old)} TO {lit(self.labels[i])}")

    def rename_table(self, t):
        new = self.name(("relation", t.schema), "renamed")
        old, t.name = t.sql, new
        return self.both(f"ALTER TABLE {old} RENAME TO {q(new)}", t)

    def detach(self, t):
        if not t.part or t.detached or not t.leaves:
            return self.new_partition(t)
        t.detached = self.rng.choice([b for b in t.bounds if b[0] in t.leaves] or [None])
        if t.detached is None:
            return None
        t.leaves.remove(t.detached[0])
        return self.both(f"ALTER TABLE {t.sql} DETACH PARTITION {t.detached[0]}", t)

    def attach(self, t):
        if not t.part or not t.detached:
            return self.detach(t)
        name, clause = t.detached
        t.detached = None
        t.leaves.append(name)
        return self.both(f"ALTER TABLE {t.sql} ATTACH PARTITION {name} {clause}", t)

    def new_partition(self, t):
        """The old one is dropped with its rows, and made again."""
        if not t.part or t.detached or not t.leaves:
            return self.add_column(t)
        found = [b for b in t.bounds if b[0] in t.leaves]
        if not found:
            return None
        name, clause = self.rng.choice(found)
        return self.both(f"DROP TABLE {name}; CREATE TABLE {name} PARTITION OF {t.sql} {clause}", t)

    def new_table_later(self, t):
        before = len(self.setup)
        new = self.new_table(t.schema)
        self.make_plain(new)
        made = self.setup[before:]
        del self.setup[before:]
        rows = self.insert(new, 10)
        return self.both("; ".join(s["sql"] for s in made), new, then=rows)

    def drop_table(self, t):
        referred = any(getattr(c, "needs", None) == t.number for o in self.tables for c in o.columns)
        if referred or len(self.tables) < 3:
            return None
        self.tables.remove(t)
        return self.both(f"DROP TABLE {t.sql}", t)

    def loosen(self, t):
        able = [c for c in t.columns if c.not_null and c.name not in t.key and not c.is_fixed]
        if not able:
            return None
        c = self.rng.choice(able)
        c.not_null = False
        return self.both(f"ALTER TABLE {t.sql} ALTER {q(c.name)} DROP NOT NULL", t)

    def key_of_more(self, t):
        if t.part or t.is_deferrable or len(t.key) > 5 or not t.key and self.chance(0.5):
            return None
        able = [c for c in t.columns if c.not_null and c.name not in t.key and self.types[c.kind][2] and not c.is_fixed]
        if not able or any(getattr(c, "needs", None) == t.number for o in self.tables for c in o.columns):
            return None
        t.key = [*t.key, self.rng.choice(able).name]
        keys = ", ".join(q(k) for k in t.key)
        if len(t.key) == 1:
            return self.both(f"ALTER TABLE {t.sql} ADD PRIMARY KEY ({keys})", t)
        drop = (f"DO $$ DECLARE n name; BEGIN SELECT conname INTO n FROM pg_constraint WHERE conrelid = {lit(t.sql)}::regclass AND contype = 'p'; "
                f"EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', {lit(t.sql)}::regclass, n); END $$")
        return self.both(f"{drop}; ALTER TABLE {t.sql} ADD PRIMARY KEY ({keys})", t)

    def rewrite(self, t):
        return {"do": "source", "sql": self.rng.choice([f"VACUUM FULL {t.sql}", f"ANALYZE {t.sql}", f"VACUUM {t.sql}"]), "tables": [t.number]}

    # ------------------------------------------------------------------ rounds

    def config(self):
        rng = self.rng
        c = {"copy": {"streams": rng.choice([1, 2, 4]), "split_size": rng.choice(["64kB", "64kB", "256MB"])}}
        if self.chance(0.6):
            # Statement triggers do not see every change of a tree of tables: Rebeco refuses them there.
            has_trees = any(t.part or t.parent for t in self.tables)
            c["capture"] = rng.choice(["row", "auto" if has_trees else "statement"])
        if self.chance(0.3):
            c["apply"] = {"batch_bytes": "64kB"}
        if self.fired():
            c["tables"] = {"fire_triggers": self.fired()}
        return c

    def round(self, number):
        sessions = [[self.transaction() for _ in range(self.rng.randint(2, 7))] for _ in range(self.rng.choice([1, 2, 3]))]
        events = []
        # Definitions change when the first copy is over: before, the dump of the schema is under way.
        if number > 0:
            for _ in range(self.rng.choice([0, 1, 1, 2])):
                event = self.ddl()
                if event:
                    events.append(event)
            if self.chance(0.25):
                events.insert(self.rng.randrange(len(events) + 1), {"do": "wait"})
        daemon = self.rng.choice([None, None, "kill", "kill", "pause", "restart", "kick"])
        if daemon:
            at = self.rng.randrange(len(events) + 1)
            events.insert(at, {"do": daemon, "pause": round(self.rng.uniform(0, 0.4), 2)})
            if daemon == "pause":
                events.insert(self.rng.randint(at + 1, len(events)), {"do": "resume", "pause": 0})
        return {"sessions": sessions, "events": events}

    def plan(self):
        self.make_schema()
        for t in self.tables:
            for _ in range(self.rng.choice([0, 1, 2, 4])):
                s = self.insert(t, 20)
                self.setup.append({"sql": s["sql"], "tables": s["tables"], "may_fail": True})
        config = self.config()
        before = [s for s in self.setup if not s.get("may_fail")] if self.shape(config) else []
        return {"config": config, "target_role": self.target_role, "setup": self.setup, "compare": self.compare,
                "target_setup": before + self.at_target,
                "rounds": [self.round(i) for i in range(self.rng.randint(2, 4))]}


def make(seed, **how):
    return Generator(seed, **how).plan()
