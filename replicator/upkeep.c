/* The watch: one duty after another when each is due, and sleep in between. Idle, that is a look
 * at the catalogs every few seconds and a status every ten; nothing here grows with the number of
 * changes. */
#include "upkeep.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "batch_read.h"
#include "daemon.h"
#include "field.h"
#include "lead_steps.h"
#include "log.h"
#include "plan.h"
#include "skip.h"
#include "status.h"
#include "steady.h"
#include "two_way.h"

#define COMMANDS_S 5. /* covers a lost notification */
#define STATUS_BUSY_S 1.
#define STATUS_IDLE_S 30.
#define ROTATE_IDLE_S 30.
#define STAMP_S 5.
#define STAMP_PAUSED_S 1. /* while a table waits to be mended */
#define WAITING_S 0.02
#define TURN_S 1.
#define RECONCILE_LEAST_S 0.3 /* when something has changed */
#define RECONCILE_S 5.        /* while a table is paused */

#define LARGE_OBJECTS "large-objects-" /* a verb, with the scope behind it */

void lead_show(struct lead_job *l)
{
    l->status_due = 0;
    lead_wake(l);
}

void upkeep_begin(struct lead_job *l)
{
    upkeep_drop_waits(l);
    l->status_due = 0;
    l->rotate_due = 0;
    l->stamp_due = 0;
    l->commands_due = 0;
    l->reconcile_due = 0;
    for (int side = 0; side < JOB_SIDES; side++)
        l->stamps[side][0] = l->moments[side][0] = '\0';
    l->captures[0] = l->rotated[0] = '\0';
    l->recorded_phase = SYNC_STARTING;
    l->command_id = 0;
    direction_forget_change(l->sync);
}

/* ------------------------------------------------------------------ what is due */

static bool is_anything_paused(const struct sync *s)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next)
        if (container_of(l, struct table, in_sync)->pause > TABLE_USER)
            return true;
    return false;
}

bool upkeep_is_anything_standing(const struct sync *s)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next)
        if (table_is_standing(container_of(l, struct table, in_sync)))
            return true;
    return false;
}

void upkeep_no_later(double *due, double at)
{
    if (*due > at)
        *due = at;
}

/* While it is quiet things are due in half a minute; that must not be what a load waits for that
 * begins meanwhile, or comes in bursts: logs would grow, and reading them cost more and more. */
static bool is_busy(struct lead_job *l, double now)
{
    const struct sync *s = l->sync;
    bool busy = s->phase != SYNC_FOLLOW || !batch_is_quiet(s->batch) || s->batches != l->batches;

    l->batches = s->batches;
    if (busy) {
        upkeep_no_later(&l->rotate_due, now + UPKEEP_ROTATE_BUSY_S);
        upkeep_no_later(&l->status_due, now + STATUS_BUSY_S);
    }
    return busy;
}

enum job_next upkeep_answer(struct job *j, int64_t id, bool ok, const char *text)
{
    struct lead_job *l = lead_of(j);

    l->command_id = id;
    l->command_ok = ok;
    snprintf(l->answer, sizeof l->answer, "%s", text);
    return job_goto(j, "answer");
}

static double soonest(const struct lead_job *l, double now)
{
    double due = l->status_due;

    if (l->rotate_due < due)
        due = l->rotate_due;
    if (l->stamp_due < due)
        due = l->stamp_due;
    if (l->commands_due < due)
        due = l->commands_due;
    if (due > now + TURN_S)
        due = now + TURN_S;
    return due > now + 0.01 ? due - now : 0.01;
}

static enum job_next go(struct job *j, double *due, double every_s, const char *step)
{
    *due = steady_now() + every_s;
    return job_goto(j, step);
}

/* A capture is to be tried again, or a paused table's time has come. */
static bool wants_reconcile(struct lead_job *l, double now)
{
    struct sync *s = l->sync;

    if (plan_next_copy(s, now) || plan_next_resume(s))
        return true;
    if (now < l->reconcile_due || !(s->wants_catalog || is_anything_paused(s)))
        return false;
    if (!s->wants_catalog && now < l->reconcile_due + RECONCILE_S)
        return false;
    l->reconcile_due = now + RECONCILE_LEAST_S;
    return true;
}

