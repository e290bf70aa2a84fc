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

#include "batch_chain.h"
#include "batch_foreign_key.h"
#include "batch_half.h"
#include "batch_hot.h"
#include "batch_judge.h"
#include "batch_order.h"
#include "batch_page.h"
#include "batch_probe.h"
#include "batch_quiet.h"
#include "batch_read.h"
#include "batch_record.h"
#include "batch_decide.h"
#include "batch_two_way.h"
#include "field.h"
#include "lead.h"
#include "log.h"
#include "skip.h"
#include "sqlstate.h"
#include "steady.h"
#include "two_way.h"

#define CONFIRM_EVERY_S 1.

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

enum job_next batch_sync_target(struct batch_job *b)
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
    b->syncs_due = b->group_count = b->looks = 0;
    b->is_in_round = b->has_begun = b->has_napped = b->ends_differ = b->is_announced = false;
    b->quiet_rounds = b->busy_rounds = b->own_count = 0;
    b->confirmed_s = 0;
    batch_forget_telling(b);
    b->owes_conflicts = b->is_half_done = true;
    batch_forget_seen(b);
    batch_hot_forget(b);
    skip_begin(b->sync);
    for (struct list *l = j->sync->tables.next; l != &j->sync->tables; l = l->next)
        container_of(l, struct table, in_sync)->is_recording = false;
    batch_owe_whole(b);
}

/* Both connections speak in pipelines from here on. */
static enum job_next enter_pipeline(struct job *j)
{
    struct batch_job *b = batch_of(j);
    static const struct sql *const files[] = {
        &sql_capture_nap,  &sql_capture_await, &sql_batch_snapshot, &sql_batch_looked,
        &sql_batch_stamps, &sql_batch_check,   &sql_confirm,        &sql_probe_statements};

    conn_pipeline_begin(source_of(b));
    conn_pipeline_begin(target_of(b));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        batch_prepare(b, files[i]->name, files[i]->text);
    conn_prepare(target_of(b), sql_sync_advance.name, sql_sync_advance.text, NULL);
    apply_sent_other(&b->apply);
    conn_prepare(target_of(b), sql_table_pause.name, sql_table_pause.text, NULL);
    apply_sent_other(&b->apply);
    batch_sync_source(b);
    return batch_sync_target(b);
}

/* ------------------------------------------------------------------ looking for changes */

/* No table, or every one stands still: that is a round too, which `kick --wait` may wait for. */
static enum job_next look_at_nothing(struct batch_job *b)
{
    b->is_in_round = false;
    b->rounds_begun++;
    batch_round_done(b);
    batch_decline_round(b);
    return job_sleep(&b->job, 0.1, job_goto(&b->job, "record"));
}

static enum job_next enter_gather(struct job *j)
{
    struct batch_job *b = batch_of(j);

    b->is_in_round = false;
    b->gathers++;
    batch_note_recorded(b);

    if (b->sync->is_paused)
        return job_sleep(j, 0.2, job_goto(j, "record"));
    if (!sync_may_begin_round(b->sync)) {
        batch_decline_round(b);
        return job_sleep(j, 0.05, job_goto(j, "record"));
    }
    if (!two_way_gate(b->sync))
        return job_sleep(j, 0.05, job_goto(j, "record"));
    batch_hold_children(b);
    if (batch_has_unrecorded(b))
        return job_goto(j, "record");
    b->is_in_round = true;
    if (b->group_count > 0 && batch_group_is_current(b))
        return job_goto(j, "meet");
    batch_group_rebuild(b);
    if (b->group_count == 0)
        return look_at_nothing(b);
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
    batch_end_slice(b);
    b->changes = 0;
    b->is_paged = b->has_moved = false;
    b->is_flushed = true;
    b->until = NULL;
    b->taken_s = steady_now();
    b->rounds_begun++;
    if (!batch_find_positions(b))
        return JOB_FAILED;
    batch_say(b, b->sync->other ? &sql_two_way_begin : &sql_batch_begin);
    params_clear(&j->params);
    batch_ask(b, &sql_batch_snapshot, BATCH_SNAPSHOT);
    batch_send_looks(b);
    return batch_sync_source(b);
}

/* ------------------------------------------------------------------ is it worth a batch? */

/* After the probes: nothing to do, or a batch. */
static enum job_next enter_judge(struct job *j)
{
    struct batch_job *b = batch_of(j);

