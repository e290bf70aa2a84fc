/* What is broken off is read again as soon as the other session has had the table: behind it,
 * because a lock that is asked for later is had later. A copied chunk that gave way was not
 * committed, and the snapshot that a table's chunks share holds no lock, so that the rest of the
 * table is read in it.
 *
 * CREATE INDEX CONCURRENTLY and its like want no lock that we have. They wait until each
 * transaction is over that was there before them: that of a chunk, of a batch, and of the shared
 * snapshot, which may be as old as the copy of its table. What is begun afterwards is not waited
 * for. Such a wait keeps no other session waiting, but it ends with an error where a migration has
 * set lock_timeout, and leaves an index that is not valid. So the snapshot is given up for it, and
 * the rest of its table is loaded as after any loss of it (copy_snapshot.c).
 *
 * A copy gives way each time. A batch does so once a minute at most: it could be held up for good
 * by an application that wants its tables again and again, and then nothing would arrive any more.
 */
#include "give_way.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "field.h"
#include "sqlstate.h"
#include "steady.h"
#include "sync.h"

#define EVERY_S 1.
#define LONG_S 2. /* a batch that is read for longer may be in the way */
#define BATCH_EVERY_S 60.

static struct give_way *give_way_of(struct job *j)
{
    return container_of(j, struct give_way, job);
}

static bool batch_may_be_in_the_way(const struct give_way *g)
{
    const struct batch_job *b = g->job.sync->batch;
    double now = steady_now();

    return b && batch_is_at_work(b) && b->is_in_round && now - b->taken_s > LONG_S &&
           (g->batch_at <= 0 || now - g->batch_at > BATCH_EVERY_S);
}

/* Where a follower is read, nobody at the source waits for it. */
static bool reads_source(const struct job *j)
{
    return j->step && j->databases[JOB_SOURCE] == j->sync->config->source &&
           conn_is_open(&j->conns[JOB_SOURCE]);
}

static void add(struct buf *pids, const struct job *j)
{
    if (reads_source(j))
        buf_printf(pids, "%s%d", pids->len ? "," : "{", conn_backend_pid(&j->conns[JOB_SOURCE]));
}

static void add_snapshots(struct buf *pids, const struct sync *s)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (t->holder)
            add(pids, &t->holder->job);
    }
}

/* Asks about all that read now; over when nothing is left that could. */
static enum job_next enter_look(struct job *j)
{
    struct sync *s = j->sync;
    struct buf *pids = &give_way_of(j)->pids;

    buf_clear(pids, 4096);
    for (const struct list *l = s->jobs.next; l != &s->jobs; l = l->next)
        add(pids, container_of(l, struct job, in_sync));
    add_snapshots(pids, s);
    if (batch_may_be_in_the_way(give_way_of(j)))
        add(pids, &s->batch->job);
    if (pids->len == 0)
        return list_is_empty(&s->jobs) ? JOB_DONE : JOB_NEXT;
    buf_text(pids, "}");
    params_clear(&j->params);
    params_text(&j->params, pids->data);
    conn_execute(job_conn(j, JOB_SOURCE), &sql_lock_waiters, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static void break_off(struct job *reader, const PGresult *r, int row)
{
    struct error e = {0};

    error_set(&e, "%s: session %s waits for %s: reading gives way, and is done again",
              reader->conns[JOB_SOURCE].label, field_text(r, row, "waiting"),
              field_text(r, row, "what"));
    snprintf(e.sqlstate, sizeof e.sqlstate, SQLSTATE_LOCKED);
    job_fail(reader, &e);
}

static bool is_session_of(const struct job *j, int pid)
{
    return reads_source(j) && conn_backend_pid(&j->conns[JOB_SOURCE]) == pid;
}

static void break_off_copy(struct sync *s, int pid, const PGresult *r, int row)
{
    struct list *next;

    for (struct list *l = s->jobs.next; l != &s->jobs; l = next) {
        next = l->next;
        if (is_session_of(container_of(l, struct job, in_sync), pid))
            break_off(container_of(l, struct job, in_sync), r, row);
    }
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->holder && is_session_of(&t->holder->job, pid))
            break_off(&t->holder->job, r, row);
    }
}

static enum job_next take_waiters(struct job *j, PGresult *r)
{
    struct sync *s = j->sync;

    j->failures = 0;
    for (int i = 0; i < PQntuples(r); i++) {
        int pid = field_int(r, i, "pid");

        break_off_copy(s, pid, r, i);
        if (!is_session_of(&s->batch->job, pid))
            continue;
        give_way_of(j)->batch_at = steady_now();
        break_off(&s->batch->job, r, i);
    }
    return JOB_NEXT;
}

static enum job_next enter_wait(struct job *j)
{
    return job_sleep(j, EVERY_S, job_goto(j, "look"));
}

static const struct job_step steps[] = {
    {.name = "look", .enter = enter_look, .result = take_waiters},
    {.name = "wait", .enter = enter_wait},
    {0},
};

static const struct job_type give_way_type = {
    .name = "give way",
    .uses = {true, false},
    .steps = steps,
};

void give_way_init(struct give_way *g, struct sync *s)
{
    memset(g, 0, sizeof *g);
    job_init(&g->job, s->loop, &give_way_type, s, s->config->source, NULL);
}

void give_way_think(struct give_way *g)
{
    if (!job_is_running(&g->job) &&
        (!list_is_empty(&g->job.sync->jobs) || batch_may_be_in_the_way(g)))
        job_start(&g->job);
}

void give_way_stop(struct give_way *g)
{
    job_stop(&g->job);
}

void give_way_fini(struct give_way *g)
{
    job_fini(&g->job);
    buf_fini(&g->pids);
}