enum job_next upkeep_watch(struct job *j)
{
    struct lead_job *l = lead_of(j);
    struct sync *s = l->sync;
    double now = steady_now();
    enum job_next next;
    bool busy = is_busy(l, now);

    j->failures = 0;
    log_settle();
    conflict_tell(s);
    next = upkeep_answer_wait(j);
    if (next == JOB_NEXT)
        next = direction_watch(j);
    if (next != JOB_NEXT)
        return next;
    if (l->recorded_phase != s->phase)
        return job_goto(j, "phase");
    if (now >= l->commands_due)
        return go(j, &l->commands_due, COMMANDS_S, "commands");
    if (wants_reconcile(l, now))
        return job_goto(j, "catalogs");
    if (now >= l->stamp_due)
        return go(j, &l->stamp_due, is_anything_paused(s) ? STAMP_PAUSED_S : STAMP_S,
                  "source stamp");
    if (now >= l->rotate_due && !busy && !upkeep_wants_rotate(l))
        l->rotate_due = now + ROTATE_IDLE_S;
    if (now >= l->rotate_due)
        return go(j, &l->rotate_due, busy ? UPKEEP_ROTATE_BUSY_S : ROTATE_IDLE_S, "rotate");
    if (now >= l->status_due)
        return go(j, &l->status_due, busy ? STATUS_BUSY_S : STATUS_IDLE_S, "problems");
    l->table = partition_next(s);
    if (l->table)
        return job_goto(j, "dropped partition");
    sync_think(s);
    return job_sleep(
        j, list_is_empty(&l->waits) && !s->direction_change.id ? soonest(l, now) : WAITING_S,
        job_goto(j, "watch"));
}

/* Where a telling began: at the watch, while the tables are made, or between two captures. */
enum job_next upkeep_watch_again(struct job *j)
{
    if (j->sync->is_led)
        return job_goto(j, "watch");
    return job_goto(j, j->sync->phase == SYNC_SCHEMA ? "schema wait" : "next copy");
}

/* The phase stays as it is recorded: a sync that is not new any more has all its tables. */
enum job_next upkeep_tell_early(struct job *j)
{
    struct lead_job *l = lead_of(j);

    if (!j->sync->is_led && steady_now() >= l->status_due)
        return go(j, &l->status_due, STATUS_BUSY_S, "problems");
    return JOB_NEXT;
}

enum job_next upkeep_tell_schema(struct job *j)
{
    struct lead_job *l = lead_of(j);
    double now = steady_now();

    if (now >= l->status_due)
        return go(j, &l->status_due, STATUS_BUSY_S, "problems");
    return job_sleep(j, l->status_due - now, JOB_REPEAT);
}

/* ------------------------------------------------------------------ requests */

void upkeep_bind_commands(struct job *j, struct params *p)
{
    struct lead_job *l = lead_of(j);

    params_text(p, j->sync->name);
    upkeep_name_waits(l, &l->waiting);
    params_text(p, l->waiting.data);
}

static void pause_by_person(struct table *t)
{
    struct error e = {0};

    error_set(&e, "%s was paused by a person", t->label);
    error_hint(&e, "To go on: rebeco resume %s", t->label);
    table_pause(t, TABLE_USER, &e);
}

/* The table is copied again as soon as no batch and no stream is at work on it, and its ends fit.
 * That it was asked for is recorded with each of its pauses until then. */
static void copy_again(struct table *t)
{
    struct error e = {0};

    t->wants_copy = t->copy_is_asked = true;
    t->is_lossy = true;
    t->next_try = 0;
    t->sync->wants_catalog = true;
    if (t->state == TABLE_NEW)
        return;
    error_set(&e, "%s is about to be copied again", t->label);
    error_hint(&e, "Somebody asked for it; it goes on by itself.");
    table_pause(t, TABLE_CAPTURE, &e);
}

