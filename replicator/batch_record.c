/* What a batch tells the two ends besides rows: at the target, which tables stand still and from
 * where they will go on; at the source, what is safely at the target. */
#include "batch_record.h"

#include <jansson.h>
#include <stdlib.h>

#include "batch_read.h"
#include "batch_two_way.h"
#include "lead.h"
#include "steady.h"

void batch_forget_telling(struct batch_job *b)
{
    free(b->telling);
    b->telling = NULL;
}

/* The source has answered whatever was said to it before this round: it has that on its disk. */
static void note_told(struct batch_job *b)
{
    if (b->telling == NULL)
        return;
    free(b->sync->told);
    b->sync->told = b->telling;
    b->telling = NULL;
}

/* A table that was taken out of step keeps its position, and the target must know it before the
 * next batch goes on without it: otherwise it would seem to be where the others are. */
enum job_next batch_enter_record(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = false;

    note_told(b);
    for (struct list *l = b->sync->tables.next; l != &b->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->pause == TABLE_RUNS || t->is_recorded || t->id == 0)
            continue;
        params_clear(&j->params);
        params_text(&j->params, b->sync->name);
        params_int(&j->params, b->sync->owner);
        params_int(&j->params, t->id);
        params_text(&j->params, table_pause_name(t->pause));
        params_text(&j->params, t->why.what);
        params_text(&j->params, t->why.detail);
        params_text(&j->params, t->why.hint);
        params_bool(&j->params, t->copy_is_asked);
        params_bool(&j->params, t->is_lossy);
        conn_execute_name(job_conn(j, JOB_TARGET), sql_table_pause.name, &j->params, CONN_TEXT,
                          60.);
        apply_sent_other(&b->apply);
        /* As the target does; from here it is also what the source must keep the log for. */
        if (t->state == TABLE_FOLLOW && t->snapshot == NULL)
            table_set_snapshot(t, b->sync->snapshot);
        t->is_recording = true;
        b->sync->is_consistent = false;
        any = true;
    }
    return any ? batch_sync_target(b) : JOB_NEXT;
}

void batch_bind_written(struct batch_job *b, struct params *p)
{
    json_t *list = json_array();

    for (int i = 0; i < b->group_count; i++) {
        const struct relation *r = b->group[i].table->target;

        if (b->group[i].changes > 0)
            json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "s", r->schema, "n", r->name,
                                                  "oid", (json_int_t)r->oid));
    }
    params_text(p, batch_text_of(b->arena, list));
    json_decref(list);
}

/* What was sent to be recorded is recorded: such a table has a position of its own from here on,
 * the one that the sync has at this moment. */
void batch_note_recorded(struct batch_job *b)
{
    for (struct list *l = b->sync->tables.next; l != &b->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (!t->is_recording)
            continue;
        t->is_recording = false;
        t->is_recorded = true;
        b->sync->wants_catalog = true; /* it stands still: it may be mended now */
        lead_wake(b->sync->lead);
        if (t->state == TABLE_FOLLOW && t->snapshot == NULL)
            table_set_snapshot(t, b->sync->snapshot);
    }
}

/* Where the tables out of step are, as arrays for sql/confirm.sql. */
static enum job_next send_confirmation(struct batch_job *b)
{
    struct buf ids = {0}, positions = {0};

    for (struct list *l = b->sync->tables.next; l != &b->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->id == 0 || t->snapshot == NULL)
            continue;
        buf_printf(&ids, "%s%d", ids.len ? "," : "{", t->id);
        buf_printf(&positions, "%s\"%s\"", positions.len ? "," : "{", t->snapshot);
    }
    buf_text(&ids, ids.len ? "}" : "{}");
    buf_text(&positions, positions.len ? "}" : "{}");
    params_clear(&b->job.params);
    params_text(&b->job.params, b->sync->consumer);
    params_text(&b->job.params, b->sync->snapshot);
    params_text(&b->job.params, ids.data);
    params_text(&b->job.params, positions.data);
    batch_ask(b, &sql_confirm, BATCH_CONFIRM);
    batch_forget_telling(b);
    b->telling = b->sync->snapshot ? mem_strdup(b->sync->snapshot) : NULL;
    b->confirmed_s = steady_now();
    b->confirm_due = false;
    buf_fini(&ids);
    buf_fini(&positions);
    return batch_sync_source(b);
}

/* The batch saw commits that are not on the source's disk: a commit of ours flushes them. */
enum job_next batch_enter_flush(struct job *j)
{
    return send_confirmation(batch_of(j));
}

enum job_next batch_enter_confirm(struct job *j)
{
    return send_confirmation(batch_of(j));
}
