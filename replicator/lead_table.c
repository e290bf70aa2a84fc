/* The leading job's work on single tables: leaving one, capturing one and planning its copy, going
 * on with one that was paused, and having its statements made.
 *
 * Capture at the source and the position to read from are one transaction there, the table and its
 * chunks another at the target. A crash between the two leaves a capture that the next start finds
 * and takes over with a later position, before anything was copied. */
#include "lead_steps.h"

#include <stdlib.h>
#include <string.h>

#include "batch_merge.h"
#include "batch_read.h"
#include "daemon.h"
#include "log.h"
#include "plan.h"
#include "skip.h"
#include "sqlstate.h"
#include "steady.h"
#include "two_way.h"
#include "upkeep.h"

#define CAPTURE_RETRY_S 1.
#define EARLY_BYTES (8 * 1024 * 1024) /* copying them takes longer than a capture */

/* What was just recorded at the target. */
static void note_definition(struct table *t)
{
    table_set_layouts(t, t->source->layout, t->target->layout);
    table_set_names(t, (const char *const[4]){t->source->schema, t->source->name, t->target->schema,
                                              t->target->name});
}

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

static bool is_known(const PGresult *r, struct table *t)
{
    for (int i = 0; i < PQntuples(r); i++)
        if (atoi(PQgetvalue(r, i, 0)) == t->id) {
            for (t->captured = TABLE_NOTHING; t->captured > TABLE_KEY; t->captured--)
                if (strcmp(table_records_name(t->captured), PQgetvalue(r, i, 2)) == 0)
                    break;
            return (Oid)strtoul(PQgetvalue(r, i, 1), NULL, 10) == t->source_oid;
        }
    return false;
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
        if ((PQgetvalue(r, i, 3)[0] == 't') != (j->sync->other != NULL))
            return refuse_mode(j);
    for (struct list *l = j->sync->tables.next; l != &j->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        t->is_orphan = t->id != 0 && !is_known(r, t);
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
    t->is_orphan = false;
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

/* ------------------------------------------------------------------ capture and copy */

enum job_next lead_enter_next_copy(struct job *j)
{
    struct lead_job *l = lead_of(j);

    l->is_blocked = false;
    l->table = plan_next_copy(j->sync, steady_now());
    if (l->table == NULL)
        return job_goto(j, "resume");
    if (!j->sync->is_led && j->sync->phase < SYNC_CAPTURE)
        j->sync->phase = SYNC_CAPTURE;
    return upkeep_tell_early(j);
}

void lead_bind_rows_there(struct job *j, struct params *p)
{
    params_text(p, arena_printf(j->arena, "{%u}", lead_of(j)->table->target->oid));
}

/* A first copy goes into an empty table only: what is there might be somebody's. */
enum job_next lead_take_rows_there(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);
    struct error e = {0};
    bool may_replace =
        !l->table->is_other_target || j->sync->replaces_rows || l->table->copy_is_asked;

    l->adopts = j->sync->is_back; /* they came the other way */
    if (l->adopts)
        return JOB_NEXT;
    l->table->wants_copy |= j->sync->replaces_rows;
    l->adopts = PQntuples(r) > 0 && !l->table->wants_copy && j->sync->config->copy_adopt;
    if (PQntuples(r) == 0 || (l->table->wants_copy && may_replace) || l->adopts)
        return JOB_NEXT;
    error_set(&e, "%s holds rows at the target already", l->table->target->label);
    error_hint(&e, "Empty it, or run `rebeco resync %s` to have its rows replaced.",
               l->table->label);
    table_pause(l->table, TABLE_DRIFT, &e);
    l->table->next_try = steady_now() + 10;
    return job_goto(j, "next copy");
}

static void send_capture(struct job *j)
{
    struct table *t = lead_of(j)->table;

    params_clear(&j->params);
    params_int(&j->params, t->source_oid);
    params_int(&j->params, t->source->key_index);
    params_text(&j->params, batch_merge_is_asked(t) ? "row" : j->sync->config->capture);
    params_text(&j->params, j->sync->consumer);
    params_text(&j->params, table_records_name(t->records));
    params_bool(&j->params, j->sync->other != NULL);
    params_text(&j->params, two_way_new_position(t));
    conn_execute(job_conn(j, JOB_SOURCE), &sql_consumer_table_add, &j->params, CONN_TEXT, 60.);
}

enum job_next lead_enter_capture(struct job *j)
{
    send_capture(j);
    return JOB_WAIT;
}

/* Backs off from a table: twice as long each time. */
static void try_later(struct lead_job *l)
{
    struct table *t = l->table;
    double wait_s = CAPTURE_RETRY_S * (double)(1 << (t->tries < 6 ? t->tries : 6));

    t->tries++;
    t->next_try = steady_now() + wait_s;
}

/* A table that cannot be captured or emptied is that table's trouble: it is paused with the
 * server's words and tried again, the others go on. */
static enum job_next table_failed(struct job *j, enum job_side side, const PGresult *r)
{
    struct lead_job *l = lead_of(j);
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    enum sqlstate_action action = sqlstate_action(state ? state : "");
    struct error e;

    if (action == SQLSTATE_RECONNECT || (state && strcmp(state, SQLSTATE_TAKEN_OVER) == 0))
        return job_fail_result(j, side, r);
    try_later(l);
    if (state && strcmp(state, SQLSTATE_OTHER_TABLE) == 0)
        l->table->copy_is_asked = false; /* it was not this one that was meant */
    l->is_blocked = action == SQLSTATE_RETRY && side == JOB_SOURCE;
    conn_result_error(job_conn(j, side), r, &e);
    if (action == SQLSTATE_RETRY && side == JOB_TARGET)
        log_error(LOG_NOTICE, "a table at the target is held by somebody", &e, "sync",
                  j->sync->name, "table", l->table->label, NULL);
    if (action == SQLSTATE_RETRY)
        return JOB_WAIT;
    table_pause(l->table, l->table->id ? TABLE_ERROR : TABLE_DRIFT, &e);
    return JOB_WAIT;
}

/* For steps about one table: their end goes on only if they went well. */
enum job_next lead_table_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    struct lead_job *l = lead_of(j);

    if (m->event == CONN_RESULT && job_result_failed(m->result))
        return table_failed(j, side, m->result);
    if (m->event == CONN_RESULT && l->job.step->result)
        j->answer = l->job.step->result(j, m->result);
    if (m->event != CONN_DONE)
        return JOB_WAIT;
    if (l->table->next_try <= steady_now())
        return j->answer;
    return job_goto(j, l->is_blocked ? "blockers" : "next copy");
}