/* A person says that both ends hold the same, whatever was done to their definition. */
static void take_values(struct table *t)
{
    t->takes_values = true;
    t->sync->wants_catalog = true;
    t->sync->lead->reconcile_due = 0;
    lead_wake(t->sync->lead);
}

/* Lets the table go on, and in a two-way sync its other direction; only where a pause of that kind
 * holds it. Gives how many were held. */
static int let_go_on(struct table *t, bool by_person_too)
{
    struct table *directions[] = {t, two_way_other(t)};
    int n = 0;

    if (by_person_too && directions[1] && (t->is_unsure || directions[1]->is_unsure)) {
        take_values(t);
        take_values(directions[1]);
        n++;
    }
    for (size_t i = 0; i < 2; i++) {
        struct table *d = directions[i];

        if (d == NULL || (d->pause != TABLE_ERROR && !(by_person_too && d->pause == TABLE_USER)))
            continue;
        lead_retry(d);
        lead_wake(d->sync->lead);
        n++;
    }
    return n;
}

static enum job_next retry_skipped(struct job *j, int64_t id, struct table *first, bool of_all)
{
    struct lead_job *l = lead_of(j);

    l->table = first;
    l->command_id = id;
    memset(&l->retry, 0, sizeof l->retry);
    l->retry.of_all = of_all;
    return job_goto(j, "skip retry");
}

/* Nothing stands still: rows that were left out, where only a person can have them tried again. */
static enum job_next do_retry_skipped(struct job *j, int64_t id, struct table *t)
{
    if (t->records == TABLE_KEY && table_is_followed(t) && skip_count_of(t) > 0)
        return upkeep_answer(j, id, false,
                             "the table does not stand still; a row that was left out is tried "
                             "again when it is changed at the source: UPDATE ... SET column = "
                             "column is enough");
    if (t->records != TABLE_IMAGE || !table_is_followed(t) || skip_count_of(t) == 0)
        return upkeep_answer(j, id, false, "the table does not stand still for an error");
    return retry_skipped(j, id, t, false);
}

/* It stands still for what only a change of its definition or a new copy ends. */
static bool is_beyond_resume(const struct table *t)
{
    return t && !t->wants_copy &&
           (t->pause == TABLE_DRIFT || (t->pause == TABLE_CAPTURE && t->is_lossy));
}

static enum job_next do_resume(struct job *j, int64_t id, struct table *t)
{
    if (let_go_on(t, true) > 0) {
        upkeep_add_wait(lead_of(j), id, UPKEEP_RESUME, t);
        return JOB_NEXT;
    }
    lead_of(j)->reconcile_due = 0;
    if (is_beyond_resume(t) || is_beyond_resume(two_way_other(t)))
        return upkeep_answer(j, id, false,
                             "`resume` is not what it waits for: `rebeco status` says what is");
    return upkeep_answer(j, id, true, "done");
}

/* It may come from a later version of the program. */
static enum job_next refuse_unknown(struct job *j, int64_t id)
{
    return upkeep_answer(j, id, false, "this daemon does not know that request: see its version");
}

static enum job_next do_table(struct job *j, int64_t id, const char *verb, struct table *t)
{
    if (strcmp(verb, "pause") == 0) {
        pause_by_person(t);
        upkeep_add_wait(lead_of(j), id, UPKEEP_PAUSE, t);
        return JOB_NEXT;
    } else if (strcmp(verb, "resume") == 0) {
        return do_resume(j, id, t);
    } else if (strcmp(verb, "retry") == 0) {
        if (let_go_on(t, false) == 0)
            return do_retry_skipped(j, id, t);
    } else if (strcmp(verb, "resync") == 0) {
        if (direction_is_closed(t->sync))
            return upkeep_answer(j, id, false, direction_no_copy);
        copy_again(t);
        lead_of(j)->reconcile_due = 0;
        if (t->id == 0) /* nothing is known of it there */
            return upkeep_answer(j, id, true, "done");
        upkeep_add_wait(lead_of(j), id, UPKEEP_RESYNC, t);
        return JOB_NEXT;
    } else if (strcmp(verb, "kick") == 0) {
        upkeep_add_wait(lead_of(j), id, UPKEEP_KICK, NULL);
        return JOB_NEXT;
    } else {
        return refuse_unknown(j, id);
    }
    lead_of(j)->reconcile_due = 0;
    return upkeep_answer(j, id, true, "done");
}

