/* How a sync is led.
 *
 * The lock comes first, then everything is read anew, then tables are captured one by one: capture
 * at the source and the position to read from in one transaction, then the table and its chunks at
 * the target in another. A crash between the two leaves a capture that the next start finds and
 * takes over with a later position, before anything was copied.
 *
 * Every wait for a lock on the source is bounded by lock_timeout for the whole session, so that no
 * writer queues behind us for longer; a table that could not be locked is tried again after the
 * others, and the session in the way is named. */
#include "lead.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "daemon.h"
#include "log.h"
#include "plan.h"
#include "sqlstate.h"
#include "status.h"
#include "upkeep.h"

#define LOCK_RETRY_S 0.5
#define CAPTURE_RETRY_S 1.

enum { LOCK_TRIES = 8, OLDEST_VERSION = 120000 };

static struct lead_job *lead_of(struct job *j)
{
    return container_of(j, struct lead_job, job);
}

static enum job_next say(struct job *j, enum job_side side, const struct sql *sql)
{
    conn_query(job_conn(j, side), sql->text, NULL, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static const char *keep(struct job *j, const PGresult *r, int field)
{
    return PQgetisnull(r, 0, field) ? NULL : arena_strdup(j->arena, PQgetvalue(r, 0, field));
}

static void begin(struct job *j)
{
    struct lead_job *l = lead_of(j);

    sync_lost_lead(j->sync);
    catalog_free(l->source_catalog);
    l->source_catalog = NULL;
    l->schema_tried = false;
    l->table = NULL;
    l->install_side = JOB_TARGET;
    upkeep_begin(l);
}

/* ------------------------------------------------------------------ the lock */

static void bind_name(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

/* Somebody else's session holds the lock: perhaps our own of before, which its server has not
 * missed yet. Patience first; then a daemon that never led gives way. */
static enum job_next take_lock(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);

    j->sync->is_held = PQgetvalue(r, 0, 0)[0] != 't';
    if (!j->sync->is_held) {
        l->lock_tries = 0;
        return JOB_NEXT;
    }
    if (++l->lock_tries == LOCK_TRIES) {
        log_event(LOG_WARNING, "another daemon holds this sync", "sync", j->sync->name, "hint",
                  "Run one daemon per sync. If none runs, its server has not noticed yet that it "
                  "is gone, and will.",
                  NULL);
        if (l->is_first)
            daemon_sync_held(j->sync->daemon, j->sync);
    }
    return job_sleep(j, LOCK_RETRY_S, JOB_REPEAT);
}

static void bind_lock_timeout(struct job *j, struct params *p)
{
    params_int(p, (int64_t)(j->sync->config->lock_timeout_s * 1000));
}

/* ------------------------------------------------------------------ our objects */

static enum job_next enter_install(struct job *j)
{
    return say(j, lead_of(j)->install_side, &sql_begin);
}

static enum job_next enter_version(struct job *j)
{
    return say(j, lead_of(j)->install_side, &sql_schema_version);
}

static enum job_next take_version(struct job *j, PGresult *r)
{
    lead_of(j)->installed = atoi(PQgetvalue(r, 0, 0));
    return JOB_NEXT;
}

static const struct sql_schema *next_file(const struct lead_job *l)
{
    for (const struct sql_schema *f = sql_schema; f->text; f++)
        if (f->version > l->installed)
            return f;
    return NULL;
}

static enum job_next enter_create(struct job *j)
{
    struct lead_job *l = lead_of(j);

    if (next_file(l) == NULL)
        return job_goto(j, "install commit");
    return say(j, l->install_side, &sql_schema_create);
}

static enum job_next enter_file(struct job *j)
{
    struct lead_job *l = lead_of(j);
    const struct sql_schema *f = next_file(l);

    if (f == NULL)
        return job_goto(j, "install commit");
    l->installing = f->version;
    conn_query(job_conn(j, l->install_side), f->text, NULL, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static enum job_next enter_file_done(struct job *j)
{
    struct lead_job *l = lead_of(j);

    l->installed = l->installing;
    params_clear(&j->params);
    params_int(&j->params, l->installed);
    conn_execute(job_conn(j, l->install_side), &sql_schema_done, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static enum job_next enter_more_files(struct job *j)
{
    return next_file(lead_of(j)) ? job_goto(j, "install file") : JOB_NEXT;
}

static enum job_next enter_install_commit(struct job *j)
{
    return say(j, lead_of(j)->install_side, &sql_commit);
}

static enum job_next enter_other_side(struct job *j)
{
    struct lead_job *l = lead_of(j);

    if (l->install_side == JOB_SOURCE)
        return JOB_NEXT;
    l->install_side = JOB_SOURCE;
    return job_goto(j, "install");
}

/* ------------------------------------------------------------------ who we talk to */

static enum job_next take_identity(struct job *j, enum job_side side, const PGresult *r)
{
    struct lead_identity *i = &lead_of(j)->identities[side];

    i->system = keep(j, r, 0);
    i->timeline = keep(j, r, 1);
    i->database = keep(j, r, 2);
    i->is_standby = PQgetvalue(r, 0, 3)[0] == 't';
    i->next_xid = strtoll(PQgetvalue(r, 0, 4), NULL, 10);
    i->version = atoi(PQgetvalue(r, 0, 5));
    return JOB_NEXT;
}

static enum job_next take_source_identity(struct job *j, PGresult *r)
{
    return take_identity(j, JOB_SOURCE, r);
}

static enum job_next take_target_identity(struct job *j, PGresult *r)
{
    return take_identity(j, JOB_TARGET, r);
}

/* It cannot go on without a person; tried again, slowly, in case somebody mends it. */
static enum job_next stop(struct job *j, const char *what, const char *hint)
{
    struct error e = {0};

    error_set(&e, "%s", what);
    error_hint(&e, "%s", hint);
    snprintf(e.sqlstate, sizeof e.sqlstate, "P0001");
    j->sync->stopped = e;
    daemon_consider(j->sync->daemon);
    return job_fail(j, &e);
}

/* Before anything is installed: are these servers that we can work with at all? */
static enum job_next enter_check_servers(struct job *j)
{
    const struct lead_identity *s = &lead_of(j)->identities[JOB_SOURCE];
    const struct lead_identity *t = &lead_of(j)->identities[JOB_TARGET];

    if (s->is_standby)
        return stop(j, "the source is a standby: changes cannot be captured there",
                    "Point --source at the primary; a follower may serve the copy as "
                    "copy.follower.");
    if (t->is_standby)
        return stop(j, "the target is a standby: nothing can be written there",
                    "Point --target at the primary.");
    if (s->version < OLDEST_VERSION || t->version < OLDEST_VERSION)
        return stop(j, "a server is older than PostgreSQL 12", "Upgrade it first.");
    if (strcmp(s->system, t->system) == 0 && strcmp(s->database, t->database) == 0)
        return stop(j, "source and target are the same database", "Check the two addresses.");
    return JOB_NEXT;
}

static void bind_take(struct job *j, struct params *p)
{
    const struct lead_identity *s = &lead_of(j)->identities[JOB_SOURCE];
    const struct lead_identity *t = &lead_of(j)->identities[JOB_TARGET];

    params_text(p, j->sync->name);
    params_text(p, s->system);
    params_text(p, s->timeline);
    params_text(p, s->database);
    params_text(p, t->system);
    params_text(p, t->database);
}

static bool is_other(const PGresult *r, int field, const char *now)
{
    return !PQgetisnull(r, 0, field) && strcmp(PQgetvalue(r, 0, field), now) != 0;
}

static enum job_next take_sync(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);
    struct sync *s = j->sync;
    const struct lead_identity *now = l->identities;

    if (is_other(r, 5, now[JOB_SOURCE].system) || is_other(r, 7, now[JOB_SOURCE].database))
        return stop(j, "the source is not the database that this sync was made with",
                    "Check --source. To start over with another source, run `rebeco uninstall "
                    "--target` first.");
    if (is_other(r, 6, now[JOB_SOURCE].timeline))
        return stop(j,
                    "the source was promoted from a standby or restored: it may lack commits "
                    "that the target has",
                    "Compare the ends; `rebeco uninstall` and a new copy are always right.");
    if (is_other(r, 8, now[JOB_TARGET].system) || is_other(r, 9, now[JOB_TARGET].database))
        return stop(j, "the target is a clone of the database that this sync was made with",
                    "Check --target. To start a sync of its own here, run `rebeco uninstall "
                    "--target` first.");
    if (!PQgetisnull(r, 0, 10) &&
        strtoll(PQgetvalue(r, 0, 10), NULL, 10) > now[JOB_SOURCE].next_xid)
        return stop(j,
                    "the source has gone back in time: its next transaction id lies below the "
                    "recorded one",
                    "It was restored from a backup. Compare the ends; `rebeco uninstall` and a "
                    "new copy are always right.");
    s->owner = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    s->schema_finished = strcmp(PQgetvalue(r, 0, 1), "follow") == 0;
    s->is_paused = PQgetvalue(r, 0, 2)[0] == 't';
    free(s->snapshot);
    s->snapshot = PQgetisnull(r, 0, 3) ? NULL : mem_strdup(PQgetvalue(r, 0, 3));
    free(s->consumer);
    s->consumer = mem_strdup(PQgetvalue(r, 0, 4));
    error_clear(&s->stopped);
    return JOB_NEXT;
}

static void bind_consumer(struct job *j, struct params *p)
{
    params_text(p, j->sync->consumer);
    params_text(p, j->sync->name);
}

/* ------------------------------------------------------------------ tables and catalogs */

static enum table_pause pause_from_name(const char *name)
{
    for (int p = TABLE_USER; p <= TABLE_CAPTURE; p++)
        if (strcmp(table_pause_name((enum table_pause)p), name) == 0)
            return (enum table_pause)p;
    return TABLE_RUNS;
}

static const char *text_at(const PGresult *r, int row, int field)
{
    return PQgetvalue(r, row, field);
}

static void take_table(struct sync *s, const PGresult *r, int row)
{
    struct table *t = sync_table_new(s);

    t->id = atoi(text_at(r, row, 0));
    t->source_oid = (Oid)strtoul(text_at(r, row, 1), NULL, 10);
    t->label = arena_printf(t->arena, "%s.%s", text_at(r, row, 2), text_at(r, row, 3));
    t->state = strcmp(text_at(r, row, 6), "follow") == 0 ? TABLE_FOLLOW : TABLE_COPY;
    if (!PQgetisnull(r, row, 7))
        table_set_snapshot(t, text_at(r, row, 7));
    if (!PQgetisnull(r, row, 8)) {
        t->pause = pause_from_name(text_at(r, row, 8));
        t->is_recorded = true;
        t->is_lossy = t->pause == TABLE_CAPTURE;
        error_set(&t->why, "%s", text_at(r, row, 9));
        error_detail(&t->why, "%s", text_at(r, row, 10));
        error_hint(&t->why, "%s", text_at(r, row, 11));
    }
    t->bytes = strtoll(text_at(r, row, 13), NULL, 10);
    t->rows = strtoll(text_at(r, row, 14), NULL, 10);
    t->bytes_done = strtoll(text_at(r, row, 15), NULL, 10);
    t->rows_done = strtoll(text_at(r, row, 16), NULL, 10);
    t->chunks = atoi(text_at(r, row, 17));
    t->chunks_done = atoi(text_at(r, row, 18));
    /* The snapshot that the first chunks shared is gone. */
    t->tolerant =
        text_at(r, row, 12)[0] == 't' || (t->chunks_done > 0 && t->chunks_done < t->chunks);
}

static enum job_next take_tables(struct job *j, PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++)
        take_table(j->sync, r, i);
    return JOB_NEXT;
}

static enum job_next take_source_catalog(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);
    struct error e = {0};

    catalog_free(l->source_catalog);
    l->source_catalog = catalog_new(r, &e);
    return l->source_catalog ? JOB_NEXT : job_fail(j, &e);
}

static enum job_next take_target_catalog(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);
    struct error e = {0};
    struct catalog *target = catalog_new(r, &e);

    if (target == NULL)
        return job_fail(j, &e);
    catalog_pair_release(j->sync->catalogs);
    j->sync->catalogs = catalog_pair_new(l->source_catalog, target);
    l->source_catalog = NULL;
    return JOB_NEXT;
}

/* At a start, the tables that were known get their relations; what does not fit any more is found
 * right after. */
static void attach_relations(struct sync *s)
{
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);
        const struct relation *source;

        if (t->catalogs)
            continue;
        source = catalog_find_oid(s->catalogs->source, t->source_oid);
        table_set_relations(t, s->catalogs, source,
                            source ? catalog_find(s->catalogs->target, source->schema, source->name)
                                   : NULL);
    }
}