    if (!batch_is_due(b)) {
        b->busy_rounds = 0;
        if (batch_is_idle(b))
            batch_note_seen(b);
        batch_say(b, &sql_commit);
        return batch_sync_source(b); /* then "quiet" */
    }
    b->quiet_rounds = 0;
    b->busy_rounds++;
    b->has_napped = false;
    b->found_s = b->taken_s;
    return job_goto(j, "survivors");
}

static enum job_next enter_look_again(struct job *j)
{
    return job_goto(j, "record");
}

/* Enough is on its way to the target: the source waits. */
static void hold_back(struct batch_job *b)
{
    if (b->writing != BATCH_REFUSED && apply_is_full(&b->apply, b->sync->config->apply_batch_bytes))
        conn_pause_reading(source_of(b));
}

/* Tries the batch again at once, without what was paused meanwhile. */
static enum job_next again(struct batch_job *b, const char *why)
{
    struct error e = {0};

    error_set(&e, "%s: %s; the batch is made again", source_of(b)->label, why);
    snprintf(e.sqlstate, sizeof e.sqlstate, "40001");
    return job_fail(&b->job, &e);
}

/* The statement of a table failed: what of it can be dealt with here is noted at the table. */
static enum job_next statement_failed(struct batch_job *b, enum job_side side, struct table *t,
                                      const PGresult *r)
{
    bool is_named = t == NULL && side == JOB_TARGET;
    struct error e;

    conn_result_error(job_conn(&b->job, side), r, &e);
    if (strcmp(e.sqlstate, SQLSTATE_TAKEN_OVER) == 0)
        lead_again(b->sync->lead);
    if (is_named)
        t = batch_table_named(b, r);
    if (side == JOB_TARGET && batch_give_up(b, t, &e))
        return JOB_WAIT;
    if (is_named) {
        b->sync->wants_catalog = true; /* its foreign keys may have changed, or it is another one */
        lead_wake(b->sync->lead);
    }
    return batch_failed(b, side, t, &e);
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
    if (job_result_failed(r) && b->writing == BATCH_REFUSED)
        return JOB_WAIT;
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
    if (--b->syncs_due > 0)
        return JOB_WAIT;
    return b->writing == BATCH_REFUSED ? job_goto(j, "late") : JOB_NEXT;
}

/* ------------------------------------------------------------------ committing */

static enum job_next enter_check(struct job *j)
{
    struct batch_job *b = batch_of(j);

    b->read_s = steady_now();
    batch_send_clears(b);
    if (b->has_moved)
        return again(b, "a table was rewritten, truncated or altered while it was read");
    return b->is_flushed ? job_goto(j, "late") : JOB_NEXT;
}

static enum job_next enter_commit(struct job *j)
{
    struct batch_job *b = batch_of(j);
    struct buf joining = {0};

    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].table->snapshot)
            buf_printf(&joining, "%s%d", joining.len ? "," : "{", b->group[i].table->id);
    buf_text(&joining, joining.len ? "}" : "{}");
    b->says_consistent = batch_is_everything(b);
    skip_send_settled(b);
    params_clear(&j->params);
    conn_query(target_of(b), sql_constraints_settle.text, &j->params, CONN_TEXT, 0);
    apply_sent_other(&b->apply);
    params_text(&j->params, b->sync->name);
    params_int(&j->params, b->sync->owner);
    params_text(&j->params, b->sync->snapshot);
    params_text(&j->params, b->until);
    params_text(&j->params, b->taken_at);
    params_text(&j->params, joining.data);
    params_bool(&j->params, b->says_consistent && skip_count_left(b->sync) == 0);
    batch_bind_written(b, &j->params);
    conn_execute_name(target_of(b), sql_sync_advance.name, &j->params, CONN_TEXT, 0);
    apply_sent_other(&b->apply);
    conn_query(target_of(b), sql_commit.text, NULL, CONN_TEXT, 0);
    apply_sent_other(&b->apply);
    buf_fini(&joining);
    return batch_sync_target(b);
}

static void note_tables(struct batch_job *b)
{
    b->defers = b->clears_late = false;
    b->clear_turns = 0;
    for (int i = 0; i < b->group_count; i++) {
        struct table *t = b->group[i].table;

        if (t->snapshot) /* it joins the others: what was copied, too, is seen from here on */
            sync_table_changed(t);
        table_set_snapshot(t, NULL);
        t->rows_applied += t->rows_uncommitted;
        t->rows_uncommitted = 0;
        if (b->group[i].changes == 0)
            continue;
        t->changes_pending = 0;
        t->failures = t->retries = t->searches = 0;
        skip_set_poison(t, NULL);
        skip_settled(t);
        t->moves = 0;
        t->delete_first = false;
        batch_whole_read(t);
        t->removes_early = false;
        sync_table_changed(t);
    }
}

