/* What a stream waits for before it may read a chunk: a follower that has replayed far enough, and,
 * in a process that only helps (copier.c), what the leader makes first. */
#include "copy_steps.h"

#include <stdio.h>

#include "log.h"
#include "steady.h"
#include "sync.h"

#define FOLLOWER_SAY_S 30.

/* A table in one piece becomes its own position, which is the leader's to know. */
bool copy_may_help(const struct table *t)
{
    if (t->records != TABLE_KEY)
        return false;
    return t->tolerant ? t->target_has_key : t->chunks <= 1 || t->exported;
}

/* Keys are made and snapshots are exported by the leader; until it has, the chunk is put back. */
enum job_next copy_ready_to_help(struct copy_job *c)
{
    const struct table *t = c->table;

    if (!copy_may_help(t)) {
        copy_put_down(c);
        return job_goto(&c->job, "back off");
    }
    return t->chunks <= 1 || t->tolerant ? job_goto(&c->job, "relation") : JOB_NEXT;
}

/* Asked for each chunk: tables are captured one after the other, while others are copied. */
enum job_next copy_enter_follower(struct job *j)
{
    if (j->sync->config->follower.url == NULL || copy_of(j)->is_for_pieces)
        return JOB_NEXT;
    params_clear(&j->params);
    params_text(&j->params, j->sync->capture_lsn);
    params_text(&j->params, j->sync->consumer);
    params_int(&j->params, copy_of(j)->table->id);
    conn_execute(job_conn(j, JOB_SOURCE), &sql_follower_ready, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

/* Rows of a server that does not follow the source any more would be as they were there, for good:
 * what has changed since is in no change log. */
static enum job_next refuse_follower(struct job *j)
{
    struct error e = {0};

    error_set(&e, "%s",
              "the follower is no standby of the source: it was promoted, or is another server");
    error_hint(&e, "%s", "Correct copy.follower, or leave it out to read from the source itself.");
    snprintf(e.sqlstate, sizeof e.sqlstate, "P0001");
    return job_fail(j, &e);
}

static void say_behind(struct copy_job *c, const PGresult *r)
{
    double now = steady_now();

    if (c->follower_said_at > 0 && now - c->follower_said_at < FOLLOWER_SAY_S)
        return;
    if (c->follower_said_at > 0)
        log_event(
            LOG_WARNING, "the follower is behind: the copy waits for it", "sync", c->sync->name,
            "table", c->table->label, "replayed", PQgetisnull(r, 0, 2) ? NULL : PQgetvalue(r, 0, 2),
            "needed", c->sync->capture_lsn, "hint",
            "See that it receives and replays what the source writes, or leave copy.follower out.",
            NULL);
    c->follower_said_at = now;
}

/* A follower may be read once it has replayed what installed the capture. It may replay just that
 * while it is asked: that it does not know of it is believed when it says so twice. */
enum job_next copy_take_follower(struct job *j, PGresult *r)
{
    struct copy_job *c = copy_of(j);
    bool is_foreign = PQgetvalue(r, 0, 1)[0] == 't';

    if (PQgetvalue(r, 0, 0)[0] == 't') {
        c->follower_said_at = 0;
        c->is_foreign = false;
        return JOB_NEXT;
    }
    if (is_foreign && c->is_foreign)
        return refuse_follower(j);
    c->is_foreign = is_foreign;
    say_behind(c, r);
    return job_sleep(j, 0.5, JOB_REPEAT);
}

enum job_next copy_enter_flushed(struct job *j)
{
    return copy_of(j)->is_flushed ? job_goto(j, "done") : JOB_NEXT;
}

void copy_bind_flush(struct job *j, struct params *p)
{
    params_text(p, j->sync->consumer);
}

/* ------------------------------------------------------------------ others */

/* A copier that is frozen keeps the chunk that it has claimed as long as its session lives, and
 * nobody may take it away: one that only reads slowly looks the same from here. But whoever waits
 * for the copy is told. */
void copy_note_others(struct sync *s)
{
    struct copy_others *o = &s->others;
    double now = steady_now();
    int done = 0;

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (t->streams > 0) {
            o->since = 0;
            return;
        }
        done += t->chunks_done;
    }
    if (o->since <= 0 || done != o->done)
        *o = (struct copy_others){.since = now, .done = done};
    if (o->is_said || copy_waits_for_others_s(s, now) <= 0)
        return;
    o->is_said = true;
    log_event(LOG_WARNING, "the copy waits for what other processes have in hand", "sync", s->name,
              "hint",
              "See that they run (run --role copier). One that is frozen keeps its part until it "
              "is ended, or its session at the target is; others take it then.",
              NULL);
}

double copy_waits_for_others_s(const struct sync *s, double now)
{
    double waited = s->others.since > 0 ? now - s->others.since : 0;

    return waited > s->config->network_timeout_s ? waited : 0;
}