static enum job_next enter_reconcile(struct job *j)
{
    struct lead_job *l = lead_of(j);
    struct sync *s = j->sync;

    attach_relations(s);
    s->wants_catalog = false;
    s->expects_schema = !l->schema_tried && s->config->schema != CONFIG_SCHEMA_EXPECT &&
                        !schema_copy_is_running(s->schema);
    plan_reconcile(s);
    if (!s->expects_schema || !plan_lacks_target(s))
        return job_goto(j, "forget");
    l->schema_tried = true;
    s->phase = SYNC_SCHEMA;
    schema_copy_start(s->schema, SCHEMA_PRE);
    return JOB_WAIT; /* lead_schema_done() goes on */
}

void lead_schema_done(struct lead_job *l)
{
    if (job_is_at(&l->job, "reconcile"))
        job_continue(&l->job, job_goto(&l->job, "source catalog"));
}

/* ------------------------------------------------------------------ leaving tables */

static enum job_next enter_forget(struct job *j)
{
    struct lead_job *l = lead_of(j);

    l->table = plan_next_forget(j->sync);
    if (l->table == NULL)
        return job_goto(j, "next copy");
    log_event(LOG_NOTICE, "table is gone at both ends", "sync", j->sync->name, "table",
              l->table->label, NULL);
    return JOB_NEXT;
}