static enum job_next enter_committed(struct job *j)
{
    struct batch_job *b = batch_of(j);
    struct sync *s = b->sync;

    free(s->snapshot);
    s->snapshot = mem_strdup(b->until);
    /* A table that left while the commit was under way is not what the target was told: the next
     * round tells it. */
    s->is_consistent = b->says_consistent && batch_is_everything(b);
    s->caught_up_at = b->taken_s;
    s->batches++;
    s->batch_rows += b->apply.rows_written;
    s->last_batch_s = steady_now() - b->taken_s;
    histogram_add(&s->batch_times, s->last_batch_s);
    b->apply.rows_written = 0;
    b->confirm_due = true;
    batch_count_conflicts(b);
    b->is_half_done = batch_moves_decided(b);
    b->refusals = b->refusals_alike = 0;
    batch_hot_forget(b);
    batch_round_done(b);
    j->failures = 0;
    note_tables(b);
    batch_note_seen(b);
    sync_think(s);
    return steady_now() - b->confirmed_s < CONFIRM_EVERY_S ? job_goto(j, "rest") : JOB_NEXT;
}

/* ------------------------------------------------------------------ the job */

static enum job_next take_session_apply(struct job *j, PGresult *r)
{
    bool may = field_bool(r, 0, "has_replica_role");

    batch_of(j)->apply.may_switch = may;
    j->sync->has_replica_role = may && j->sync->config->fire_triggers.count == 0;
    return JOB_NEXT;
}

