/* What a stream waits for before it may read a chunk: a follower that has replayed far enough, and,
 * in a process that only helps (copier.c), what the leader makes first. */
#include "copy_steps.h"
#include "sync.h"

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
    conn_execute(job_conn(j, JOB_SOURCE), &sql_follower_ready, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

/* A follower may be read once it has replayed what installed the capture. */
enum job_next copy_take_follower(struct job *j, PGresult *r)
{
    if (PQgetvalue(r, 0, 0)[0] == 't')
        return JOB_NEXT;
    return job_sleep(j, 0.5, JOB_REPEAT);
}
