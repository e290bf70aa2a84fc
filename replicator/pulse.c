/* A job with one statement. It has a session of its own, because the leading job's stands still
 * while the schema is copied or the source is asked something long. Nothing is written. */
#include "pulse.h"

#include "sync.h"

#define BEAT_S 1.5
#define TAKEN_S 0.5

static void bind_name(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

/* The session of the daemon before us may be about to end. */
static enum job_next take_lock(struct job *j, PGresult *r)
{
    return PQgetvalue(r, 0, 0)[0] == 't' ? JOB_NEXT : job_sleep(j, TAKEN_S, JOB_REPEAT);
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
}

void pulse_fini(struct pulse *p)
{
    job_fini(&p->job);
}