static void bind_table(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
    params_int(p, j->sync->owner);
    params_int(p, lead_of(j)->table->id);
}

static void bind_consumer_table(struct job *j, struct params *p)
{
    params_text(p, j->sync->consumer);
    params_int(p, lead_of(j)->table->id);
}

static enum job_next enter_forgotten(struct job *j)
{
    sync_table_forget(lead_of(j)->table);
    lead_of(j)->table = NULL;
    return job_goto(j, "forget");
}

/* ------------------------------------------------------------------ capture and copy */

static enum job_next enter_next_copy(struct job *j)
{
    struct lead_job *l = lead_of(j);

    l->table = plan_next_copy(j->sync, ev_now(j->loop));
    if (l->table == NULL)
        return job_goto(j, "resume");
    if (!j->sync->is_led && j->sync->phase < SYNC_CAPTURE)
        j->sync->phase = SYNC_CAPTURE;
    return JOB_NEXT;
}

static void bind_rows_there(struct job *j, struct params *p)
{
    params_text(p, arena_printf(j->arena, "{%u}", lead_of(j)->table->target->oid));
}

/* A first copy goes into an empty table only: what is there might be somebody's. */
static enum job_next take_rows_there(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);
    struct error e = {0};

    if (PQntuples(r) == 0)
        return job_goto(j, "capture");
    if (l->table->wants_copy)
        return JOB_NEXT;
    error_set(&e, "%s holds rows at the target already", l->table->label);
    error_hint(&e, "Empty it, or run `rebeco resync %s` to have its rows replaced.",
               l->table->label);
    table_pause(l->table, TABLE_DRIFT, &e);
    l->table->next_try = ev_now(j->loop) + 10;
    return job_goto(j, "next copy");
}

