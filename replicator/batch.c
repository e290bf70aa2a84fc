/* Why a batch is exact.
 *
 * A batch is what is visible in snapshot B and not in A. The log row of a change carries the id of
 * the transaction that wrote it, and is itself written by that transaction: a reader in B sees it
 * if and only if B sees the change. So `xid >= A.xmax OR xid = ANY (A's running ones)`, read in B,
 * is exactly the changes between A and B, for any order of commits, any straggler, savepoints and
 * prepared transactions. The rows of those keys are read in B too: what arrives is B's state.
 *
 * B is written into the target in the transaction that applies the rows. A crash before its commit
 * leaves A, and the batch is made again with a later B; a crash after it leaves B. Nothing else
 * remembers a position; the source is told afterwards and only so that it may prune.
 *
 * Two things a snapshot does not protect from, both looked for after the reading (batch_check):
 * - a table that is rewritten or truncated after B was taken appears empty in B, and one whose
 *   columns are renamed is read under its new names: a stamp of the catalog's rows is compared;
 * - B may see transactions whose commit is not on disk yet (synchronous_commit = off); the batch
 *   waits until they are, so that a crash of the source never leaves the target ahead of it. */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "batch_judge.h"
#include "batch_quiet.h"
#include "batch_read.h"
#include "lead.h"
#include "log.h"
#include "sqlstate.h"

#define CONFIRM_EVERY_S 1.
#define REST_MAX_S 0.2
#define MANY_CHANGES 5000

static struct conn *source_of(struct batch_job *b)
{
    return job_conn(&b->job, JOB_SOURCE);
}

static struct conn *target_of(struct batch_job *b)
{
    return job_conn(&b->job, JOB_TARGET);
}

enum job_next batch_sync_source(struct batch_job *b)
{
    conn_sync(source_of(b));
    b->syncs_due++;
    return JOB_WAIT;
}

static enum job_next sync_target(struct batch_job *b)
{
    conn_sync(target_of(b));
    b->syncs_due++;
    return JOB_WAIT;
}

/* ------------------------------------------------------------------ starting a run */

static void begin(struct job *j)
{
    struct batch_job *b = batch_of(j);

    apply_reset(&b->apply);
    ring_clear(&b->sent);
    b->syncs_due = b->group_count = 0;
    b->probes = 0;
    b->has_napped = false;
    b->quiet_rounds = 0;
    b->confirmed_s = 0;
    for (struct list *l = j->sync->tables.next; l != &j->sync->tables; l = l->next)
        container_of(l, struct table, in_sync)->is_recording = false;
    batch_owe_whole(b);
}

/* Both connections speak in pipelines from here on. */
static enum job_next enter_pipeline(struct job *j)
{
    struct batch_job *b = batch_of(j);
    static const struct sql *const files[] = {
        &sql_capture_nap, &sql_capture_await, &sql_batch_snapshot,  &sql_batch_stamps,
        &sql_batch_check, &sql_confirm,       &sql_probe_statements};

    conn_pipeline_begin(source_of(b));
    conn_pipeline_begin(target_of(b));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        batch_prepare(b, files[i]->name, files[i]->text);
    conn_prepare(target_of(b), sql_sync_advance.name, sql_sync_advance.text, NULL);
    apply_sent_other(&b->apply);
    conn_prepare(target_of(b), sql_table_pause.name, sql_table_pause.text, NULL);
    apply_sent_other(&b->apply);
    batch_sync_source(b);
    return sync_target(b);
}

/* A table that was taken out of step keeps its position, and the target must know it before the
 * next batch goes on without it: otherwise it would seem to be where the others are. */
