/* The times of changes travel behind their rows, and only where somebody at the target needs them.
 * They come and go a few thousand at a time, so that a large batch is never held in memory. The
 * look at what came in between (two_way_late) says which captures pass on: it is made after the
 * last write of every batch, and in the transaction that has logged what it wrote. */
#include "batch_chain.h"

#include <jansson.h>

#include "batch_read.h"
#include "batch_two_way.h"
#include "field.h"

static bool passes_on(const json_t *passes, int id)
{
    for (size_t i = 0; i < json_array_size(passes); i++)
        if (json_integer_value(json_array_get(passes, i)) == id)
            return true;
    return false;
}

static void ask_times(struct batch_job *b, struct batch_table *t)
{
    struct params *p = &b->job.params;
    struct batch_sent *s;

    batch_bind_round(p, t->table->id, batch_since(b, t), b->until);
    conn_query(job_conn(&b->job, JOB_SOURCE), sql_chain_times.text, p, CONN_ROWS_TEXT, 0);
    s = ring_push(&b->sent);
    *s = (struct batch_sent){.what = BATCH_TIMES, .table = t};
}

enum job_next batch_enter_times(struct job *j)
{
    struct batch_job *b = batch_of(j);
    json_t *late = b->late ? json_loads(b->late, 0, NULL) : NULL;
    const json_t *passes = json_object_get(late, "passes");
    bool any = false;

    for (int i = 0; i < b->group_count; i++) {
        if (b->group[i].changes == 0 || !passes_on(passes, b->group[i].other_id))
            continue;
        ask_times(b, &b->group[i]);
        any = true;
    }
    json_decref(late);
    return any ? batch_sync_source(b) : job_goto(j, "commit");
}

void batch_take_times(struct batch_job *b, const struct batch_table *t, const PGresult *r)
{
    struct params *p = &b->job.params;

    if (PQresultStatus(r) != PGRES_SINGLE_TUPLE)
        return;
    params_clear(p);
    params_int(p, t->other_id);
    params_text(p, field_text(r, 0, "times"));
    conn_query(job_conn(&b->job, JOB_TARGET), sql_chain_stamp.text, p, CONN_TEXT, 0);
    apply_sent_about(&b->apply, t->table);
}

enum job_next batch_enter_stamped(struct job *j)
{
    return batch_sync_target(batch_of(j));
}