static void bind_position(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

/* In a two-way sync the application writes at the target, too, and must not queue behind us. */
static void bind_lock_timeout(struct job *j, struct params *p)
{
    if (j->sync->other)
        lead_bind_lock_timeout(j, p);
    else
        params_int(p, 0);
}

/* A commit whose answer was lost has moved the position, or another daemon has. */
static enum job_next take_position(struct job *j, PGresult *r)
{
    const struct sync *s = j->sync;
    struct error e = {0};
    const char *there =
        PQntuples(r) && !field_is_null(r, 0, "snapshot") ? field_text(r, 0, "snapshot") : "";

    if (PQntuples(r) && strcmp(there, s->snapshot ? s->snapshot : "") == 0 &&
        field_int64(r, 0, "owner") == s->owner)
        return JOB_NEXT;
    lead_again(s->lead);
    error_set(&e, "%s: the sync is not where this daemon left it", j->conns[JOB_TARGET].label);
    return job_fail(j, &e);
}

static const struct job_step steps[] = {
    {.name = "session read",
     .sql = &sql_session_read,
     .side = JOB_SOURCE,
     .bind = two_way_bind_pair},
    {.name = "listen", .sql = &sql_listen_wake, .side = JOB_SOURCE},
    {.name = "session apply",
     .sql = &sql_session_apply,
     .side = JOB_TARGET,
     .bind = two_way_bind_session,
     .result = take_session_apply},
    {.name = "position",
     .sql = &sql_sync_position,
     .side = JOB_TARGET,
     .bind = bind_position,
     .result = take_position},
    /* What a batch has read it holds until its end, and whoever alters that waits for us: so we
     * wait for nobody long, who may hold a table for an hour, or want to alter the other one next.
     */
    {.name = "bound source locks",
     .sql = &sql_session_lock_timeout,
     .side = JOB_SOURCE,
     .bind = lead_bind_lock_timeout},
    {.name = "bound locks",
     .sql = &sql_session_lock_timeout,
     .side = JOB_TARGET,
     .bind = bind_lock_timeout},
    {.name = "pipeline", .enter = enter_pipeline, .event = on_event},
    {.name = "record", .enter = batch_enter_record, .event = on_event},
    {.name = "gather", .enter = enter_gather, .event = on_event},
    {.name = "prepared", .enter = enter_prepared, .event = on_event},
    {.name = "meet", .enter = batch_enter_meet, .event = on_event},
    {.name = "recent", .enter = batch_enter_recent, .event = on_event},
    {.name = "share", .enter = batch_enter_share, .event = on_event},
    {.name = "shared", .enter = batch_enter_shared},
    {.name = "glance", .enter = batch_enter_glance, .event = on_event},
    {.name = "glanced", .enter = batch_enter_glanced},
    {.name = "snapshot", .enter = enter_snapshot, .event = on_event},
    {.name = "probe", .enter = batch_enter_probe, .event = on_event},
    {.name = "compare", .enter = batch_enter_compare, .event = on_event},
    {.name = "judge", .enter = enter_judge, .event = on_event},
    {.name = "quiet", .enter = batch_enter_quiet, .event = on_event},
    {.name = "disturbed", .enter = batch_enter_disturbed, .event = on_event},
    {.name = "undisturbed", .enter = batch_enter_undisturbed, .event = on_event},
    {.name = "nap", .enter = batch_enter_nap, .event = on_event},
    {.name = "look again", .enter = enter_look_again, .event = on_event},
    {.name = "survivors", .enter = batch_enter_survivors, .event = on_event},
    {.name = "own keys", .enter = batch_enter_own_keys, .event = on_event},
    {.name = "other keys", .enter = batch_enter_other_keys, .event = on_event},
    {.name = "details", .enter = batch_enter_details, .event = on_event},
    {.name = "decide", .enter = batch_enter_decide, .event = on_event},
    {.name = "agree", .enter = batch_enter_agree, .event = on_event},
    {.name = "sliced", .enter = batch_enter_sliced, .event = on_event},
    {.name = "gone", .enter = batch_enter_gone, .event = on_event},
    {.name = "orphans", .enter = batch_enter_orphans, .event = on_event},
    {.name = "needed", .enter = batch_enter_needed, .event = on_event},
    {.name = "orphans again", .enter = batch_enter_orphans_again, .event = on_event},
    {.name = "kept", .enter = batch_enter_kept, .event = on_event},
    {.name = "decided", .enter = batch_enter_decided, .event = on_event},
    {.name = "page", .enter = batch_enter_page, .event = on_event},
    {.name = "paged", .enter = batch_enter_paged},
    {.name = "open", .enter = batch_enter_open, .event = on_event},
    {.name = "half", .enter = batch_enter_half, .event = on_event},
    {.name = "half known", .enter = batch_enter_half_known},
    {.name = "hot", .enter = batch_enter_hot, .event = on_event},
    {.name = "hot known", .enter = batch_enter_hot_known, .event = on_event},
    {.name = "hot waits", .enter = batch_enter_hot_waits},
    {.name = "read", .enter = batch_enter_read, .event = on_event},
    {.name = "check", .enter = enter_check, .event = on_event},
    {.name = "flush", .enter = batch_enter_flush, .event = on_event},
    {.name = "late", .enter = batch_enter_late, .event = on_event},
    {.name = "late keys", .enter = batch_enter_late_keys, .event = on_event},
    {.name = "late judged", .enter = batch_enter_late_judged, .event = on_event},
    {.name = "times", .enter = batch_enter_times, .event = on_event},
    {.name = "stamped", .enter = batch_enter_stamped, .event = on_event},
    {.name = "commit", .enter = enter_commit, .event = on_event},
    {.name = "committed", .enter = enter_committed, .event = on_event},
    {.name = "confirm", .enter = batch_enter_confirm, .event = on_event},
    {.name = "rest", .enter = batch_enter_rest, .event = on_event},
    {.name = "undo", .enter = batch_enter_undo, .event = on_event},
    {.name = "undone", .enter = enter_look_again},
    {.name = "held", .enter = batch_enter_held, .event = on_event},
    {.name = "held back", .enter = batch_enter_rest},
    {0},
};

static void notified(struct job *j, enum job_side side, const char *channel, const char *payload)
{
    (void)side;
    (void)channel;
    (void)payload;
    batch_note_announced(batch_of(j));
    batch_wake(batch_of(j));
}

/* The other direction does not wait until this one is back. */
static bool failed(struct job *j, const struct error *e)
{
    (void)e;
    batch_leave_round(batch_of(j));
    return true;
}

static const struct job_type batch_type = {
    .name = "batch",
    .uses = {true, true},
    .steps = steps,
    .begin = begin,
    .failed = failed,
    .notified = notified,
};

bool batch_is_at_work(const struct batch_job *b)
{
    return b->job.step && !b->job.has_later && !job_is_at(&b->job, "disturbed");
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
    arena_free(b->hot_arena);
    batch_end_slice(b);
    free(b->group);
    arena_free(b->probe_texts);
    free(b->seen);
    free(b->telling);
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
    b->is_in_round = false;
    batch_leave_round(b);
}
