"""Runs a plan of schema_plan.py: makes the schema, lets sessions write while the daemon copies, follows, is
killed and paused, changes definitions at both ends, and compares in the end.

One pair of servers serves all plans; each has databases of its own."""

import io
import re
import threading
import time

import psycopg2
import rig
import schema_compare

SETTLE_S = 60      # for the daemon to be in step again after the last write
DDL_S = 20         # for a change of a definition to get its locks
PATIENCE_MS = 3000  # no statement of a session waits longer

# No failure of ours: a change of a definition that the data, or the one before it, does not allow.
LOCKED = ("55P03", "57014", "40P01")


class Difference(AssertionError):
    """Both ends differ, or the daemon did not get into step."""


class Pair:
    """The two servers."""

    def __init__(self, source=None, target=None):
        self.source = rig.Server("source", "app", source)
        self.target = rig.Server("target", "rds", target)
        self.count = 0

    def databases(self, target_role, source_role=None):
        """Makes two new databases; returns their name."""
        self.count += 1
        name = f"fuzz_{self.count}"
        for server, role in ((self.source, source_role or self.source.owner), (self.target, target_role)):
            server.run(f"CREATE DATABASE {name} OWNER {role}", user="postgres", database="postgres")
        return name

    def drop_databases(self, name):
        for server in (self.source, self.target):
            server.run(f"DROP DATABASE {name} WITH (FORCE)", user="postgres", database="postgres")

    def drop(self):
        self.source.drop()
        self.target.drop()


