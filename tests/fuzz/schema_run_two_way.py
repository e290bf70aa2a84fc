"""Runs a plan of schema_two_way.py: as schema_run.py does, with sessions at both ends. In the end both are equal, no table stands still
that need not, the log has no error but of connections that were cut, and the ends' sequences give different values."""

import re
import time

import psycopg2
import schema_run
from schema_run import SETTLE_S, Difference
from schema_values import q

# What a cut connection, or a server that is away, makes the daemon say.
CUT = re.compile(r"sqlstate=(57P0[123]|08\d{3}|25P03)|connection|could not connect|server closed|shutting down|starting up|terminat", re.I)
ERRORS = re.compile(r"level=(?:error|fatal)\b.*")


class TwoWayRun(schema_run.Run):
    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        self.is_stopped = False

    # ------------------------------------------------------------------ what is done to the daemon

    def event(self, e):
        what, _, end = e["do"].partition(" ")
        if what == "cut":
            time.sleep(e.get("pause", 0))
            self.cut(end)
        elif what == "server":
            time.sleep(e.get("pause", 0))
            getattr(self.pair, end).restart("immediate")
            self.end_prepared()  # whose session is gone
        elif what == "direction":
            self.direct(end)
        elif what == "stop":
            self.wait_in_step()
            self.rebeco.terminate(30)
        elif what == "start":
            self.begin()
        elif what == "ask":
            time.sleep(e.get("pause", 0))
            self.rebeco.command(end, e["table"])
        else:
            super().event(e)

    def cut(self, end):
        getattr(self.pair, end).run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name LIKE 'rebeco%%'",
                                    self.database, user="postgres", database="postgres")

    def direct(self, which):
        """Asked again where what was cut must first come back."""
        until = time.monotonic() + SETTLE_S
        while True:
            r = self.rebeco.command("direction", which)
            if r.code == 0:
                return
            if time.monotonic() > until:
                raise RuntimeError(f"direction {which}: {r.err}")
            time.sleep(0.2)

    def round(self, r):
        is_first = r is self.plan["rounds"][0]
        if not is_first:
            self.wait_in_step()
        if "before" in r:
            self.event(r["before"])
        super().round(r)
        if not r.get("after"):
            self.end_prepared()
        for e in r.get("after", ()):
            self.event(e)
        if r.get("after"):
            time.sleep(0.2)
            self.end_prepared()

    def end_prepared(self):
        """What a server's restart has kept from being committed."""
        for end in "source", "target":
            for row in self.ask(end, "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
                self.ask(end, "COMMIT PREPARED %s", row[0])

    def session(self, transactions):
        """A server that is restarted ends sessions."""
        try:
            super().session(transactions)
        except psycopg2.OperationalError:
            pass
        if isinstance(self.trouble, (psycopg2.OperationalError, psycopg2.InterfaceError)):
            self.trouble = None

    # ------------------------------------------------------------------ how it stands

    def standing(self):
        try:
            status = self.status()
        except psycopg2.Error as e:
            return str(e)
        if status is None:
            return "no status yet"
        left = [t for t in status["tables"] if t["paused"]]
        if status["in_sync"] and not left:
            return ""
        return "\n".join([f"in sync: {status['in_sync']}"] + [f"{self.sql_name(t)}: {t['state']} {t['paused']}: {t['what']}; {t['detail']}; {t['hint']}" for t in left])

    def follow_remedies(self, standing):
        """What both ends hold is for a person to say, where values may have changed and no row was written, or changes may be missing: an unlogged
        table after a crash, another key."""
        for verb, name in set(re.findall(r"`rebeco (resume|resync) ([^`]*)` (?:lets it go on|copies it again|to have its rows replaced)", standing, re.S)):
            self.rebeco.command(verb, name)

    @staticmethod
    def sql_name(t):
        return q(t["schema"]) + "." + q(t["name"])

    def status(self):
        c = psycopg2.connect(self.url("target", "postgres"))
        try:
            with c.cursor() as cursor:
                cursor.execute("SELECT to_regclass('rebeco.status')")
                if cursor.fetchone()[0] is None:
                    return None
                cursor.execute("SELECT doc FROM rebeco.status")
                row = cursor.fetchone()
                return row and row[0]
        finally:
            c.close()

    # ------------------------------------------------------------------ the end

    def aside(self):
        return [name for _, name in self.plan["skipped"] + self.plan["refused"]]

    def end(self):
        super().end()
        self.check_conflicts()
        self.check_sequences()
        self.check_errors()

    def ask(self, end, sql, *args):
        return getattr(self.pair, end).run(sql, *args, user="postgres", database=self.database)

    def check_conflicts(self):
        """On record at both ends, the same ones; and no two rows have come under one key where the ends draw keys of their own."""
        asked = "SELECT table_schema, table_name, key::text, decision, source_at, target_at FROM rebeco.conflict ORDER BY 1, 2, 3, 5, 6"
        at_s, at_t = self.ask("source", asked), self.ask("target", asked)
        self.counts["conflicts"] = len(at_t)
        if at_s != at_t:
            raise Difference(f"other conflicts at each end:\n  only at the source: {[r for r in at_s if r not in at_t][:3]}\n"
                             f"  only at the target: {[r for r in at_t if r not in at_s][:3]}")
        for _, name, _ in self.plan["apart"]:
            found = self.ask("target", "SELECT key::text FROM rebeco.conflict WHERE kind = 'insert_exists' AND "
                                       "format('\"%%s\".\"%%s\"', replace(table_schema, '\"', '\"\"'), replace(table_name, '\"', '\"\"')) = %s", name)
            if found:
                raise Difference(f"both ends have drawn the same keys of {name}: {found[:5]}")

    def check_sequences(self):
        for _, name, column in self.plan["apart"]:
            drawn = {}
            for end in "source", "target":
                sequence = self.ask(end, "SELECT pg_get_serial_sequence(%s, %s)", name, column)[0][0]
                drawn[end] = {self.ask(end, "SELECT nextval(%s)", sequence)[0][0] for _ in range(3)}
            there = {r[0] for r in self.ask("target", f"SELECT {q(column)} FROM {name}")}
            if drawn["source"] & drawn["target"] or there & (drawn["source"] | drawn["target"]):
                raise Difference(f"the sequences of {name} give values that are given already: {drawn}, {sorted(there)[-5:]}")

    def check_errors(self):
        bad = [line for line in ERRORS.findall(self.rebeco.log()) if not CUT.search(line)]
        if bad:
            raise Difference("errors in the log:\n  " + "\n  ".join(bad[:10]))


def of(plan):
    """The class that runs such a plan."""
    return TwoWayRun if plan.get("mode") == "two-way" else schema_run.Run
