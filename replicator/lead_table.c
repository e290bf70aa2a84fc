/* The leading job's work on single tables that are there: leaving one, missing the capture of one,
 * going on with one that was paused, and having its statements made. How one comes is in
 * lead_capture.c. */
#include "lead_steps.h"

#include <string.h>

#include "batch.h"
#include "batch_read.h"
#include "daemon.h"
#include "field.h"
#include "log.h"
#include "plan.h"
#include "skip.h"
#include "sqlstate.h"

/* ------------------------------------------------------------------ leaving tables */

/* First at the source: after a crash between the two the target knows of a capture that is gone,
 * and forgets it. The other way round nobody would know of the capture any more. */
enum job_next lead_enter_forget(struct job *j)
{
    struct lead_job *l = lead_of(j);

    l->is_blocked = false;
    l->table = plan_next_forget(j->sync);
    if (l->table == NULL)
        return job_goto(j, "next copy");
    log_event(LOG_NOTICE, "table leaves the sync", "sync", j->sync->name, "table", l->table->label,
              "why", l->table->why.what, NULL);
    return JOB_NEXT;
}

void lead_bind_table(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
    params_int(p, j->sync->owner);
    params_int(p, lead_of(j)->table->id);
}

void lead_bind_consumer_table(struct job *j, struct params *p)
{
    params_text(p, j->sync->consumer);
    params_int(p, lead_of(j)->table->id);
}

enum job_next lead_enter_forgotten(struct job *j)
{
    sync_table_forget(lead_of(j)->table);
    lead_of(j)->table = NULL;
    return job_goto(j, "forget");
}

/* ------------------------------------------------------------------ captures that are gone */

static enum table_records records_from_name(const char *name)
{
    for (int r = TABLE_NOTHING; r > TABLE_KEY; r--)
        if (strcmp(table_records_name((enum table_records)r), name) == 0)
            return (enum table_records)r;
    return TABLE_KEY;
}

/* What is captured for one direction lacks what the other mode needs. */
static enum job_next refuse_mode(struct job *j)
{
    struct error e = {0};

    error_set(&e, "this sync was made %s, and is configured %s",
              j->sync->other ? "one-way" : "two-way", j->sync->other ? "two-way" : "one-way");
    error_hint(&e, "%s",
               "Put the mode back; or run `rebeco uninstall` and start over with a new copy.");
    snprintf(e.sqlstate, sizeof e.sqlstate, "P0001");
    j->sync->stopped = e;
    daemon_consider(j->sync->daemon);
    return job_fail(j, &e);
}

/* The target remembers a capture that the source does not have: somebody removed ours there. What
 * changed since is unknown, so the table begins anew. */
enum job_next lead_take_captures(struct job *j, PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++)
        if (field_bool(r, i, "two_way") != (j->sync->other != NULL))
            return refuse_mode(j);
    for (struct list *l = j->sync->tables.next; l != &j->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        t->is_orphan = t->id != 0;
    }
    for (int i = 0; i < PQntuples(r); i++) {
        struct table *t = sync_table_find(j->sync, field_int(r, i, "id"));

        if (t == NULL)
            continue;
        t->captured = records_from_name(field_text(r, i, "records"));
        t->is_orphan = (Oid)field_int64(r, i, "relation") != t->source_oid;
        if (!t->is_orphan)
            partition_take_note(t, field_bool(r, i, "owes"));
    }
    return JOB_NEXT;
}

enum job_next lead_enter_orphan(struct job *j)
{
    struct lead_job *l = lead_of(j);

    for (struct list *k = j->sync->tables.next; k != &j->sync->tables; k = k->next) {
        l->table = container_of(k, struct table, in_sync);
        if (l->table->is_orphan)
            return JOB_NEXT;
    }
    l->table = NULL;
    return job_goto(j, "listen");
}

enum job_next lead_enter_orphan_forgotten(struct job *j)
{
    struct table *t = lead_of(j)->table;

    log_event(LOG_WARNING, "the capture of a table is gone at the source: it is copied again",
              "sync", j->sync->name, "table", t->label, NULL);
    t->is_orphan = t->owes_keys = false;
    skip_clear(t);
    t->id = 0;
    t->state = TABLE_NEW;
    t->pause = TABLE_RUNS;
    t->is_recorded = false;
    t->wants_copy = j->sync->other == NULL;
    t->chunks = 0;
    t->chunks_done = 0;
    table_set_snapshot(t, NULL);
    return job_goto(j, "orphan");
}

/* ------------------------------------------------------------------ going on with paused tables */

enum job_next lead_enter_resume(struct job *j)
{
    struct lead_job *l = lead_of(j);