static enum job_next enter_record(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = false;

    for (struct list *l = b->sync->tables.next; l != &b->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->pause == TABLE_RUNS || t->is_recorded || t->id == 0)
            continue;
        params_clear(&j->params);
        params_text(&j->params, b->sync->name);
        params_int(&j->params, b->sync->owner);
        params_int(&j->params, t->id);
        params_text(&j->params, table_pause_name(t->pause));
        params_text(&j->params, t->why.what);
        params_text(&j->params, t->why.detail);
        params_text(&j->params, t->why.hint);
        conn_execute_name(target_of(b), sql_table_pause.name, &j->params, CONN_TEXT, 60.);
        apply_sent_other(&b->apply);
        /* As the target does; from here it is also what the source must keep the log for. */
        if (t->state == TABLE_FOLLOW && t->snapshot == NULL)
            table_set_snapshot(t, b->sync->snapshot);
        t->is_recording = true;
        b->sync->is_consistent = false;
        any = true;
    }
    return any ? sync_target(b) : JOB_NEXT;
}

/* ------------------------------------------------------------------ looking for changes */

/* What was sent to be recorded is recorded: such a table has a position of its own from here on,
 * the one that the sync has at this moment. */
static void note_recorded(struct batch_job *b)
{
    for (struct list *l = b->sync->tables.next; l != &b->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (!t->is_recording)
            continue;
        t->is_recording = false;
        t->is_recorded = true;
        b->sync->wants_catalog = true; /* it stands still: it may be mended now */
        lead_wake(b->sync->lead);
        if (t->state == TABLE_FOLLOW && t->snapshot == NULL)
            table_set_snapshot(t, b->sync->snapshot);
    }
}

static enum job_next enter_gather(struct job *j)
{
    struct batch_job *b = batch_of(j);

    note_recorded(b);

    if (b->sync->is_paused)
        return job_sleep(j, 0.2, job_goto(j, "record"));
    if (batch_has_unrecorded(b))
        return job_goto(j, "record");
    if (b->group_count > 0 && batch_group_is_current(b))
        return job_goto(j, "snapshot");
    batch_group_rebuild(b);
    if (b->group_count == 0)
        return job_sleep(j, 0.1, job_goto(j, "record"));
    batch_send_probe_texts(b);
    return batch_sync_source(b);
}

static enum job_next enter_prepared(struct job *j)
{
    return batch_sync_source(batch_of(j));
}

static enum job_next enter_snapshot(struct job *j)
{
    struct batch_job *b = batch_of(j);

    arena_free(b->arena);
    b->arena = arena_new();
    b->changes = 0;
    b->has_moved = false;
    b->is_flushed = true;
    b->until = NULL;
    b->taken_s = ev_time();
    b->rounds_begun++;
    if (!batch_find_positions(b))
        return JOB_FAILED;
    batch_say(b, &sql_batch_begin);
    params_clear(&j->params);
    batch_ask(b, &sql_batch_snapshot, BATCH_SNAPSHOT);
    for (int i = 0; i < b->probes; i++)
        batch_send_probe(b, i);
    return batch_sync_source(b);
}

/* ------------------------------------------------------------------ is it worth a batch? */

/* After the probes: nothing to do, or a batch. */
static enum job_next enter_judge(struct job *j)
{
    struct batch_job *b = batch_of(j);

    if (!batch_is_due(b)) {
        batch_say(b, &sql_commit);
        return batch_sync_source(b); /* then "quiet" */
    }
    b->quiet_rounds = 0;
    b->has_napped = false;
    b->found_s = b->taken_s;
    return job_goto(j, "read");
}

static enum job_next enter_look_again(struct job *j)
{
    return job_goto(j, "record");
}

/* Tables whose rows trade unique values are emptied of all the batch's keys before anything is
 * written. */
static enum job_next enter_read(struct job *j)
{
    struct batch_job *b = batch_of(j);

    conn_query(target_of(b), sql_begin.text, NULL, CONN_TEXT, 0);
    apply_sent_other(&b->apply);
    batch_send_stamps(b, &sql_batch_stamps, BATCH_STAMPS);
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].changes > 0 && b->group[i].table->delete_first)
            batch_send_read(b, &b->group[i], APPLY_REMOVE);
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].changes > 0)
            batch_send_read(b, &b->group[i], APPLY_ALL);
    batch_say(b, &sql_commit);
    batch_send_stamps(b, &sql_batch_check, BATCH_CHECK);
    return batch_sync_source(b);
}

