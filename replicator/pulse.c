/* It has a session of its own, because the leading job's stands still while the schema is copied or
 * the source is asked something long. Nothing is written.
 *
 * It also asks who keeps a batch waiting. A batch of a one-way sync waits for a lock at the target
 * for as long as it takes: nobody else writes there, and an error would only be tried again. But
 * the batch's session cannot say why it stands still. */
#include "pulse.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "field.h"
#include "log.h"
#include "steady.h"
#include "sync.h"

#define BEAT_S 1.5
#define TAKEN_S 0.5
#define LONG_S 8. /* a batch in hand for longer may wait for somebody */

static void bind_name(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

/* The session of the daemon before us may be about to end. */
static enum job_next take_lock(struct job *j, PGresult *r)
{
    return field_bool(r, 0, "is_ours") ? JOB_NEXT : job_sleep(j, TAKEN_S, JOB_REPEAT);
}

static void note_holder(struct sync *s, const char *who)
{
    free(s->batch_held_by);
    s->batch_held_by = who ? mem_strdup(who) : NULL;
}

static enum job_next enter_held(struct job *j)
{
    struct batch_job *b = j->sync->batch;
    struct conn *target = b->job.step ? job_conn(&b->job, JOB_TARGET) : NULL;

    if (!target || !b->is_in_round || steady_now() - b->taken_s < LONG_S) {
        note_holder(j->sync, NULL);
        return JOB_NEXT;
    }
    params_clear(&j->params);
    params_int(&j->params, conn_backend_pid(target));
    conn_execute(job_conn(j, JOB_TARGET), &sql_batch_held, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static enum job_next take_held(struct job *j, PGresult *r)
{
    struct sync *s = j->sync;
    const char *who = PQntuples(r) ? field_text(r, 0, "who") : NULL;

    if (who && (!s->batch_held_by || strcmp(who, s->batch_held_by) != 0))
        log_event(
            LOG_WARNING, "a batch waits for somebody's lock at the target", "sync", s->name,
            "held_by", who, "table", field_or_null(r, 0, "what"), "hint",
            "Changes wait until that transaction is over; nothing is lost. If it is nobody's, "
            "end it: SELECT pg_terminate_backend(the session's number).",
            NULL);
    note_holder(s, who);
    return JOB_NEXT;
}

static enum job_next enter_rest(struct job *j)
{
    j->failures = 0;
    return job_sleep(j, BEAT_S, job_goto(j, "beat"));
}

static const struct job_step steps[] = {
    {.name = "lock",
     .sql = &sql_pulse_lock,
     .side = JOB_TARGET,
     .bind = bind_name,
     .result = take_lock},
    {.name = "beat", .sql = &sql_pulse, .side = JOB_TARGET},
    {.name = "held", .enter = enter_held, .result = take_held},
    {.name = "rest", .enter = enter_rest},
    {0},
};

static const struct job_type pulse_type = {
    .name = "pulse",
    .uses = {false, true},
    .steps = steps,
};

void pulse_init(struct pulse *p, struct sync *s)
{
    job_init(&p->job, s->loop, &pulse_type, s, NULL, s->config->target);
}

void pulse_start(struct pulse *p)
{
    if (!job_is_running(&p->job))
        job_start(&p->job);
}

void pulse_stop(struct pulse *p)
{
    job_stop(&p->job);
    note_holder(p->job.sync, NULL);
}

void pulse_fini(struct pulse *p)
{
    job_fini(&p->job);
    note_holder(p->job.sync, NULL);
}
