"""What nobody can beat by much: pipes of binary COPY, and SQL written by hand."""

import threading

from scene import BIG, SMALL, TABLES, Failed, pool, program, run

INDEXES = {"pgbench_accounts": ["ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid)"],
           "wide": ["ALTER TABLE wide ADD PRIMARY KEY (id)", "CREATE INDEX wide_at ON wide (at)", "CREATE INDEX wide_u ON wide (u)"],
           **{t: [f"ALTER TABLE {t} ADD PRIMARY KEY ({k})"] for t, k in TABLES.items() if t not in ("wide", "pgbench_accounts")}}


def pipe(scene, tables, form, database):
    """One shell command that moves tables one after the other. A table may be a pair: what is read, and where it goes."""
    psql = f"{program(scene.source, 'psql')} -Xq -v ON_ERROR_STOP=1"
    return " && ".join(f"{psql} -c 'COPY {what} TO STDOUT (FORMAT {form})' '{scene.source.url('postgres')}' | "
                       f"{psql} -c 'COPY {t} FROM STDIN (FORMAT {form})' '{scene.target.url('postgres', database)}'"
                       for what, t in (t if isinstance(t, tuple) else (t, t) for t in tables))


def _run_pipes(scene, groups, form, database, streams):
    pool([lambda tables=tables: run("bash", "-o", "pipefail", "-c", pipe(scene, tables, form, database)) for tables in groups], streams)


def copy(scene, form="binary", database="app", streams=2, index=True):
    """Copies all tables; the target has the schema, without indexes when they are to be made after."""
    big = sorted((t for t in TABLES if t not in SMALL), key=lambda t: t not in ("pgbench_accounts", "wide"))
    small = list(SMALL)
    half = len(small) // 2
    _run_pipes(scene, [*[[t] for t in big], small[:half], small[half:]], form, database, streams)
    if not index:
        return
    jobs = [s for t in big for s in INDEXES[t]] + [";".join(INDEXES[t][0] for t in SMALL)]
    pool([lambda s=s: scene.target.run(s, user="postgres", database=database) for s in jobs], streams)


def copy_halves(scene, table, key, database="app"):
    """One large table alone, in two streams, each with half of the keys; then the key."""
    middle = scene.source.value(f"SELECT (min({key}) + max({key})) / 2 FROM {table}")
    _run_pipes(scene, [[(f"(SELECT * FROM {table} WHERE {key} {half})", table)] for half in (f"<= {middle}", f"> {middle}")], "binary", database, 2)
    scene.target.run(f"ALTER TABLE {table} ADD PRIMARY KEY ({key})", user="postgres", database=database)


# ------------------------------------------------------------------ the apply

def columns(server, table):
    return server.value("SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute "
                        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", table)


def changed_keys(server, tables):
    """table -> a query of the keys in its change log (those of Rebeco, which stands still)."""
    ids = dict(server.run("SELECT table_name::text, id FROM rebeco.capture", user="postgres"))
    return {t: f"SELECT k1 FROM rebeco.log_{ids[t]}_0 UNION SELECT k1 FROM rebeco.log_{ids[t]}_1" for t in tables if t in ids}


def statements(scene, way, tables, database):
    """A psql script at the target that pulls the changed rows and writes them."""
    out = ["BEGIN;"]
    for t, keys in changed_keys(scene.source, tables).items():
        k = TABLES[t]
        rest = [c for c in columns(scene.source, t) if c != k]

        def pull(into, query):
            return (f"\\copy {into} from program 'psql -Xq -c \"COPY ({query}) TO STDOUT (FORMAT binary)\" "
                    f"{scene.source.url('postgres')}' with (format binary)")
        rows = f"SELECT t.* FROM ({keys}) d JOIN {t} t ON t.{k} = d.k1"
        if way == "delete and COPY":
            kind = scene.source.value("SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s", t, k)
            out += [f"CREATE TEMP TABLE k_{t} (k1 {kind}) ON COMMIT DROP;", pull(f"k_{t}", keys), f"ANALYZE k_{t};",
                    f"DELETE FROM {t} USING k_{t} d WHERE {t}.{k} = d.k1;", pull(t, rows)]
            continue
        out += [f"CREATE TEMP TABLE n_{t} (LIKE {t}) ON COMMIT DROP;", pull(f"n_{t}", rows)]
        if way == "upsert":
            out.append(f"INSERT INTO {t} SELECT * FROM n_{t} ON CONFLICT ({k}) DO UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in rest) + ";")
        else:
            out += [f"ANALYZE n_{t};", f"UPDATE {t} SET " + ", ".join(f"{c} = n.{c}" for c in rest) + f" FROM n_{t} n WHERE {t}.{k} = n.{k};",
                    f"INSERT INTO {t} SELECT n.* FROM n_{t} n WHERE NOT EXISTS (SELECT 1 FROM {t} WHERE {t}.{k} = n.{k});"]
    return "\n".join([*out, "COMMIT;"])


WAYS = ("upsert", "delete and COPY", "update and insert", "upsert, two streams")


def apply(scene, way, database):
    """Brings `database` at the target to where the source is. A delete at the source is not looked for."""
    groups = [[*BIG, "beat"]]
    if way.endswith("two streams"):
        groups = [["wide", "pgbench_branches", "beat"], ["pgbench_accounts", "pgbench_tellers", "pgbench_history"]]
    errors = []

    def one(group):
        try:
            run(program(scene.target, "psql"), "-Xq", "-v", "ON_ERROR_STOP=1", scene.target.url("postgres", database),
                "-c", "SET client_min_messages = warning", "-f", "-", stdin=None,
                input=statements(scene, way.split(",")[0], group, database))
        except Failed as e:
            errors.append(e)
    threads = [threading.Thread(target=one, args=(g,)) for g in groups]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