/* Enough is on its way to the target: the source waits. */
static void hold_back(struct batch_job *b)
{
    if (apply_is_full(&b->apply, b->sync->config->apply_batch_bytes))
        conn_pause_reading(source_of(b));
}

/* Tries the batch again at once, without what was paused meanwhile. */
static enum job_next again(struct batch_job *b, const char *why)
{
    struct error e = {0};

    error_set(&e, "source: %s; the batch is made again", why);
    snprintf(e.sqlstate, sizeof e.sqlstate, "40001");
    return job_fail(&b->job, &e);
}

/* The statement of a table failed: what of it can be dealt with here is noted at the table; the
 * batch is made again, with the table treated otherwise or without it. */
static enum job_next statement_failed(struct batch_job *b, enum job_side side, struct table *t,
                                      const PGresult *r)
{
    enum sqlstate_action action;
    struct error e;

    conn_result_error(job_conn(&b->job, side), r, &e);
    action = sqlstate_action(e.sqlstate);
    if (strcmp(e.sqlstate, SQLSTATE_TAKEN_OVER) == 0)
        lead_again(b->sync->lead);
    if (t && sqlstate_is_of_table(action)) {
        t->failures++;
        error_place(&e, "table %s", t->label);
        if (action == SQLSTATE_CONFLICT && !t->delete_first && t->records == TABLE_KEY &&
            apply_may_remove_first(t))
            t->delete_first = true;
        else if (side == JOB_TARGET || t->failures > 3)
            table_pause(t, TABLE_ERROR, &e);
        b->sync->wants_catalog = true;
    }
    return job_fail(&b->job, &e);
}

static enum job_next source_result(struct batch_job *b, const PGresult *r)
{
    if (job_result_failed(r))
        return statement_failed(b, JOB_SOURCE, batch_first_table(b), r);
    if (!batch_take(b, r))
        return again(b, "a table has changed its look");
    return JOB_WAIT;
}

static enum job_next target_result(struct batch_job *b, const PGresult *r)
{
    struct table *t = NULL;

    if (PQresultStatus(r) != PGRES_PIPELINE_SYNC)
        t = apply_result(&b->apply, r);
    if (job_result_failed(r))
        return statement_failed(b, JOB_TARGET, t, r);
    if (source_of(b)->reading_paused &&
        !apply_is_full(&b->apply, b->sync->config->apply_batch_bytes / 2))
        conn_resume_reading(source_of(b));
    return JOB_WAIT;
}

/* The one event function of all steps: each goes on when every sync point is reached. */
static enum job_next on_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    struct batch_job *b = batch_of(j);

    if (m->event == CONN_RESULT)
        return side == JOB_SOURCE ? source_result(b, m->result) : target_result(b, m->result);
    if (m->event == CONN_BETWEEN) {
        apply_send_full(&b->apply);
        hold_back(b);
    }
    if (m->event != CONN_DONE)
        return JOB_WAIT;
    return --b->syncs_due == 0 ? JOB_NEXT : JOB_WAIT;
}

/* ------------------------------------------------------------------ committing */

static enum job_next enter_check(struct job *j)
{
    struct batch_job *b = batch_of(j);

    if (b->has_moved)
        return again(b, "a table was rewritten, truncated or altered while it was read");
    return b->is_flushed ? job_goto(j, "commit") : JOB_NEXT;
}

/* Where the tables out of step are, as arrays for sql/confirm.sql. */
static enum job_next send_confirmation(struct batch_job *b)
{
    struct buf ids = {0}, positions = {0};