static enum job_next do_skip(struct job *j, int64_t id, struct table *t, const char *key)
{
    struct lead_job *l = lead_of(j);
    const char *refusal = lead_refuse_skip(t, key);

    if (refusal)
        return upkeep_answer(j, id, false, refusal);
    l->table = t;
    l->command_id = id;
    l->command_ok = true;
    snprintf(l->answer, sizeof l->answer, "the row is left out, and recorded in rebeco.skipped");
    return job_goto(j, "skip");
}

/* Every table that stands still for an error is tried again, and rows without a key that were left
 * out of the others. */
static enum job_next retry_all(struct job *j, int64_t id)
{
    struct lead_job *l = lead_of(j);
    int n = 0;

    for (struct list *k = j->sync->tables.next; k != &j->sync->tables; k = k->next)
        n += let_go_on(container_of(k, struct table, in_sync), false);
    l->table = NULL;
    if (lead_next_left_out(l))
        return retry_skipped(j, id, l->table, true);
    return upkeep_answer(j, id, true, n > 0 ? "done" : "no table stands still for an error");
}

/* The answer comes when they are copied, from the job that does it. */
static enum job_next do_large_objects(struct job *j, int64_t id, const char *scope)
{
    bool is_all = strcmp(scope, "all") == 0;

    if (large_object_ask(j->sync->large_objects, id, is_all ? "all" : "new"))
        return JOB_NEXT;
    return upkeep_answer(j, id, false, "they are being copied for another request now");
}

static enum job_next do_sync(struct job *j, int64_t id, const char *verb)
{
    struct lead_job *l = lead_of(j);

    if (strcmp(verb, "retry") == 0)
        return retry_all(j, id);

    if (strcmp(verb, "kick") == 0) {
        upkeep_add_wait(l, id, UPKEEP_KICK, NULL);
        return JOB_NEXT;
    }
    if (strcmp(verb, "resync") == 0 && direction_is_closed(j->sync))
        return upkeep_answer(j, id, false, direction_no_copy);
    if (strcmp(verb, "resync") == 0) {
        for (struct list *k = j->sync->tables.next; k != &j->sync->tables; k = k->next)
            copy_again(container_of(k, struct table, in_sync));
        upkeep_add_wait(l, id, UPKEEP_RESYNC, NULL);
        return JOB_NEXT;
    }
    if (strncmp(verb, LARGE_OBJECTS, strlen(LARGE_OBJECTS)) == 0)
        return do_large_objects(j, id, verb + strlen(LARGE_OBJECTS));
    if (strcmp(verb, "accept") == 0 && j->sync->other && !j->sync->is_back &&
        error_is_set(&j->sync->other->stopped)) {
        upkeep_answer(j, id, true, "the way back goes on with the target as it is");
        return job_goto(j, "accept back");
    }
    if (strcmp(verb, "accept") == 0)
        return upkeep_answer(j, id, false,
                             "the source is the one of before: there is nothing to accept");
    if (strcmp(verb, "pause") != 0 && strcmp(verb, "resume") != 0)
        return refuse_unknown(j, id);
    l->command_id = id;
    l->command_ok = true;
    snprintf(l->answer, sizeof l->answer, "done");
    j->sync->is_paused = strcmp(verb, "pause") == 0;
    if (j->sync->is_paused)
        upkeep_add_wait(l, id, UPKEEP_PAUSE, NULL);
    j->sync->wants_catalog = true; /* a copy may have waited for it to go on */
    batch_wake(j->sync->batch);
    return job_goto(j, "pause");
}