static void bind_target_name(struct job *j, struct params *p)
{
    params_text(p, lead_of(j)->table->target->schema);
    params_text(p, lead_of(j)->table->target->name);
}

static void send_capture(struct job *j)
{
    const struct table *t = lead_of(j)->table;

    params_clear(&j->params);
    params_int(&j->params, t->source_oid);
    params_int(&j->params, t->source->key_index);
    params_text(&j->params, j->sync->config->capture);
    params_text(&j->params, j->sync->consumer);
    conn_execute(job_conn(j, JOB_SOURCE), &sql_consumer_table_add, &j->params, CONN_TEXT, 60.);
}

static enum job_next enter_capture(struct job *j)
{
    send_capture(j);
    return JOB_WAIT;
}

/* Locks that could not be had are no failure: the next table first, then this one again. */
static enum job_next capture_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    struct lead_job *l = lead_of(j);

    if (m->event == CONN_DONE)
        return l->table->next_try > ev_now(j->loop) ? job_goto(j, "blockers") : JOB_NEXT;
    if (m->event != CONN_RESULT)
        return JOB_WAIT;
    if (!job_result_failed(m->result)) {
        l->table->id = atoi(PQgetvalue(m->result, 0, 0));
        table_set_snapshot(l->table, PQgetvalue(m->result, 0, 1));
        return JOB_WAIT;
    }
    if (sqlstate_action(PQresultErrorField(m->result, PG_DIAG_SQLSTATE)) != SQLSTATE_RETRY)
        return job_fail_result(j, side, m->result);
    l->table->next_try = ev_now(j->loop) + CAPTURE_RETRY_S;
    return JOB_WAIT;
}