class Run:
    def __init__(self, pair, plan, say=lambda text: None, binary=None):
        self.pair, self.plan, self.say = pair, plan, say
        self.target_role = plan.get("target_role", "rds")
        self.source_role = plan.get("source_role")
        self.database = pair.databases(self.target_role, self.source_role)
        self.counts = {"statements": 0, "refused": 0, "ddl": 0, "ddl refused": 0}
        self.trouble = None
        self.is_paused = False
        self.rebeco = rig.Rebeco(self.url("source"), self.url("target"), rig.config(**plan["config"]) + "http: {listen: none}\n",
                                 binary=binary)

    def url(self, end, user=None):
        server = getattr(self.pair, end)
        return server.url(user or (self.target_role if end == "target" else self.source_role), self.database)

    def connect(self, end):
        c = psycopg2.connect(self.url(end), application_name="fuzz")
        c.autocommit = True
        with c.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {PATIENCE_MS}; SET statement_timeout = {PATIENCE_MS * 3}; SET client_min_messages = error")
        return c

    # ------------------------------------------------------------------ what the application does

    def setup(self, end, statements):
        # Not `with c`: that would be one transaction.
        c = self.connect(end)
        with c.cursor() as cursor:
            for s in statements:
                try:
                    cursor.execute(s["sql"])
                except psycopg2.Error as e:
                    if not s.get("may_fail"):
                        raise RuntimeError(f"the plan's own schema fails: {e}\n{s['sql']}") from e
        c.close()

    def say_one(self, cursor, item):
        """One statement that may fail alone."""
        sql = item["sql"]
        cursor.execute("SAVEPOINT one")
        self.counts["statements"] += 1
        try:
            if "rows" in item:
                self.copy_from(cursor, item)
            else:
                cursor.execute(sql)
            cursor.execute("RELEASE one")
        except psycopg2.Error as e:
            if "rebeco." in (e.diag.context or "") and e.pgcode not in LOCKED:
                raise RuntimeError(f"the application's statement failed in our capture: {e}\n{sql}") from e
            if cursor.connection.closed or e.pgcode == "40P01":
                raise
            self.counts["refused"] += 1
            cursor.execute("ROLLBACK TO one")

    def copy_from(self, cursor, item):
        with io.StringIO() as rows:
            cursor.copy_expert(item["rows"], rows)
            rows.seek(0)
            cursor.copy_expert(item["sql"], rows)

    def transaction(self, cursor, t):
        """One transaction of the plan."""
        cursor.execute(t.get("begin", "BEGIN"))
        for item in t["items"]:
            if "sql" in item:
                self.say_one(cursor, item)
            elif item["savepoint"]:
                cursor.execute("SAVEPOINT outer_one")
            else:
                cursor.execute("ROLLBACK TO outer_one" if item["rollback"] else "RELEASE outer_one")
        time.sleep(t["pause"])
        if t["end"] != "PREPARE TRANSACTION":
            return cursor.execute(t["end"])
        name = "one of " + str(cursor.connection.get_backend_pid())
        cursor.execute("PREPARE TRANSACTION %s", (name,))
        time.sleep(t["pause"])
        if "then" not in t:
            cursor.execute("COMMIT PREPARED %s", (name,))

    def session(self, transactions):
        if not transactions:
            return
        c = self.connect(transactions[0].get("at", "source"))
        try:
            for t in transactions:
                with c.cursor() as cursor:
                    try:
                        self.transaction(cursor, t)
                    except psycopg2.Error:
                        self.counts["refused"] += 1
                        cursor.execute("ROLLBACK")
        except BaseException as e:
            self.trouble = self.trouble or e
        finally:
            c.close()

    # ------------------------------------------------------------------ what is done to definitions

    def ddl_at(self, end, statements):
        """True when it is done; False when it cannot be done at all."""
        until = time.monotonic() + DDL_S
        c = self.connect(end)
        try:
            while True:
                try:
                    with c.cursor() as cursor:
                        # Not in one transaction where the server refuses that.
                        cursor.execute("; ".join(statements))
                    return True
                except psycopg2.Error as e:
                    self.why = f"{e.pgcode} {str(e).strip()}"
                    if e.pgcode not in LOCKED:
                        return False
                    if time.monotonic() > until:
                        raise RuntimeError(f"no lock within {DDL_S} s at the {end}: {statements}") from e
        finally:
            c.close()

    def ddl_by_command(self, event):
        """`rebeco ddl FILE`: both ends have it, or none."""
        self.counts["ddl"] += 1
        path = self.rebeco.home + "/migration.sql"
        with open(path, "w") as f:
            f.write("; ".join(event["source"]))
        r = self.rebeco.command("ddl", path, timeout=90)
        if r.code == 1 and "no end has it" in r.err:
            self.counts["ddl refused"] += 1
            return self.say(f"    refused: {r.err[:150]}")
        if r.code != 0:
            raise RuntimeError(f"rebeco ddl ended with {r.code}:\n{r.err}\n{event['source']}")

    def ddl(self, event):
        if event.get("by_command") and not self.is_paused:
            return self.ddl_by_command(event)
        order = ["source", "target"] if event["first"] == "source" else ["target", "source"]
        self.counts["ddl"] += 1
        if not self.ddl_at(order[0], event[order[0]]):
            self.counts["ddl refused"] += 1
            self.say(f"    refused at the {order[0]}: {self.why[:150]}")
            return
        time.sleep(event["pause"])
        if not self.ddl_at(order[1], event[order[1]]):
            raise RuntimeError(f"done at the {order[0]} but refused at the {order[1]}: {self.why}\n{event[order[1]]}")

    # ------------------------------------------------------------------ the daemon

    def begin(self):
        self.rebeco.start()

    def event(self, e):
        time.sleep(e.get("pause", 0))
        what = e["do"]
        if what == "ddl":
            self.ddl(e)
        elif what == "source":
            self.ddl_at("source", [e["sql"]])
        elif what == "kill":
            self.rebeco.check_alive()
            self.rebeco.kill9()
            self.begin()
        elif what == "restart":
            # Before its first words a program has not yet said what SIGTERM is to mean.
            has_spoken = "time=" in self.rebeco.log().rpartition("--- start")[2]
            self.rebeco.terminate(30) if has_spoken else self.rebeco.kill9()
            self.begin()
        elif what in ("pause", "resume"):
            self.rebeco.command(what)
            self.is_paused = what == "pause"
        elif what == "kick":
            self.rebeco.command("kick")
        elif what == "wait" and not self.is_paused:
            self.wait_in_step()

    # ------------------------------------------------------------------ the end

    def left_out(self, cursor):
        """Tables of the source that the sync does not have at all."""
        cursor.execute("SELECT source_oid::bigint FROM rebeco.sync_table WHERE state = 'follow' AND paused IS NULL")
        known = {row[0] for row in cursor.fetchall()}
        rows = self.pair.source.run("SELECT oid::bigint, oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
                                    "AND relpersistence <> 't' AND relnamespace::regnamespace::text NOT IN ('rebeco', 'information_schema') "
                                    "AND relnamespace::regnamespace::text NOT LIKE 'pg\\_%'", user="postgres", database=self.database)
        return [name for oid, name in rows if oid not in known]

    def standing(self):
        """What is not in step, as the target's own rows say; '' when everything is."""
        c = psycopg2.connect(self.url("target", "postgres"))
        try:
            with c.cursor() as cursor:
                cursor.execute("SELECT phase, paused, consistent_since IS NOT NULL FROM rebeco.sync")
                phase, is_paused, is_consistent = cursor.fetchone() or ("none yet", False, False)
                missing = self.left_out(cursor)
                if phase == "follow" and not is_paused and is_consistent and not missing:
                    return ""
                cursor.execute("SELECT format('%s.%s: %s %s: %s; %s; %s', t->>'schema', t->>'name', t->>'state', t->>'paused', t->>'what', "
                               "t->>'detail', t->>'hint') FROM rebeco.status, jsonb_array_elements(doc->'tables') t "
                               "WHERE t->>'paused' IS NOT NULL OR t->>'state' <> 'follow'")
                return "\n".join([f"phase {phase}, paused {is_paused}, consistent {is_consistent}, left out: {missing}"] + [row[0] for row in cursor.fetchall()])
        except psycopg2.Error as e:
            return str(e)
        finally:
            c.close()

    def follow_remedies(self, standing):
        """What the hints tell a person to do: rows that are at the target already, as in a partition that both
        ends took off, may be replaced."""
        for name in re.findall(r"`rebeco resync (.*?)` to have its rows replaced", standing, re.S):
            self.rebeco.command("resync", name)
        for name in re.findall(r"target: table (.*?) cannot be emptied: foreign keys point to it", standing, re.S):
            self.drop_foreign_keys(name)

    def drop_foreign_keys(self, name):
        """Those of the target that point to a table."""
        self.say(f"    dropping the target's foreign keys that point to {name}")
        rows = self.pair.target.run("SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname) FROM pg_constraint "
                                    "WHERE contype = 'f' AND conparentid = 0 AND confrelid = %s::regclass", name, user="postgres", database=self.database)
        if rows:
            self.ddl_at("target", [row[0] for row in rows])
            self.rebeco.command("retry", name)

    def wait_in_step(self):
        """Until nothing stands still and all that is committed by now is at the target."""
        until = time.monotonic() + SETTLE_S
        while True:
            self.rebeco.check_alive()
            standing = self.standing()
            self.follow_remedies(standing)
            if not standing:
                r = self.rebeco.command("kick", "--wait", "--timeout", "20s", timeout=40)
                standing = r.err if r.code else self.standing()
                if not standing:
                    return
            if time.monotonic() > until:
                raise Difference(f"not in step after {SETTLE_S} s:\n{standing}")
            time.sleep(0.1)

    def compare(self):
        ends = self.url("source", "postgres"), self.url("target", "postgres")
        shaped = self.plan.get("compare", ())
        aside = self.aside()
        found = schema_compare.differences(*ends, shaped, aside)
        if found:
            time.sleep(2)
            word = "for good" if schema_compare.differences(*ends, shaped, aside) else "but are equal 2 s later"
            raise Difference(f"both ends differ, {word}:\n  " + "\n  ".join(found))

    def aside(self):
        """Tables that may differ."""
        return ()

    def wait_for_schema(self):
        self.rebeco.wait("the first copy", lambda: self.rebeco.phase() == "follow", SETTLE_S)

    def round(self, r):
        threads = [threading.Thread(target=self.session, args=(s,)) for s in r["sessions"]]
        if any(e["do"] == "ddl" for e in r["events"]):
            self.wait_for_schema()
        for t in threads:
            t.start()
        try:
            for e in r["events"]:
                self.event(e)
        finally:
            for t in threads:
                t.join()
        if self.trouble:
            raise self.trouble

    def end(self):
        self.wait_in_step()
        self.compare()

    def all(self):
        """Runs it; raises Difference, AssertionError or RuntimeError."""
        try:
            self.setup("source", self.plan["setup"])
            self.setup("target", self.plan.get("target_setup", ()))
            self.begin()
            for r in self.plan["rounds"]:
                self.round(r)
            self.end()
            self.rebeco.terminate(30)
        except Exception as e:
            e.log = self.rebeco.log_tail(60)
            raise
        finally:
            self.rebeco.drop()
            self.pair.drop_databases(self.database)
        return self.counts