/* One request at a time; the rest is found at the next look, which is at once. */
enum job_next upkeep_take_commands(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);

    for (int i = 0; i < PQntuples(r); i++) {
        int64_t id = field_int64(r, i, "id");
        const char *verb = field_text(r, i, "verb");
        enum job_next next;
        struct table *t;

        if (upkeep_is_waiting(l, id) || j->sync->large_objects->request == id ||
            direction_is_in_hand(j->sync, verb))
            continue;
        l->commands_due = 0;
        if (strcmp(verb, "direction") == 0) {
            next = direction_take(j, id, field_text(r, i, "key"));
        } else if (field_is_null(r, i, "table_name")) {
            next = do_sync(j, id, verb);
        } else {
            t = sync_table_find_name(j->sync, field_text(r, i, "table_schema"),
                                     field_text(r, i, "table_name"));
            if (t && strcmp(verb, "skip") == 0)
                next = do_skip(j, id, t, field_or_null(r, i, "key"));
            else
                next = t ? do_table(j, id, verb, t)
                         : upkeep_answer(j, id, false, "there is no such table in this sync");
        }
        if (next != JOB_NEXT)
            return next;
    }
    return job_goto(j, "watch");
}

enum job_next upkeep_enter_pause_set(struct job *j)
{
    params_clear(&j->params);
    params_text(&j->params, j->sync->name);
    params_bool(&j->params, j->sync->is_paused);
    conn_execute(job_conn(j, JOB_TARGET), &sql_paused_set, &j->params, CONN_TEXT, 60.);
    log_event(LOG_NOTICE, j->sync->is_paused ? "paused by a person" : "resumed by a person", "sync",
              j->sync->name, NULL);
    return JOB_WAIT;
}

/* The answer to a pause waits until nothing is in hand. */
enum job_next upkeep_take_pause_set(struct job *j, PGresult *r)
{
    (void)r;
    return job_goto(j, j->sync->is_paused ? "watch" : "answer");
}

void upkeep_bind_answer(struct job *j, struct params *p)
{
    const struct lead_job *l = lead_of(j);

    params_int(p, l->command_id);
    params_bool(p, l->command_ok);
    params_text(p, l->answer);
}

/* ------------------------------------------------------------------ phase and status */

void upkeep_bind_phase(struct job *j, struct params *p)
{
    struct lead_job *l = lead_of(j);

    /* What is true when the answer comes may be something else. */
    l->sent_phase = j->sync->phase;
    l->sent_finished = j->sync->schema_finished;
    params_text(p, j->sync->name);
    params_int(p, j->sync->owner);
    /* Once the whole schema is there, a later phase than that is not given up again. */
    params_text(p, sync_phase_name(l->sent_finished ? SYNC_FOLLOW : l->sent_phase));
}

enum job_next upkeep_take_phase(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);

    (void)r;
    l->recorded_phase = l->sent_phase;
    j->sync->replaces_rows &= !l->sent_finished; /* as the statement did */
    return job_goto(j, "watch");
}

static bool any_of_schema(const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++)
        if (strcmp(field_text(r, i, "kind"), "schema") == 0)
            return true;
    return false;
}

/* Schema objects that could not be created are tried again once at each start: a person may have
 * removed what was in the way. */
enum job_next upkeep_take_problems(struct job *j, PGresult *r)
{
    struct sync *s = j->sync;

    status_set_problems(s, r);
    if (s->is_led && s->schema_finished && !s->schema_retried && any_of_schema(r) &&
        !schema_copy_is_running(s->schema)) {
        s->schema_retried = true;
        schema_copy_start(s->schema, SCHEMA_POST);
    }
    return JOB_NEXT;
}

void upkeep_bind_status(struct job *j, struct params *p)
{
    struct lead_job *l = lead_of(j);

    free(l->status);
    l->status = status_text(j->sync);
    params_text(p, j->sync->name);
    params_text(p, l->status);
    params_text(p, j->sync->told);
    params_text(p, j->sync->consumer);
}