static void bind_blockers(struct job *j, struct params *p)
{
    params_int(p, lead_of(j)->table->source_oid);
}

static enum job_next take_blockers(struct job *j, PGresult *r)
{
    struct table *t = lead_of(j)->table;
    bool any = PQntuples(r) > 0;

    log_event(LOG_NOTICE, "waiting for a lock to install capture", "sync", j->sync->name, "table",
              t->label, "pid", any ? PQgetvalue(r, 0, 0) : NULL, "who",
              any ? PQgetvalue(r, 0, 1) : NULL, "state", any ? PQgetvalue(r, 0, 2) : NULL,
              "open_for_s", any ? PQgetvalue(r, 0, 3) : NULL, "hint",
              "It is tried again by itself; no writer waits for us longer than lock_timeout.",
              NULL);
    return job_goto(j, "next copy");
}

static void bind_chunks(struct job *j, struct params *p)
{
    const struct lead_job *l = lead_of(j);

    params_int(p, l->table->source_oid);
    params_bool(p, true);
    params_int(p, j->sync->config->copy_split_bytes);
}

static enum job_next take_chunks(struct job *j, PGresult *r)
{
    lead_of(j)->chunks = keep(j, r, 0);
    return JOB_NEXT;
}

static void bind_add(struct job *j, struct params *p)
{
    const struct lead_job *l = lead_of(j);
    const struct table *t = l->table;

    params_text(p, j->sync->name);
    params_int(p, j->sync->owner);
    params_int(p, t->id);
    params_text(p, t->source->schema);
    params_text(p, t->source->name);
    params_int(p, t->source_oid);
    params_text(p, t->target->schema);
    params_text(p, t->target->name);
    params_text(p, t->snapshot);
    params_int(p, t->source->bytes);
    params_int(p, t->source->rows);
    params_text(p, l->chunks);
    params_bool(p, false);
}

static int count_chunks(const char *chunks)
{
    json_t *list = json_loads(chunks, 0, NULL);
    int n = (int)json_array_size(list);

    json_decref(list);
    return n;
}

static enum job_next enter_added(struct job *j)
{
    struct lead_job *l = lead_of(j);
    struct table *t = l->table;

    t->state = TABLE_COPY;
    t->pause = TABLE_RUNS;
    t->is_recorded = false;
    t->is_lossy = false;
    t->wants_copy = false;
    t->wants_plan = false;
    t->tolerant = false;
    t->bytes = t->source->bytes;
    t->rows = t->source->rows;
    t->bytes_done = 0;
    t->rows_done = 0;
    t->chunks = count_chunks(l->chunks);
    t->chunks_done = 0;
    t->copy_started_at = 0;
    log_event(LOG_INFO, "capture installed", "sync", j->sync->name, "table", t->label, "chunks",
              log_int(t->chunks), NULL);
    return job_goto(j, "next copy");
}