    l->table = plan_next_resume(j->sync);
    return l->table ? JOB_NEXT : job_goto(j, "layouts");
}

void lead_bind_capture(struct job *j, struct params *p)
{
    const struct table *t = lead_of(j)->table;

    params_int(p, t->id);
    params_int(p, t->source->key_index);
}

enum job_next lead_take_capture_state(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);

    if (field_is_null(r, 0, "problem"))
        return job_goto(j, "partitions gone");
    if (!field_bool(r, 0, "is_lossy"))
        return JOB_NEXT; /* repair */
    if (j->sync->other) {
        batch_pause_broken(l->table, field_text(r, 0, "problem"), true);
        l->table->wants_plan = false;
        return job_goto(j, "resume");
    }
    log_event(LOG_NOTICE, "capture was interrupted: the table is copied again", "sync",
              j->sync->name, "table", l->table->label, "why", field_text(r, 0, "problem"), NULL);
    l->table->wants_plan = false;
    l->table->wants_copy = true;
    l->table->is_lossy = true;
    l->table->pause = TABLE_CAPTURE;
    return job_goto(j, "next copy");
}

enum job_next lead_repair_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    struct lead_job *l = lead_of(j);

    if (m->event == CONN_RESULT && job_result_failed(m->result)) {
        const char *state = PQresultErrorField(m->result, PG_DIAG_SQLSTATE);
        enum sqlstate_action action = sqlstate_action(state ? state : "");
        struct error e;

        if (action == SQLSTATE_RECONNECT)
            return job_fail_result(j, side, m->result);
        conn_result_error(job_conn(j, side), m->result, &e);
        l->table->wants_plan = false; /* a later reconciliation tries again */
        if (action == SQLSTATE_RETRY)
            j->sync->wants_catalog = true;
        else
            table_pause(l->table, TABLE_CAPTURE, &e);
    }
    if (m->event != CONN_DONE)
        return JOB_WAIT;
    return l->table->wants_plan ? JOB_NEXT : job_goto(j, "resume");
}

enum job_next lead_enter_log_partitions(struct job *j)
{
    params_clear(&j->params);
    params_int(&j->params, lead_of(j)->table->id);
    conn_execute(job_conn(j, JOB_SOURCE), &sql_capture_log_partitions, &j->params, CONN_TEXT, 0);
    return JOB_WAIT;
}

enum job_next lead_enter_repair(struct job *j)
{
    params_clear(&j->params);
    params_int(&j->params, lead_of(j)->table->id);
    conn_execute(job_conn(j, JOB_SOURCE), &sql_capture_repair, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

enum job_next lead_enter_resumed(struct job *j)
{
    const struct table *t = lead_of(j)->table;

    params_clear(&j->params);
    lead_bind_table(j, &j->params);
    params_text(&j->params, t->source->layout);
    params_text(&j->params, t->target->layout);
    params_text(&j->params, t->source->schema);
    params_text(&j->params, t->source->name);
    params_text(&j->params, t->target->schema);
    params_text(&j->params, t->target->name);
    conn_execute(job_conn(j, JOB_TARGET), &sql_table_resume, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

enum job_next lead_take_resumed(struct job *j, PGresult *r)
{
    struct table *t = lead_of(j)->table;

    (void)r;
    log_event(LOG_NOTICE, "table goes on", "sync", j->sync->name, "table", t->label, "after",
              table_pause_name(t->pause), NULL);
    t->pause = TABLE_RUNS;
    t->is_recorded = false;
    t->wants_plan = false;
    t->takes_values = false;
    t->failures = 0;
    lead_note_definition(t);
    batch_wake(j->sync->batch); /* its changes have waited */
    return job_goto(j, "resume");
}

/* ------------------------------------------------------------------ statements */

enum job_next lead_enter_read_statements(struct job *j)
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

enum job_next lead_take_read_statements(struct job *j, PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        struct table *t = sync_table_find(j->sync, field_int(r, i, "id"));

        if (t)
            t->read_sql = arena_strdup(t->arena, field_text(r, i, "statement"));
    }
    return JOB_NEXT;
}

enum job_next lead_enter_apply_statements(struct job *j)
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

enum job_next lead_take_apply_statements(struct job *j, PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        struct table *t = sync_table_find(j->sync, field_int(r, i, "id"));

        if (t == NULL)
            continue;
        t->upsert_sql = arena_strdup(t->arena, field_text(r, i, "upsert"));
        t->remove_sql = arena_strdup(t->arena, field_text(r, i, "remove"));
        t->clear_sql = arena_strdup(t->arena, field_text(r, i, "clear"));
        t->upsert_large_sql = arena_strdup(t->arena, field_or_null(r, i, "upsert_large"));
    }
    return JOB_NEXT;
}