enum job_next lead_take_capture(struct job *j, PGresult *r)
{
    struct table *t = lead_of(j)->table;

    t->id = atoi(PQgetvalue(r, 0, 0));
    t->captured = t->records;
    t->knows_merge = false;
    table_set_snapshot(t, PQgetvalue(r, 0, 1));
    t->log = strtoll(PQgetvalue(r, 0, 2), NULL, 10);
    if (strcmp(j->sync->config->capture, "statement") == 0 &&
        strcmp(PQgetvalue(r, 0, 3), "row") == 0)
        log_event(
            LOG_NOTICE, "captured by row triggers", "sync", j->sync->name, "table", t->label,
            "hint",
            "Statement triggers do not see all changes of a table that is partitioned, has "
            "parents or children, is filled by a subscription, or is read by another sync so.",
            NULL);
    return JOB_NEXT;
}

/* What an earlier copy left goes, now that nothing can be missed any more. */
enum job_next lead_enter_empty(struct job *j)
{
    struct lead_job *l = lead_of(j);

    l->emptied = NULL;
    if (l->adopts) { /* its rows are there */
        l->chunks = "[]";
        return job_goto(j, "add");
    }
    if (!l->table->wants_copy)
        return JOB_NEXT;
    params_clear(&j->params);
    params_text(&j->params, l->table->target->schema);
    params_text(&j->params, l->table->target->name);
    two_way_bind_session(j, &j->params);
    params_int(&j->params, l->table->target->oid);
    conn_execute(job_conn(j, JOB_TARGET), &sql_table_empty, &j->params, CONN_TEXT, 0);
    return JOB_WAIT;
}

enum job_next lead_take_emptied(struct job *j, PGresult *r)
{
    lead_of(j)->emptied = lead_keep(j, r, 0);
    return JOB_NEXT;
}

void lead_bind_blockers(struct job *j, struct params *p)
{
    params_int(p, lead_of(j)->table->source_oid);
}

enum job_next lead_take_blockers(struct job *j, PGresult *r)
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