    for (struct list *l = b->sync->tables.next; l != &b->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->id == 0 || t->snapshot == NULL)
            continue;
        buf_printf(&ids, "%s%d", ids.len ? "," : "{", t->id);
        buf_printf(&positions, "%s\"%s\"", positions.len ? "," : "{", t->snapshot);
    }
    buf_text(&ids, ids.len ? "}" : "{}");
    buf_text(&positions, positions.len ? "}" : "{}");
    params_clear(&b->job.params);
    params_text(&b->job.params, b->sync->consumer);
    params_text(&b->job.params, b->sync->snapshot);
    params_text(&b->job.params, ids.data);
    params_text(&b->job.params, positions.data);
    batch_ask(b, &sql_confirm, BATCH_NOTHING);
    b->confirmed_s = ev_time();
    b->confirm_due = false;
    buf_fini(&ids);
    buf_fini(&positions);
    return batch_sync_source(b);
}

/* The batch saw commits that are not on the source's disk: a commit of ours flushes them. */
static enum job_next enter_flush(struct job *j)
{
    return send_confirmation(batch_of(j));
}

static enum job_next enter_commit(struct job *j)
{
    struct batch_job *b = batch_of(j);
    struct buf joining = {0};

    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].table->snapshot)
            buf_printf(&joining, "%s%d", joining.len ? "," : "{", b->group[i].table->id);
    buf_text(&joining, joining.len ? "}" : "{}");
    params_clear(&j->params);
    params_text(&j->params, b->sync->name);
    params_int(&j->params, b->sync->owner);
    params_text(&j->params, b->sync->snapshot);
    params_text(&j->params, b->until);
    params_text(&j->params, b->taken_at);
    params_text(&j->params, joining.data);
    params_bool(&j->params, batch_is_everything(b));
    conn_execute_name(target_of(b), sql_sync_advance.name, &j->params, CONN_TEXT, 0);
    apply_sent_other(&b->apply);
    conn_query(target_of(b), sql_commit.text, NULL, CONN_TEXT, 0);
    apply_sent_other(&b->apply);
    buf_fini(&joining);
    return sync_target(b);
}

static void note_tables(struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++) {
        struct table *t = b->group[i].table;

        table_set_snapshot(t, NULL);
        if (b->group[i].changes == 0)
            continue;
        t->changes_pending = 0;
        t->failures = 0;
        t->moves = 0;
        t->delete_first = false;
        batch_whole_read(t);
        sync_table_changed(t);
    }
}

static enum job_next enter_committed(struct job *j)
{
    struct batch_job *b = batch_of(j);
    struct sync *s = b->sync;

    free(s->snapshot);
    s->snapshot = mem_strdup(b->until);
    s->is_consistent = batch_is_everything(b);
    s->caught_up_at = b->taken_s;
    s->batches++;
    s->batch_rows += b->apply.rows_written;
    s->last_batch_s = ev_time() - b->taken_s;
    histogram_add(&s->batch_times, s->last_batch_s);
    b->apply.rows_written = 0;
    b->confirm_due = true;
    batch_round_done(b);
    j->failures = 0;
    note_tables(b);
    sync_think(s);
    return ev_time() - b->confirmed_s < CONFIRM_EVERY_S ? job_goto(j, "rest") : JOB_NEXT;
}

static enum job_next enter_confirm(struct job *j)
{
    return send_confirmation(batch_of(j));
}

/* The source gets as much rest as the batch took, unless much is waiting. */
static enum job_next enter_rest(struct job *j)
{
    struct batch_job *b = batch_of(j);
    double rest_s = b->sync->last_batch_s;

    if (b->changes > MANY_CHANGES)
        rest_s = 0;
    if (rest_s < b->sync->config->poll_s)
        rest_s = b->sync->config->poll_s;
    return job_sleep(j, rest_s < REST_MAX_S ? rest_s : REST_MAX_S, job_goto(j, "record"));
}

/* ------------------------------------------------------------------ the job */

static enum job_next take_session_apply(struct job *j, PGresult *r)
{
    j->sync->has_replica_role = PQgetvalue(r, 0, 0)[0] == 't';
    return JOB_NEXT;
}

