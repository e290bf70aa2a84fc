/* The end of a table's copy: its key at the target, made as it is at the source, and the note that
 * its changes are followed from here on. */
#include <stdio.h>

#include "batch.h"
#include "copy_steps.h"
#include "log.h"
#include "partition.h"
#include "statistics.h"
#include "steady.h"
#include "sync.h"

void copy_bind_key(struct job *j, struct params *p)
{
    const struct table *t = copy_of(j)->table;

    params_int(p, t->source->key_index);
    params_text(p, t->target->schema);
    params_text(p, t->target->name);
}

enum job_next copy_take_key(struct job *j, PGresult *r)
{
    struct copy_job *c = copy_of(j);

    if (PQntuples(r) == 0) {
        struct error e = {0};

        error_set(&e, "source: the key of %s is gone", c->table->label);
        snprintf(e.sqlstate, sizeof e.sqlstate, "42704");
        return job_fail(j, &e);
    }
    c->key_sql = copy_value(j, r, 1);
    return JOB_NEXT;
}

enum job_next copy_enter_key_make(struct job *j)
{
    struct copy_job *c = copy_of(j);

    if (c->table->target_has_key)
        return JOB_NEXT;
    conn_query(job_conn(j, JOB_TARGET), c->key_sql, NULL, CONN_TEXT, 0);
    return JOB_WAIT;
}

enum job_next copy_enter_key_made(struct job *j)
{
    struct copy_job *c = copy_of(j);

    c->table->target_has_key = true;
    if (!c->is_key_only)
        return JOB_NEXT;
    return job_goto(j, "pick");
}

void copy_bind_follow(struct job *j, struct params *p)
{
    const struct copy_job *c = copy_of(j);

    params_text(p, c->sync->name);
    params_int(p, c->sync->owner);
    params_int(p, c->table->id);
}

enum job_next copy_enter_followed(struct job *j)
{
    struct copy_job *c = copy_of(j);
    struct table *t = c->table;

    t->state = TABLE_FOLLOW;
    partition_take_note(t, t->owes_keys);
    t->copied_at = steady_now();
    log_event(LOG_INFO, "table copied", "sync", c->sync->name, "table", t->label, "rows",
              log_int(t->rows_done), NULL);
    statistics_table_copied(c->sync->statistics);
    batch_wake(c->sync->batch);
    sync_think(c->sync);
    return job_goto(j, "pick");
}
