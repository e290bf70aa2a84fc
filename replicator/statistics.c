/* A pass lists what is missing and analyzes it; the next one's list says what came of it. */
#include "statistics.h"

#include <string.h>

#include "field.h"
#include "log.h"
#include "sqlstate.h"
#include "sync.h"

#define PASSES_MAX 6
#define REST_S 5.   /* between two passes; doubles */
#define PAUSED_S 1. /* between two looks whether the sync still is */

static struct statistics_job *of(struct job *j)
{
    return container_of(j, struct statistics_job, job);
}

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

/* ------------------------------------------------------------------ a pass */

static void take_row(struct statistics_job *s, const PGresult *r, int row)
{
    const char *label = arena_strdup(s->job.arena, field_text(r, row, "label"));

    if (s->example == NULL)
        s->example = label;
    if (field_is_null(r, row, "statement")) {
        s->forbidden++;
        return;
    }
    s->rows[s->count++] = (struct statistics_row){
        .label = label, .statement = arena_strdup(s->job.arena, field_text(r, row, "statement"))};
}

static enum job_next take_list(struct job *j, PGresult *r)
{
    struct statistics_job *s = of(j);

    s->next = s->count = s->forbidden = 0;
    s->example = NULL;
    s->rows = arena_alloc(j->arena, (size_t)(PQntuples(r) + 1) * sizeof *s->rows);
    for (int i = 0; i < PQntuples(r); i++)
        take_row(s, r, i);
    if (s->passes == 0)
        s->missing = s->count;
    return JOB_NEXT;
}

static void say_end(const struct statistics_job *s)
{
    if (s->missing > s->count)
        log_event(LOG_INFO, "statistics made at the target", "sync", s->job.sync->name, "tables",
                  log_int(s->missing - s->count), NULL);
    if (s->example)
        log_event(LOG_NOTICE, "tables without statistics at the target", "sync", s->job.sync->name,
                  "tables", log_int(s->count + s->forbidden), "example", s->example, "hint",
                  "ANALYZE them as a role that may before the application is switched.", NULL);
}

/* Another pass, or none. */
static enum job_next enter_pass(struct job *j)
{
    struct statistics_job *s = of(j);
    double rest_s = s->passes == 0 ? 0 : REST_S * (double)(1 << (s->passes - 1));

    if (s->count > 0 && s->passes < PASSES_MAX) {
        s->passes++;
        return job_sleep(j, rest_s, JOB_NEXT);
    }
    say_end(s);
    s->is_over = true;
    return JOB_DONE;
}

static enum job_next enter_analyze(struct job *j)
{
    struct statistics_job *s = of(j);

    if (s->next == s->count)
        return job_goto(j, "list");
    if (j->sync->is_paused)
        return job_sleep(j, PAUSED_S, JOB_REPEAT);
    conn_query(job_conn(j, JOB_TARGET), s->rows[s->next].statement, NULL, CONN_TEXT, 0);
    return JOB_WAIT;
}

/* What the server refuses for one table leaves the others alone. */
static enum job_next analyze_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    struct statistics_job *s = of(j);
    struct error e = {0};

    if (m->event == CONN_RESULT && job_result_failed(m->result)) {
        conn_result_error(job_conn(j, side), m->result, &e);
        if (sqlstate_action(e.sqlstate) == SQLSTATE_RECONNECT)
            return job_fail(j, &e);
        log_error(LOG_DEBUG, "table not analyzed", &e, "sync", j->sync->name, "table",
                  s->rows[s->next].label, NULL);
    }
    if (m->event != CONN_DONE)
        return JOB_WAIT;
    s->next++;
    return JOB_REPEAT;
}

static const struct job_step steps[] = {
    {.name = "session", .sql = &sql_statistics_session, .side = JOB_TARGET},
    {.name = "list",
     .sql = &sql_statistics_list,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = take_list},
    {.name = "pass", .enter = enter_pass},
    {.name = "analyze", .enter = enter_analyze, .event = analyze_event},
    {0},
};

/* ------------------------------------------------------------------ life */

static void begin(struct job *j)
{
    of(j)->passes = 0;
    of(j)->count = 0;
}

static const struct job_type type = {
    .name = "statistics",
    .uses = {[JOB_TARGET] = true},
    .steps = steps,
    .begin = begin,
};

void statistics_init(struct statistics_job *s, struct sync *sync)
{
    memset(s, 0, sizeof *s);
    job_init(&s->job, sync->loop, &type, sync, NULL, sync->config->target);
    s->job.backoff_max_s = 60;
}

void statistics_start(struct statistics_job *s)
{
    if (!s->is_over && !job_is_running(&s->job))
        job_start(&s->job);
}

void statistics_table_copied(struct statistics_job *s)
{
    s->is_over = false;
}

void statistics_stop(struct statistics_job *s)
{
    job_stop(&s->job);
    s->is_over = false;
}

void statistics_fini(struct statistics_job *s)
{
    job_fini(&s->job);
}
