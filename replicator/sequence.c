/* The steps of the sequence job: a glance at the source, and when that is new, the reading there
 * and the setting at the target.
 *
 * What is always true: known_glance is what the source answered before the last reading that has
 * reached the target, so a value that was given out between the two is found by the next glance. A
 * request is served by a round that began after it. */
#include "sequence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "field.h"
#include "list.h"
#include "log.h"
#include "steady.h"
#include "sync.h"

/* What no glance sees - a sequence mended at the target, a new table of the sync - is found by a
 * whole reading after so many intervals at the latest. */
enum { WHOLE_EVERY = 6 };

static struct sequence_job *of(struct job *j)
{
    return container_of(j, struct sequence_job, job);
}

static void set_text(struct buf *b, const char *text)
{
    buf_clear(b, 64 * 1024);
    buf_text(b, text);
}

/* ------------------------------------------------------------------ steps */

static enum job_next ask_glance(struct job *j)
{
    struct sequence_job *s = of(j);

    s->serves_request = s->done != NULL;
    s->is_exact = s->serves_request && s->done_exact;
    s->began_at = steady_now();
    if (j->sync->is_paused && !s->serves_request)
        return job_goto(j, "wait");
    s->is_whole = s->wants_whole;
    s->wants_whole = false;
    s->rounds_begun++;
    conn_execute(job_conn(j, JOB_SOURCE), &sql_sequence_glance, NULL, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static bool is_whole_due(const struct sequence_job *s)
{
    double every_s = s->job.sync->config->sequence_interval_s * WHOLE_EVERY;

    return s->serves_request || s->is_whole || s->synced_at == 0 ||
           s->began_at - s->synced_at >= every_s;
}

static enum job_next take_glance(struct job *j, PGresult *r)
{
    struct sequence_job *s = of(j);

    snprintf(s->glance, sizeof s->glance, "%s", field_text(r, 0, "glance"));
    if (is_whole_due(s) || s->glance[0] == '\0' || strcmp(s->glance, s->known_glance) != 0)
        return JOB_NEXT;
    j->failures = 0;
    s->rounds_done = s->rounds_begun;
    return job_goto(j, "wait");
}

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

static enum job_next take_tables(struct job *j, PGresult *r)
{
    set_text(&of(j)->tables, field_text(r, 0, "tables"));
    return JOB_NEXT;
}

static void bind_read(struct job *j, struct params *p)
{
    params_text(p, of(j)->tables.data);
    params_bool(p, config_takes_everything(j->sync->config));
}

static enum job_next take_sequences(struct job *j, PGresult *r)
{
    set_text(&of(j)->sequences, field_text(r, 0, "sequences"));
    return JOB_NEXT;
}

static void bind_set(struct job *j, struct params *p)
{
    struct sequence_job *s = of(j);

    params_text(p, j->sync->name);
    params_text(p, s->sequences.data);
    params_int(p, j->sync->config->sequence_headroom);
    params_bool(p, s->is_exact);
}

static void log_new_trouble(const struct job *j, const PGresult *r, int row)
{
    log_event(LOG_WARNING, "sequence not in step", "sync", j->sync->name, "object",
              field_text(r, row, "object"), "what", field_text(r, row, "message"), "hint",
              field_or_null(r, row, "hint"), NULL);
}

static enum job_next take_set(struct job *j, PGresult *r)
{
    struct sequence_job *s = of(j);

    s->seen = field_int(r, 0, "seen");
    s->moved = field_int(r, 0, "moved");
    s->troubled = field_int(r, 0, "troubled");
    s->synced_at = steady_now();
    memcpy(s->known_glance, s->glance, sizeof s->known_glance);
    s->rounds_done = s->rounds_begun;
    j->failures = 0;
    log_event(LOG_DEBUG, "sequences in step", "sync", j->sync->name, "seen", log_int(s->seen),
              "moved", log_int(s->moved), "troubled", log_int(s->troubled), NULL);
    for (int row = 1; row < PQntuples(r); row++)
        log_new_trouble(j, r, row);
    return JOB_NEXT;
}

/* Leaves the connection's callback: what is called next may free the job. */
static enum job_next leave_callback(struct job *j)
{
    return of(j)->serves_request ? job_sleep(j, 0., JOB_NEXT) : JOB_NEXT;
}

/* From here the caller may stop the job, ask again, or free it: nothing of it is touched after. */
static void answer_request(struct sequence_job *s)
{
    sequence_done *done = s->done;

    s->done = NULL;
    s->serves_request = false;
    done(s, s->done_arg);
}

static enum job_next wait_for_next(struct job *j)
{
    struct sequence_job *s = of(j);
    double now = steady_now();
    double next = s->began_at + j->sync->config->sequence_interval_s;
    bool is_served = s->serves_request;
    bool is_due = next <= now || (s->wants_whole && !j->sync->is_paused);
    enum job_next glance = job_goto(j, "glance");

    if (s->done && !is_served)
        return glance;
    job_sleep(j, is_due ? 0 : next - now, glance);
    if (is_served)
        answer_request(s);
    return JOB_WAIT;
}

static const struct job_step steps[] = {
    {.name = "glance", .enter = ask_glance, .result = take_glance},
    {.name = "tables",
     .sql = &sql_sequence_tables,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = take_tables},
    {.name = "read",
     .sql = &sql_sequence_read,
     .side = JOB_SOURCE,
     .bind = bind_read,
     .result = take_sequences},
    {.name = "set",
     .sql = &sql_sequence_set,
     .side = JOB_TARGET,
     .bind = bind_set,
     .result = take_set},
    {.name = "answer", .enter = leave_callback},
    {.name = "wait", .enter = wait_for_next},
    {.name = NULL},
};

/* After a failure nothing is known of the target: it may be another server. */
static void begin(struct job *j)
{
    of(j)->known_glance[0] = '\0';
    of(j)->serves_request = false;
}

static const struct job_type type = {
    .name = "sequences",
    .uses = {[JOB_SOURCE] = true, [JOB_TARGET] = true},
    .steps = steps,
    .begin = begin,
};

/* ------------------------------------------------------------------ life */

void sequence_init(struct sequence_job *s, struct sync *sync)
{
    memset(s, 0, sizeof *s);
    job_init(&s->job, sync->loop, &type, sync, sync->config->source, sync->config->target);
    buf_init(&s->tables);
    buf_init(&s->sequences);
}

void sequence_start(struct sequence_job *s)
{
    if (!job_is_running(&s->job))
        job_start(&s->job);
}

void sequence_wake(struct sequence_job *s)
{
    s->wants_whole = true;
    if (job_is_at(&s->job, "wait"))
        job_continue(&s->job, job_goto(&s->job, "glance"));
}

void sequence_stop(struct sequence_job *s)
{
    job_stop(&s->job);
    s->done = NULL;
    s->serves_request = false;
    s->synced_at = 0;
}

void sequence_fini(struct sequence_job *s)
{
    sequence_stop(s);
    job_fini(&s->job);
    buf_fini(&s->tables);
    buf_fini(&s->sequences);
}

void sequence_sync_now(struct sequence_job *s, bool exact, sequence_done *done, void *arg)
{
    s->done = done;
    s->done_arg = arg;
    s->done_exact = exact;
    s->serves_request = false;
    if (job_is_at(&s->job, "wait"))
        job_continue(&s->job, job_goto(&s->job, "glance"));
    else
        sequence_start(s);
}
