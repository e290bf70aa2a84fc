"""What a sync makes of its tables when they are not taken as they are: rows and columns left out, tables read
as a whole, and a target that has other names, more columns, or no partitions. Parts of schema_plan.py.

A shaped table is in plan["compare"], which says how it is compared, and no definition of it changes later:
what the configuration names stays there."""

from schema_values import q

NUMBERS = ("int", "bigint", "smallint", "numeric(12,3)")


class Shaping:
    """Mixed into the generator: uses its rng, tables, types and add()."""

    def can_be_shaped(self, t):
        linked = {t.number} & {c.needs for o in self.tables for c in o.columns if hasattr(c, "needs")}
        refers = any(hasattr(c, "needs") for c in t.columns)
        # "$" begins a variable in a configuration.
        return not (t.is_shaped or t.of_type or t.view or t.has_rules or t.parent or linked or refers or "$" in t.sql or any(o.parent is t for o in self.tables))

    def shape(self, config):
        """Decides about every table; fills config["tables"], self.compare and self.at_target."""
        expects = self.target_role == "rds" and self.majors[1] >= 15 and self.chance(0.25)
        for t in self.tables:
            if not self.can_be_shaped(t):
                continue
            ways = [self.shape_rows, self.shape_columns, self.shape_whole] if not expects else [self.shape_name, self.shape_more, self.shape_flat]
            if self.chance(0.6 if expects else 0.2):
                self.rng.choice(ways)(t, config.setdefault("tables", {}))
        if expects:
            config["schema"] = "expect"
        if not config.get("tables"):
            config.pop("tables", None)
        return expects

    def note(self, t, **how):
        """How it is compared: at the target by another name, by some of its columns, by some of its rows."""
        t.is_shaped = True
        self.compare.append({"source": t.sql, "target": t.sql, "columns": None, "where": None, "number": t.number, **how})

    def shape_rows(self, t, tables):
        # Only what has a key can be taken in part.
        able = [c for c in t.columns if c.kind in NUMBERS and not c.is_fixed and t.key]
        if not able:
            return self.shape_columns(t, tables)
        c = self.rng.choice(able)
        c.is_bound = True
        condition = self.rng.choice([f"{q(c.name)} > 0", f"{q(c.name)} % 3 <> 1", f"{q(c.name)} IS NULL OR {q(c.name)} < 1000000"])
        tables.setdefault("where", {})[t.sql] = condition
        self.note(t, where=condition)

    def shape_columns(self, t, tables):
        able = [c for c in t.free() if not c.not_null and not hasattr(c, "needs") and c.name not in t.uniques]
        left = self.rng.sample(able, self.rng.randint(1, len(able))) if able else []
        names = [c.name for c in t.columns if c not in left]
        if not left or not t.key or any("$" in n for n in names):
            return
        tables.setdefault("columns", {})[t.sql] = names
        self.note(t, columns=names)

    def shape_whole(self, t, tables):
        tables.setdefault("whole", []).append(t.sql)
        tables["whole_every"] = self.rng.choice(["0s", "1s"])
        self.note(t)

    def say_at_target(self, t, *statements):
        self.at_target += [{"sql": sql, "tables": [t.number]} for sql in statements]

    def shape_name(self, t, tables):
        new = f'"other here".{q("other " + str(t.number))}'
        tables.setdefault("rename", {})[t.sql] = new
        self.say_at_target(t, 'CREATE SCHEMA IF NOT EXISTS "other here"', f"ALTER TABLE {t.sql} SET SCHEMA \"other here\"",
                           f'ALTER TABLE "other here".{q(t.name)} RENAME TO {q("other " + str(t.number))}')
        self.note(t, target=new)

    def shape_more(self, t, tables):
        names = [c.name for c in t.columns]
        self.say_at_target(t, f"ALTER TABLE {t.sql} ADD COLUMN \"only here\" text NOT NULL DEFAULT 'ours', ADD COLUMN \"and this\" int")
        self.note(t, columns=names)

    def shape_flat(self, t, tables):
        """No partitions where the source has them; or the other way round."""
        if t.part:
            self.say_at_target(t, f"CREATE TABLE public.\"flat {t.number}\" (LIKE {t.sql} INCLUDING ALL)", f"DROP TABLE {t.sql}",
                               f"ALTER TABLE public.\"flat {t.number}\" SET SCHEMA {q(t.schema)}",
                               f"ALTER TABLE {q(t.schema)}.\"flat {t.number}\" RENAME TO {q(t.name)}")
            return self.note(t)
        if len(t.key) != 1 or t.has_extras or t.is_unlogged or t.is_deferrable or any(c.is_fixed for c in t.columns) \
                or t.column(t.key[0]).kind not in ("int", "bigint", "uuid", "C text"):
            return self.shape_more(t, tables)
        parts = f"public.\"parts {t.number}\""
        self.say_at_target(t, f"CREATE TABLE {parts} (LIKE {t.sql} INCLUDING DEFAULTS, PRIMARY KEY ({q(t.key[0])})) PARTITION BY HASH ({q(t.key[0])})",
                           *(f"CREATE TABLE public.\"part {t.number} {i}\" PARTITION OF {parts} FOR VALUES WITH (MODULUS 3, REMAINDER {i})" for i in range(3)),
                           f"DROP TABLE {t.sql}", f"ALTER TABLE {parts} SET SCHEMA {q(t.schema)}",
                           f"ALTER TABLE {q(t.schema)}.\"parts {t.number}\" RENAME TO {q(t.name)}")
        self.note(t)