/* ------------------------------------------------------------------ going on with paused tables */

static enum job_next enter_resume(struct job *j)
{
    struct lead_job *l = lead_of(j);

    l->table = plan_next_resume(j->sync);
    return l->table ? JOB_NEXT : job_goto(j, "read statements");
}

static void bind_capture(struct job *j, struct params *p)
{
    params_int(p, lead_of(j)->table->id);
}

static enum job_next take_capture_state(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);

    if (PQgetisnull(r, 0, 0))
        return job_goto(j, "resumed");
    if (PQgetvalue(r, 0, 1)[0] != 't')
        return JOB_NEXT; /* repair */
    log_event(LOG_NOTICE, "capture was interrupted: the table is copied again", "sync",
              j->sync->name, "table", l->table->label, "why", PQgetvalue(r, 0, 0), NULL);
    l->table->wants_plan = false;
    l->table->wants_copy = true;
    l->table->is_lossy = true;
    l->table->pause = TABLE_CAPTURE;
    return job_goto(j, "next copy");
}

static enum job_next repair_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    struct lead_job *l = lead_of(j);

    if (m->event == CONN_RESULT && job_result_failed(m->result)) {
        if (sqlstate_action(PQresultErrorField(m->result, PG_DIAG_SQLSTATE)) != SQLSTATE_RETRY)
            return job_fail_result(j, side, m->result);
        l->table->wants_plan = false; /* the next reconciliation tries again */
        j->sync->wants_catalog = true;
    }
    if (m->event != CONN_DONE)
        return JOB_WAIT;
    return l->table->wants_plan ? JOB_NEXT : job_goto(j, "resume");
}