static void bind_position(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

/* A commit whose answer was lost has moved the position, or another daemon has. */
static enum job_next take_position(struct job *j, PGresult *r)
{
    const struct sync *s = j->sync;
    struct error e = {0};
    const char *there = PQntuples(r) && !PQgetisnull(r, 0, 0) ? PQgetvalue(r, 0, 0) : "";

    if (PQntuples(r) && strcmp(there, s->snapshot ? s->snapshot : "") == 0 &&
        strtoll(PQgetvalue(r, 0, 1), NULL, 10) == s->owner)
        return JOB_NEXT;
    lead_again(s->lead);
    error_set(&e, "target: the sync is not where this daemon left it");
    return job_fail(j, &e);
}

static const struct job_step steps[] = {
    {.name = "session read", .sql = &sql_session_read, .side = JOB_SOURCE},
    {.name = "listen", .sql = &sql_listen_wake, .side = JOB_SOURCE},
    {.name = "session apply",
     .sql = &sql_session_apply,
     .side = JOB_TARGET,
     .result = take_session_apply},
    {.name = "position",
     .sql = &sql_sync_position,
     .side = JOB_TARGET,
     .bind = bind_position,
     .result = take_position},
    {.name = "pipeline", .enter = enter_pipeline, .event = on_event},
    {.name = "record", .enter = enter_record, .event = on_event},
    {.name = "gather", .enter = enter_gather, .event = on_event},
    {.name = "prepared", .enter = enter_prepared, .event = on_event},
    {.name = "snapshot", .enter = enter_snapshot, .event = on_event},
    {.name = "judge", .enter = enter_judge, .event = on_event},
    {.name = "quiet", .enter = batch_enter_quiet, .event = on_event},
    {.name = "disturbed", .enter = batch_enter_disturbed, .event = on_event},
    {.name = "undisturbed", .enter = batch_enter_undisturbed, .event = on_event},
    {.name = "nap", .enter = batch_enter_nap, .event = on_event},
    {.name = "look again", .enter = enter_look_again, .event = on_event},
    {.name = "read", .enter = enter_read, .event = on_event},
    {.name = "check", .enter = enter_check, .event = on_event},
    {.name = "flush", .enter = enter_flush, .event = on_event},
    {.name = "commit", .enter = enter_commit, .event = on_event},
    {.name = "committed", .enter = enter_committed, .event = on_event},
    {.name = "confirm", .enter = enter_confirm, .event = on_event},
    {.name = "rest", .enter = enter_rest, .event = on_event},
    {0},
};

static void notified(struct job *j, enum job_side side, const char *channel, const char *payload)
{
    (void)side;
    (void)channel;
    (void)payload;
    batch_wake(batch_of(j));
}

static const struct job_type batch_type = {
    .name = "batch",
    .uses = {true, true},
    .steps = steps,
    .begin = begin,
    .notified = notified,
};

void batch_wake(struct batch_job *b)
{
    b->quiet_rounds = 0;
    b->has_napped = false;
    if (job_is_at(&b->job, "quiet") && b->job.has_later)
        job_continue(&b->job, job_goto(&b->job, "record"));
}

struct batch_job *batch_new(struct sync *s)
{
    struct batch_job *b = mem_alloc(sizeof *b);

    job_init(&b->job, s->loop, &batch_type, s, s->config->source, s->config->target);
    apply_init(&b->apply, target_of(b));
    ring_init(&b->sent, sizeof(struct batch_sent));
    b->sync = s;
    return b;
}

void batch_free(struct batch_job *b)
{
    if (b == NULL)
        return;
    job_fini(&b->job);
    apply_fini(&b->apply);
    arena_free(b->arena);
    free(b->group);
    ring_fini(&b->sent);
    free(b);
}

void batch_start(struct batch_job *b)
{
    if (!job_is_running(&b->job))
        job_start(&b->job);
}

void batch_stop(struct batch_job *b)
{
    job_stop(&b->job);
}
