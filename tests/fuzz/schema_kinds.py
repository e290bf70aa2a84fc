"""Tables and statements of the rarer kinds: typed tables, rules, triggers that are to fire at the target, composite
types that change, COPY. Parts of schema_plan.py."""

from schema_values import deep, pair, q


class Kinds:
    """Mixed into the generator: uses its rng, tables, types, add(), statement() and both()."""

    # ------------------------------------------------------------------ typed tables

    def make_typed(self, t):
        self.key_columns(t, self.rng.choice([1, 1, 2]))
        for _ in range(self.rng.choice([0, 1, 2, 4])):
            c = self.new_column(t)
            c.not_null = self.chance(0.25)
        t.of_type = f'"u t"."row {t.number}"'
        self.add(f"CREATE TYPE {t.of_type} AS ({', '.join(f'{q(c.name)} {self.types[c.kind][0]}' for c in t.columns)})", t)
        options = [f"{q(c.name)} WITH OPTIONS NOT NULL" for c in t.columns if c.not_null]
        self.add(f"CREATE TABLE {t.sql} OF {t.of_type} ({', '.join([*options, self.key_clause(t, plain=True)])})", t)

    def alter_row_type(self, t):
        """What a typed table is made of changes with its type only."""
        able = [c for c in t.free() if not c.not_null]
        if able and self.chance(0.3):
            c = self.rng.choice(able)
            t.columns.remove(c)
            return self.both(f"ALTER TYPE {t.of_type} DROP ATTRIBUTE {q(c.name)} CASCADE", t)
        if able and self.chance(0.3):
            c = self.rng.choice(able)
            old, c.name = c.name, self.name(t.number, "renamed")
            return self.both(f"ALTER TYPE {t.of_type} RENAME ATTRIBUTE {q(old)} TO {q(c.name)} CASCADE", t)
        c = self.new_column(t)
        return self.both(f"ALTER TYPE {t.of_type} ADD ATTRIBUTE {q(c.name)} {self.types[c.kind][0]} CASCADE", t)

    # ------------------------------------------------------------------ composite types

    def follow_pair(self):
        """Values of the composite types have as many parts as the type has at that time."""
        self.attributes = []
        self.types["pair"] = (self.types["pair"][0], lambda rng: pair(rng, len(self.attributes)), True)
        self.types["pair[]"] = (self.types["pair[]"][0], lambda rng: f"ARRAY[{pair(rng, len(self.attributes))}, NULL]", False)
        self.types["deep"] = (self.types["deep"][0], lambda rng: deep(rng, len(self.attributes)), False)

    def alter_pair(self, t):
        self.attributes.append(f"more {len(self.attributes)}")
        return self.both(f'ALTER TYPE "u t".pair ADD ATTRIBUTE {q(self.attributes[-1])} int')

    def rename_attribute(self, t):
        if not self.attributes:
            return self.alter_pair(t)
        old, self.attributes[-1] = self.attributes[-1], f"renamed {self.rng.randrange(10**4)}"
        return self.both(f'ALTER TYPE "u t".pair RENAME ATTRIBUTE {q(old)} TO {q(self.attributes[-1])}')

    # ------------------------------------------------------------------ rules and views

    def add_rules(self, t):
        """What they do at the source arrives; at the target, which has them too, they must do nothing."""
        t.has_rules = True
        noted = f'public."noted {t.number}"'
        word = f"{q(t.key[0] if t.key else t.columns[0].name)}::text"
        self.add(f"CREATE TABLE {noted} (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text)", t)
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            if self.chance(0.6):
                self.add(f"CREATE RULE note_{event.lower()} AS ON {event} TO {t.sql} DO ALSO INSERT INTO {noted} (what) "
                         f"VALUES ('{event} ' || {row}.{word})", t)
        numbers = [c for c in t.columns if c.kind in ("int", "bigint") and not c.is_fixed]
        if numbers and self.chance(0.4):
            numbers[0].is_bound = True
            self.add(f"CREATE RULE not_these AS ON INSERT TO {t.sql} WHERE NEW.{q(numbers[0].name)} % 5 = 0 DO INSTEAD NOTHING", t)

    def add_view(self, t):
        """A view that is written by way of rules."""
        if any(t.column(k).kind == "state" for k in t.key):
            return  # the server has no operator for a domain over an enum
        columns = [c for c in t.columns if not c.is_fixed]
        names = ", ".join(q(c.name) for c in columns)
        t.view = f'public."view of {t.number}"'
        for c in t.columns:
            c.is_bound = True
        match = " AND ".join(f"{q(k)} = OLD.{q(k)}" for k in t.key)
        self.add(f"CREATE VIEW {t.view} AS SELECT {names} FROM {t.sql}", t)
        self.add(f"CREATE RULE put AS ON INSERT TO {t.view} DO INSTEAD INSERT INTO {t.sql} AS r ({names}) "
                 f"VALUES ({', '.join('NEW.' + q(c.name) for c in columns)})", t)
        self.add(f"CREATE RULE take AS ON DELETE TO {t.view} DO INSTEAD DELETE FROM {t.sql} AS r WHERE {match}", t)
        self.add(f"CREATE RULE change AS ON UPDATE TO {t.view} DO INSTEAD UPDATE {t.sql} AS r SET "
                 f"({names}) = ROW({', '.join('NEW.' + q(c.name) for c in columns)}) WHERE {match}", t)

    def write_view(self, t):
        if not t.view:
            return self.update(t)
        columns = [c for c in t.columns if not c.is_fixed]
        some = f"{q(t.key[0])} IN (SELECT {q(t.key[0])} FROM {t.sql} ORDER BY md5({q(t.key[0])}::text || '{self.rng.randrange(99)}') LIMIT 2)"
        how = self.rng.random()
        if how < 0.4:
            return self.statement(f"INSERT INTO {t.view} ({', '.join(q(c.name) for c in columns)}) VALUES ({', '.join(self.value(c) for c in columns)})", t)
        if how < 0.6:
            return self.statement(f"DELETE FROM {t.view} WHERE {some}", t)
        c = self.rng.choice(columns)
        return self.statement(f"UPDATE {t.view} SET {q(c.name)} = {self.value(c)} WHERE {some}", t)

    # ------------------------------------------------------------------ triggers that are to fire

    def add_fired(self, t):
        """A trigger that does no harm: what counts is that the table is written outside of replica role."""
        t.is_fired = t.is_shaped = True
        name = f'public."fire {t.number}"'
        self.add(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN "
                 f"PERFORM set_config('fuzz.fired', TG_TABLE_NAME, true); RETURN NULL; END $f$", t)
        self.add(f"CREATE TRIGGER fire AFTER INSERT OR UPDATE OR DELETE ON {t.sql} FOR EACH ROW EXECUTE FUNCTION {name}()", t)

    # ------------------------------------------------------------------ COPY

    def copy_from(self, t):
        """The server itself says how the rows look in COPY's format."""
        columns = [c for c in t.columns if not c.is_fixed]
        rows = ", ".join("(" + ", ".join(self.value(c) for c in columns) + ")" for _ in range(self.rng.choice([1, 3, 20])))
        options = self.rng.choice(["", " (FORMAT csv)", " (FORMAT text, NULL 'nothing', DELIMITER '|')"])
        s = self.statement(f"COPY {self.some_name(t)} ({', '.join(q(c.name) for c in columns)}) FROM STDIN{options}", t)
        s["rows"] = f"COPY (SELECT * FROM (VALUES {rows}) v) TO STDOUT{options}"
        return s

    def add_kinds(self, t):
        """Rules, views and triggers of a table; at a target whose role may not switch them off, they would act there too."""
        is_alone = t.parent is None and not any(o.parent is t for o in self.tables) and not t.is_unlogged
        if is_alone and t.key and self.chance(0.08):
            self.add_view(t)
        if not is_alone or self.target_role != "rds" or self.majors[1] < 15:
            return
        if self.chance(0.08):
            self.add_rules(t)
        elif self.chance(0.1) and "$" not in t.sql:
            self.add_fired(t)

    def fired(self):
        return [t.sql for t in self.tables if t.is_fired]


