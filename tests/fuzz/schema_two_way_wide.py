"""What else happens to a two-way sync: tables that one end writes, foreign keys to the same table, transactions of other kinds, definitions that
change more than a column, and what a person asks for meanwhile. Parts of schema_two_way.py."""

from schema_values import q


class Wide:
    """Mixed into the generator: uses its rng, tables, types, statement() and both()."""

    # ------------------------------------------------------------------ tables that one end writes

    def give_to_one_end(self, t):
        """There a value that is unique besides the key may go to any row, and rows may trade theirs."""
        t.only_at = self.rng.choice(["source", "target"])

    def writable(self):
        return [t for t in self.tables if t.only_at in (None, self.at)]

    def is_referred(self, t):
        return any(getattr(c, "needs", None) == t.number for o in self.tables for c in o.columns)

    # ------------------------------------------------------------------ foreign keys

    def refer(self, t, o):
        """To other rows of the same table now and then."""
        super().refer(t, t if self.chance(0.25) and self.can_be_referred(t) else o)

    def family(self, t):
        """A row and the one that it refers to, in either order: the foreign key may be put off."""
        mine = [c for c in t.columns if hasattr(c, "needs")]
        o = next((o for o in self.tables if mine and o.number == mine[0].needs), None)
        if o is None or o.only_at or any(c.needs != o.number for c in mine) or len(mine) != len(o.key) or o in self.apart:
            return self.insert(t, 1)
        values = [self.value(o.column(k)) for k in o.key]
        rows = [self.row(o, dict(zip(o.key, values))), self.row(t, dict(zip([c.name for c in mine], values)))]
        self.rng.shuffle(rows)
        return self.statement("; ".join(rows), t, o)

    def row(self, t, given):
        columns = [c for c in t.columns if not c.is_fixed]
        return (f"INSERT INTO {t.sql} ({', '.join(q(c.name) for c in columns)}) VALUES ({', '.join(given.get(c.name) or self.value(c) for c in columns)}) "
                "ON CONFLICT DO NOTHING" if not t.is_deferrable else "SELECT")

    # ------------------------------------------------------------------ transactions

    def refill(self, t):
        """Emptied, and filled with some of the keys again, in one transaction."""
        cut, rows = self.truncate(t), self.insert(t)
        return {**cut, "sql": f"{cut['sql']}; {rows['sql']}", "tables": sorted({*cut["tables"], *rows["tables"]})}

    def transaction(self):
        t = super().transaction()
        # In an old snapshot the server does not show all rows of a partition that is emptied alone: then the table waits for a person.
        if self.chance(0.12) and not any("TRUNCATE" in i.get("sql", "") for i in t["items"]):
            t["begin"] = "BEGIN ISOLATION LEVEL " + self.rng.choice(["REPEATABLE READ", "REPEATABLE READ", "SERIALIZABLE"])
        if self.chance(0.2):
            t["items"].insert(0, {"sql": "SET CONSTRAINTS ALL DEFERRED", "tables": []})
        return t

    def replica(self):
        """The application itself is in replica role, where it may be: of tables that no foreign key ties, and which no trigger looks after."""
        loose = [t for t in self.tables if not self.is_tied(t)]
        tables, self.tables = self.tables, loose
        t = self.transaction()
        self.tables = tables
        t["items"].insert(0, {"sql": "SET LOCAL session_replication_role = replica", "tables": []})
        return t

    def some_transaction(self):
        return self.replica() if self.chance(0.05) else self.transaction()

    def leave_prepared(self, session):
        """Its last transaction waits, with all its locks, till the round is over."""
        last = session[-1]
        if self.chance(0.15) and not any("TEMP TABLE" in i.get("sql", "") for i in last["items"]):
            last["end"], last["then"] = "PREPARE TRANSACTION", "later"
        return session

    # ------------------------------------------------------------------ definitions

    def is_named(self, t):
        """By the configuration, or by what is looked at in the end."""
        named = [*self.conflict.get("tables", ()), *self.conflict.get("merge", ()), *self.conflict.get("counters", ())]
        return t.sql in named or t in self.apart or t in self.refused

    def rename_table(self, t):
        return None if self.is_named(t) else super().rename_table(t)

    def drop_table(self, t):
        return None if self.is_named(t) else super().drop_table(t)

    def new_table_later(self, t):
        """Who writes at both ends at once gives both tables rows before the sync knows them."""
        before = len(self.setup)
        new = self.new_table(t.schema)
        self.make_plain(new, keyless=0)
        made = self.setup[before:]
        del self.setup[before:]
        return self.both("; ".join(s["sql"] for s in made), new, then=self.insert(new, 10) if self.chance(0.7) else None)

    def wider_ddl(self):
        tables = [t for t in self.tables if t.parent is None and t not in self.refused and not any(o.parent is t for o in self.tables)]
        if not tables:
            return None
        t = self.rng.choice(tables)
        if t.of_type:
            return self.rng.choice([self.alter_row_type, self.alter_pair])(t)
        makers = [(self.retype_column, 3), (self.trade_names, 1), (self.rename_table, 2), (self.new_table_later, 4), (self.drop_table, 1),
                  (self.key_of_more, 1), (self.alter_pair, 1), (self.rename_attribute, 1), (self.rename_label, 1)]
        if t.part:
            makers += [(self.detach, 6), (self.attach, 6), (self.new_partition, 2)]
        return self.rng.choices([m for m, _ in makers], [w for _, w in makers])[0](t)

    # ------------------------------------------------------------------ what a person asks for

    def asked(self):
        """Of tables that no foreign key ties: one that is copied again is emptied first."""
        loose = [t for t in self.tables if not self.is_tied(t) and t.parent is None and t not in self.refused and not any(o.parent is t for o in self.tables)]
        what = self.rng.choice(["resync", "pause"])
        if not loose:
            return []
        t = self.rng.choice(loose)
        first = {"do": "ask " + what, "table": t.sql, "tables": [t.number], "pause": round(self.rng.uniform(0, 0.3), 2)}
        return [first] + [{**first, "do": "ask resume"}] * (what == "pause")