static enum job_next enter_repair(struct job *j)
{
    params_clear(&j->params);
    params_int(&j->params, lead_of(j)->table->id);
    conn_execute(job_conn(j, JOB_SOURCE), &sql_capture_repair, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static enum job_next enter_resumed(struct job *j)
{
    params_clear(&j->params);
    bind_table(j, &j->params);
    conn_execute(job_conn(j, JOB_TARGET), &sql_table_resume, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static enum job_next take_resumed(struct job *j, PGresult *r)
{
    struct table *t = lead_of(j)->table;

    (void)r;
    log_event(LOG_NOTICE, "table goes on", "sync", j->sync->name, "table", t->label, "after",
              table_pause_name(t->pause), NULL);
    t->pause = TABLE_RUNS;
    t->is_recorded = false;
    t->wants_plan = false;
    t->failures = 0;
    /* A table in step when it was paused keeps the position that was recorded for it. */
    if (t->state == TABLE_FOLLOW && t->snapshot == NULL)
        table_set_snapshot(t, j->sync->snapshot);
    return job_goto(j, "resume");
}

/* ------------------------------------------------------------------ statements */

static enum job_next enter_read_statements(struct job *j)
{
    struct buf json = {0};
    bool any = plan_read_json(j->sync, &json);

    if (any) {
        params_clear(&j->params);
        params_text(&j->params, json.data);
        conn_execute(job_conn(j, JOB_SOURCE), &sql_read_statements, &j->params, CONN_TEXT, 60.);
    }
    buf_fini(&json);
    return any ? JOB_WAIT : JOB_NEXT;
}

static enum job_next take_read_statements(struct job *j, PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        struct table *t = sync_table_find(j->sync, atoi(text_at(r, i, 0)));

        if (t)
            t->read_sql = arena_strdup(t->arena, text_at(r, i, 1));
    }
    return JOB_NEXT;
}

static enum job_next enter_apply_statements(struct job *j)
{
    struct buf json = {0};
    bool any = plan_apply_json(j->sync, &json);

    if (any) {
        params_clear(&j->params);
        params_text(&j->params, json.data);
        conn_execute(job_conn(j, JOB_TARGET), &sql_apply_statements, &j->params, CONN_TEXT, 60.);
    }
    buf_fini(&json);
    return any ? JOB_WAIT : JOB_NEXT;
}

static enum job_next take_apply_statements(struct job *j, PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        struct table *t = sync_table_find(j->sync, atoi(text_at(r, i, 0)));

        if (t == NULL)
            continue;
        t->upsert_sql = arena_strdup(t->arena, text_at(r, i, 1));
        t->remove_sql = arena_strdup(t->arena, text_at(r, i, 2));
        t->clear_sql = arena_strdup(t->arena, text_at(r, i, 3));
    }
    return JOB_NEXT;
}

static enum job_next take_lsn(struct job *j, PGresult *r)
{
    free(j->sync->capture_lsn);
    j->sync->capture_lsn = mem_strdup(PQgetvalue(r, 0, 0));
    return JOB_NEXT;
}

/* From here on the other jobs work. */
static enum job_next enter_led(struct job *j)
{
    struct lead_job *l = lead_of(j);

    j->failures = 0;
    l->is_first = false;
    if (!j->sync->is_led)
        log_event(LOG_NOTICE, "leading", "sync", j->sync->name, "tables",
                  log_int(j->sync->table_count), NULL);
    j->sync->is_led = true;
    sync_think(j->sync);
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ the job */

static const struct job_step steps[] = {
    {.name = "lock",
     .sql = &sql_sync_lock,
     .side = JOB_TARGET,
     .bind = bind_name,
     .result = take_lock},
    {.name = "bound locks",
     .sql = &sql_session_lock_timeout,
     .side = JOB_SOURCE,
     .bind = bind_lock_timeout},
    {.name = "source identity",
     .sql = &sql_node_identity,
     .side = JOB_SOURCE,
     .result = take_source_identity},
    {.name = "target identity",
     .sql = &sql_node_identity,
     .side = JOB_TARGET,
     .result = take_target_identity},
    {.name = "check servers", .enter = enter_check_servers},
    {.name = "install", .enter = enter_install},
    {.name = "install version", .enter = enter_version, .result = take_version},
    {.name = "install schema", .enter = enter_create},
    {.name = "install file", .enter = enter_file},
    {.name = "install done", .enter = enter_file_done},
    {.name = "install more", .enter = enter_more_files},
    {.name = "install commit", .enter = enter_install_commit},
    {.name = "install other", .enter = enter_other_side},
    {.name = "take",
     .sql = &sql_sync_take,
     .side = JOB_TARGET,
     .bind = bind_take,
     .result = take_sync},
    {.name = "consumer", .sql = &sql_consumer_register, .side = JOB_SOURCE, .bind = bind_consumer},
    {.name = "tables",
     .sql = &sql_tables_list,
     .side = JOB_TARGET,
     .bind = bind_name,
     .result = take_tables},
    {.name = "listen", .sql = &sql_listen_command, .side = JOB_TARGET},
    {.name = "source catalog",
     .sql = &sql_catalog_relations,
     .side = JOB_SOURCE,
     .result = take_source_catalog},
    {.name = "target catalog",
     .sql = &sql_catalog_relations,
     .side = JOB_TARGET,
     .result = take_target_catalog},
    {.name = "reconcile", .enter = enter_reconcile},
    {.name = "forget", .enter = enter_forget},
    {.name = "forget at target", .sql = &sql_table_forget, .side = JOB_TARGET, .bind = bind_table},
    {.name = "forget at source",
     .sql = &sql_consumer_table_remove,
     .side = JOB_SOURCE,
     .bind = bind_consumer_table},
    {.name = "forgotten", .enter = enter_forgotten},
    {.name = "next copy", .enter = enter_next_copy},
    {.name = "rows there",
     .sql = &sql_tables_with_rows,
     .side = JOB_TARGET,
     .bind = bind_rows_there,
     .result = take_rows_there},
    {.name = "empty",
     .sql = &sql_table_empty,
     .side = JOB_TARGET,
     .bind = bind_target_name,
     .timeout_s = -1},
    {.name = "capture", .enter = enter_capture, .event = capture_event},
    {.name = "chunks",
     .sql = &sql_chunks_plan,
     .side = JOB_SOURCE,
     .bind = bind_chunks,
     .result = take_chunks},
    {.name = "add", .sql = &sql_table_add, .side = JOB_TARGET, .bind = bind_add},
    {.name = "added", .enter = enter_added},
    {.name = "blockers",
     .sql = &sql_capture_blockers,
     .side = JOB_SOURCE,
     .bind = bind_blockers,
     .result = take_blockers},
    {.name = "resume", .enter = enter_resume},
    {.name = "capture state",
     .sql = &sql_capture_states,
     .side = JOB_SOURCE,
     .bind = bind_capture,
     .result = take_capture_state},
    {.name = "repair", .enter = enter_repair, .event = repair_event},
    {.name = "resumed", .enter = enter_resumed, .result = take_resumed},
    {.name = "read statements", .enter = enter_read_statements, .result = take_read_statements},
    {.name = "apply statements", .enter = enter_apply_statements, .result = take_apply_statements},
    {.name = "lsn", .sql = &sql_source_lsn, .side = JOB_SOURCE, .result = take_lsn},
    {.name = "led", .enter = enter_led},
    {.name = "watch", .enter = upkeep_watch},
    {.name = "commands",
     .sql = &sql_commands_take,
     .side = JOB_TARGET,
     .bind = upkeep_bind_commands,
     .result = upkeep_take_commands},
    {.name = "pause", .enter = upkeep_enter_pause_set},
    {.name = "answer", .sql = &sql_command_answer, .side = JOB_TARGET, .bind = upkeep_bind_answer},
    {.name = "answered", .enter = upkeep_watch},
    {.name = "phase",
     .sql = &sql_phase_set,
     .side = JOB_TARGET,
     .bind = upkeep_bind_phase,
     .result = upkeep_take_phase},
    {.name = "problems",
     .sql = &sql_problems_list,
     .side = JOB_TARGET,
     .bind = bind_name,
     .result = upkeep_take_problems},
    {.name = "status", .sql = &sql_status_write, .side = JOB_TARGET, .bind = upkeep_bind_status},
    {.name = "told", .enter = upkeep_watch},
    {.name = "rotate",
     .sql = &sql_log_rotate,
     .side = JOB_SOURCE,
     .bind = upkeep_bind_rotate,
     .result = upkeep_take_rotate},
    {.name = "log total",
     .sql = &sql_log_total,
     .side = JOB_SOURCE,
     .result = upkeep_take_log_total},
    {.name = "source stamp",
     .sql = &sql_catalog_stamp,
     .side = JOB_SOURCE,
     .result = upkeep_take_source_stamp},
    {.name = "target stamp",
     .sql = &sql_catalog_stamp,
     .side = JOB_TARGET,
     .result = upkeep_take_target_stamp},
    {0},
};

static bool failed(struct job *j, const struct error *e)
{
    (void)e;
    sync_lost_lead(j->sync);
    return true;
}

static void notified(struct job *j, enum job_side side, const char *channel, const char *payload)
{
    (void)side;
    (void)channel;
    (void)payload;
    lead_of(j)->commands_due = 0;
    lead_wake(lead_of(j));
}

static const struct job_type lead_type = {
    .name = "lead",
    .uses = {true, true},
    .steps = steps,
    .begin = begin,
    .failed = failed,
    .notified = notified,
};

void lead_wake(struct lead_job *l)
{
    if (job_is_at(&l->job, "watch") && l->job.has_answer)
        job_continue(&l->job, JOB_REPEAT);
}

struct lead_job *lead_new(struct sync *s)
{
    struct lead_job *l = mem_alloc(sizeof *l);

    job_init(&l->job, s->loop, &lead_type, s, s->source_url, s->target_url);
    l->sync = s;
    l->is_first = true;
    list_init(&l->kicks);
    return l;
}

void lead_start(struct lead_job *l)
{
    job_start(&l->job);
}

void lead_stop(struct lead_job *l)
{
    job_stop(&l->job);
}

void lead_free(struct lead_job *l)
{
    upkeep_begin(l); /* lets go of waiting requests */
    catalog_free(l->source_catalog);
    job_fini(&l->job);
    free(l->status);
    free(l);
}
