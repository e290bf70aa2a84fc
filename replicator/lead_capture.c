/* How a table comes into the sync, or begins anew: its capture at the source, the emptying of what
 * an earlier copy left at the target, and the plan of its copy.
 *
 * Capture at the source and the position to read from are one transaction there, the table and its
 * chunks another at the target. A crash between the two leaves a capture that the next start finds
 * and takes over with a later position, before anything was copied. */
#include "lead_steps.h"

#include <jansson.h>
#include <string.h>

#include "batch_merge.h"
#include "copy.h"
#include "field.h"
#include "log.h"
#include "plan.h"
#include "skip.h"
#include "sqlstate.h"
#include "steady.h"
#include "two_way.h"
#include "upkeep.h"

#define CAPTURE_RETRY_S 1.
#define EARLY_BYTES (8 * 1024 * 1024) /* copying them takes longer than a capture */

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
    error_hint(&e, "Empty it, or run `rebeco resync %s` to have its rows replaced%s.",
               l->table->label,
               j->sync->other ? " by those of the source. Either way what only the target has is "
                                "lost: bring it to the source before"
                              : "");
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

    t->id = field_int(r, 0, "id");
    t->captured = t->records;
    t->knows_merge = false;
    table_set_snapshot(t, field_text(r, 0, "snapshot"));
    t->log = field_int64(r, 0, "log");
    if (strcmp(j->sync->config->capture, "statement") == 0 &&
        strcmp(field_text(r, 0, "form"), "row") == 0)
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
    if (l->adopts || !l->table->wants_copy) /* the way back goes on meanwhile, or is lost */
        l->emptied = arena_strdup(j->arena, two_way_captured_since(l->table));
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
    lead_of(j)->emptied = lead_keep(j, r, "emptied");
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
              t->label, "pid", any ? field_text(r, 0, "pid") : NULL, "who",
              any ? field_text(r, 0, "who") : NULL, "state", any ? field_text(r, 0, "state") : NULL,
              "open_for_s", any ? field_text(r, 0, "age_s") : NULL, "hint",
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
    lead_of(j)->chunks = lead_keep(j, r, "chunks");
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
    table_set_back_since(lead_of(j)->table, field_text(r, 0, "back_since"));
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
    two_way_was_added(t);
    skip_clear(t);
    t->retries = t->searches = 0;
    t->wants_search = false;
    lead_note_definition(t);
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
    t->wants_copy = t->copy_is_asked = t->owes_keys = false;
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
