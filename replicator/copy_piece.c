/* The copy of a table that is no set of keys: one chunk, all of it, read in one snapshot, which
 * becomes the position of the table in the transaction that loads its rows. schema/060_image.sql
 * says why. */
#include <stdlib.h>

#include "copy_steps.h"
#include "sync.h"

/* Chunks that share a snapshot pass by what is for pieces. */
enum job_next copy_enter_in_snapshot(struct job *j)
{
    return job_goto(j, "relation");
}

enum job_next copy_take_piece_snapshot(struct job *j, PGresult *r)
{
    struct copy_job *c = copy_of(j);

    c->is_source_open = true;
    free(c->table->copied_in);
    c->table->copied_in = mem_strdup(PQgetvalue(r, 0, 0));
    c->seen_lsn = copy_value(j, r, 2);
    return JOB_NEXT;
}

enum job_next copy_enter_piece_done(struct job *j)
{
    const struct table *t = copy_of(j)->table;

    if (t->records == TABLE_KEY)
        return JOB_NEXT;
    params_clear(&j->params);
    params_text(&j->params, j->sync->name);
    params_int(&j->params, t->id);
    params_text(&j->params, t->copied_in);
    conn_execute(job_conn(j, JOB_TARGET), &sql_piece_done, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

void copy_piece_done(struct table *t)
{
    if (t->records != TABLE_KEY)
        table_set_snapshot(t, t->copied_in);
}
