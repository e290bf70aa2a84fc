/* The snapshot that the chunks of one table share: a job whose only work is to stand in a
 * transaction that has exported it. While it lives, every row of the table arrives exactly once. */
#include <stdlib.h>

#include "copy.h"
#include "log.h"
#include "sync.h"

enum { EXPORT_TRIES = 5 };

static struct snapshot_job *snapshot_of(struct job *j)
{
    return container_of(j, struct snapshot_job, job);
}

static enum job_next take_export(struct job *j, PGresult *r)
{
    struct snapshot_job *h = snapshot_of(j);

    free(h->statement);
    free(h->name);
    h->statement = mem_strdup(PQgetvalue(r, 0, 0));
    h->name = mem_strdup(PQgetvalue(r, 0, 1));
    return JOB_NEXT;
}

static void bind_share(struct job *j, struct params *p)
{
    const struct snapshot_job *h = snapshot_of(j);

    params_text(p, j->sync->name);
    params_int(p, j->sync->owner);
    params_int(p, h->table->id);
    params_text(p, h->name);
}

/* Other processes know of it now; the target is not needed any longer. */
static enum job_next enter_hold(struct job *j)
{
    struct table *t = snapshot_of(j)->table;

    conn_close(job_conn(j, JOB_TARGET));
    free(t->exported);
    t->exported = mem_strdup(snapshot_of(j)->statement);
    return JOB_WAIT;
}

/* The snapshot is gone with its session, or cannot be had (no connection is left, say); what is
 * left of the table is loaded tolerantly. */
static bool snapshot_failed(struct job *j, const struct error *e)
{
    struct table *t = container_of(j, struct snapshot_job, job)->table;

    (void)e;
    if (t->exported ? t->chunks_done > 0 || t->streams > 0 : j->failures >= EXPORT_TRIES)
        t->tolerant = true;
    if (t->tolerant && t->exported == NULL)
        log_event(LOG_WARNING, "no snapshot can be shared: the table is copied without", "sync",
                  j->sync->name, "table", t->label, NULL);
    free(t->exported);
    t->exported = NULL;
    return !t->tolerant;
}

static const struct job_step snapshot_steps[] = {
    {.name = "begin", .sql = &sql_batch_begin, .side = JOB_SOURCE},
    {.name = "export", .sql = &sql_snapshot_export, .side = JOB_SOURCE, .result = take_export},
    {.name = "share", .sql = &sql_snapshot_share, .side = JOB_TARGET, .bind = bind_share},
    {.name = "hold", .enter = enter_hold},
    {0},
};

static const struct job_type snapshot_type = {
    .name = "snapshot",
    .uses = {true, true},
    .steps = snapshot_steps,
    .failed = snapshot_failed,
};

void copy_hold_snapshot(struct table *t)
{
    struct snapshot_job *h = mem_alloc(sizeof *h);

    h->table = t;
    t->holder = h;
    job_init(&h->job, t->sync->loop, &snapshot_type, t->sync, copy_source(t->sync),
             t->sync->config->target);
    job_start(&h->job);
}

void copy_release_snapshot(struct table *t)
{
    if (t->holder) {
        job_fini(&t->holder->job);
        free(t->holder->name);
        free(t->holder->statement);
        free(t->holder);
    }
    t->holder = NULL;
    free(t->exported);
    t->exported = NULL;
}
