/* The snapshot that the chunks of one table share: a job whose only work is to stand in a
 * transaction that has exported it. While it lives, every row of the table arrives exactly once. */
#include <stdlib.h>

#include "copy.h"
#include "sync.h"

static enum job_next take_export(struct job *j, PGresult *r)
{
    struct table *t = container_of(j, struct snapshot_job, job)->table;

    free(t->exported);
    t->exported = mem_strdup(PQgetvalue(r, 0, 0));
    return JOB_NEXT;
}

static enum job_next enter_hold(struct job *j)
{
    (void)j;
    return JOB_WAIT;
}

/* The snapshot is gone with its session; what is left of the table is loaded tolerantly. */
static bool snapshot_failed(struct job *j, const struct error *e)
{
    struct table *t = container_of(j, struct snapshot_job, job)->table;

    (void)e;
    if (t->exported && (t->chunks_done > 0 || t->streams > 0))
        t->tolerant = true;
    free(t->exported);
    t->exported = NULL;
    return !t->tolerant;
}

static const struct job_step snapshot_steps[] = {
    {.name = "begin", .sql = &sql_batch_begin, .side = JOB_SOURCE},
    {.name = "export", .sql = &sql_snapshot_export, .side = JOB_SOURCE, .result = take_export},
    {.name = "hold", .enter = enter_hold},
    {0},
};

static const struct job_type snapshot_type = {
    .name = "snapshot",
    .uses = {true, false},
    .steps = snapshot_steps,
    .failed = snapshot_failed,
};

void copy_hold_snapshot(struct table *t)
{
    struct snapshot_job *h = mem_alloc(sizeof *h);

    h->table = t;
    t->holder = h;
    job_init(&h->job, t->sync->loop, &snapshot_type, t->sync, copy_source_url(t->sync), NULL);
    job_start(&h->job);
}

void copy_release_snapshot(struct table *t)
{
    if (t->holder) {
        job_fini(&t->holder->job);
        free(t->holder);
    }
    t->holder = NULL;
    free(t->exported);
    t->exported = NULL;
}