void lead_bind_chunks(struct job *j, struct params *p)
{
    const struct lead_job *l = lead_of(j);

    params_int(p, l->table->source_oid);
    params_bool(p, l->table->records == TABLE_KEY);
    params_int(p, j->sync->config->copy_split_bytes);
}

enum job_next lead_take_chunks(struct job *j, PGresult *r)
{
    lead_of(j)->chunks = lead_keep(j, r, 0);
    return JOB_NEXT;
}

void lead_bind_add(struct job *j, struct params *p)
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
    params_text(p, t->source->layout);
    params_text(p, t->target->layout);
    params_int(p, t->log);
    params_text(p, l->emptied);
}

enum job_next lead_take_added(struct job *j, PGresult *r)
{
    table_set_back_since(lead_of(j)->table, PQgetvalue(r, 0, 0));
    return JOB_NEXT;
}

static int count_chunks(const char *chunks)
{
    json_t *list = json_loads(chunks, 0, NULL);
    int n = (int)json_array_size(list);

    json_decref(list);
    return n;
}

enum job_next lead_enter_added(struct job *j)
{
    struct lead_job *l = lead_of(j);
    struct table *t = l->table;

    copy_release_snapshot(t); /* it is older than the new position */
    if (two_way_other(t) && !j->sync->is_back)
        two_way_look_back(two_way_other(t));
    skip_clear(t);
    t->retries = t->searches = 0;
    t->wants_search = false;
    note_definition(t);
    j->sync->is_consistent = false;
    t->is_indexing = false;
    t->bytes_moving = 0;
    t->rows_moving = 0;
    t->copied_at = 0;
    t->tries = 0;
    t->state = TABLE_COPY;
    t->pause = TABLE_RUNS;
    t->is_recorded = false;
    t->is_lossy = t->is_tried_again = false;
    t->wants_copy = t->copy_is_asked = false;
    t->wants_plan = false;
    t->takes_values = false;
    t->tolerant = false;
    t->delete_first = false;
    t->bytes = t->source->bytes;
    t->rows = t->source->rows;
    t->bytes_done = 0;
    t->rows_done = 0;
    t->chunks = count_chunks(l->chunks);
    t->chunks_done = 0;
    t->copy_started_at = 0;
    log_event(LOG_INFO, "capture installed", "sync", j->sync->name, "table", t->label, "chunks",
              log_int(t->chunks), NULL);
    if (t->records == TABLE_IMAGE)
        log_event(LOG_WARNING, "table without a key: each of its changes costs more", "sync",
                  j->sync->name, "table", t->label, "hint",
                  "Its rows are logged as a whole, a batch with updates or deletes scans it at the "
                  "target, and its copy begins anew when it is broken off. Give it a primary key, "
                  "or name it in tables.whole if it is small.",
                  NULL);
    if (t->bytes > EARLY_BYTES)
        sync_start_early(j->sync);
    return job_goto(j, "next copy");
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

    if (PQgetisnull(r, 0, 0))
        return job_goto(j, "resumed");
    if (PQgetvalue(r, 0, 1)[0] != 't')
        return JOB_NEXT; /* repair */
    if (j->sync->other) {
        batch_pause_broken(l->table, PQgetvalue(r, 0, 0), true);
        l->table->wants_plan = false;
        return job_goto(j, "resume");
    }
    log_event(LOG_NOTICE, "capture was interrupted: the table is copied again", "sync",
              j->sync->name, "table", l->table->label, "why", PQgetvalue(r, 0, 0), NULL);
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
    note_definition(t);
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
        struct table *t = sync_table_find(j->sync, atoi(PQgetvalue(r, i, 0)));

        if (t)
            t->read_sql = arena_strdup(t->arena, PQgetvalue(r, i, 1));
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
        struct table *t = sync_table_find(j->sync, atoi(PQgetvalue(r, i, 0)));

        if (t == NULL)
            continue;
        t->upsert_sql = arena_strdup(t->arena, PQgetvalue(r, i, 1));
        t->remove_sql = arena_strdup(t->arena, PQgetvalue(r, i, 2));
        t->clear_sql = arena_strdup(t->arena, PQgetvalue(r, i, 3));
        t->upsert_large_sql =
            PQgetisnull(r, i, 4) ? NULL : arena_strdup(t->arena, PQgetvalue(r, i, 4));
    }
    return JOB_NEXT;
}
