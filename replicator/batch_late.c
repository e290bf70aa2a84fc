/* What came in between: after the last write of a round, and before its commit, the application's
 * changes at the receiving end since the round's snapshot. One of a key that the round has written,
 * and it is given up here; the next one finds that change in the log. What the round leaves out was
 * not written: it has lost to what was there in the snapshot, and what came later is on its way
 * back.
 *
 * A truncation concerns every row of the other end. Where the application writes there without a
 * pause each round would be given up, and nothing would ever arrive. So it removes only rows that
 * it has locked, and then seen not to have changed since the snapshot (rebeco.two_way_clear).
 * Those that have changed stay, and are logged again at the source as of the time of the
 * truncation, in a transaction that is over before the position goes past it: the next round finds
 * both changes, and decides. They are among those that are asked for here, since whatever was there
 * and not removed is either one of them, or locked until the commit; what comes after the question
 * has come after the truncation, and is on its way back. That a removal comes later does no harm
 * where no other constraint ties the rows, and what they refer to is not truncated with them. In
 * other tables, and where rows are merged, one that came late gives the round up. */
#include "batch_two_way.h"

#include <jansson.h>

#include "batch_again.h"
#include "batch_foreign_key.h"
#include "batch_hot.h"
#include "batch_merge.h"
#include "batch_read.h"
#include "log.h"
#include "two_way.h"

enum { LOST_MAX = 3 };

enum job_next batch_enter_late(struct job *j)
{
    struct batch_job *b = batch_of(j);
    struct buf ids = {0};

    b->late = NULL;
    for (int i = 0; two_way_is_coupled(b->sync) && i < b->group_count; i++)
        if (b->group[i].changes > 0 || batch_may_lose(b, &b->group[i]))
            buf_printf(&ids, "%s%d", ids.len ? "," : "{", b->group[i].other_id);
    if (ids.len == 0)
        return job_goto(j, "commit");
    buf_text(&ids, "}");
    params_clear(&j->params);
    params_text(&j->params, ids.data);
    params_text(&j->params, b->other_until);
    params_text(&j->params, batch_merge_all(b));
    batch_ask_there(b, NULL, &sql_two_way_late, &b->late);
    buf_fini(&ids);
    return batch_sync_target(b);
}

static bool may_spare(const struct batch_job *b, const struct batch_table *t, const json_t *late)
{
    return json_is_true(json_object_get(late, "spares")) && !batch_is_cut_with_parent(b, t);
}

static void ask_late_keys(struct batch_job *b, struct batch_table *t, const json_t *late)
{
    const char *keys = batch_text_of(b->arena, json_object_get(late, "keys"));

    if (json_is_true(json_object_get(late, "cut")) || (t->is_truncated && !may_spare(b, t, late))) {
        t->late_keys = "[all]";
        return;
    }
    batch_bind_round(&b->job.params, t->table->id, batch_since(b, t), b->until);
    params_text(&b->job.params, keys);
    params_text(&b->job.params, batch_merge_left_out(b, t));
    batch_ask_text(b, &sql_two_way_late_keys, t, &t->late_keys);
    if (!t->is_truncated)
        return;
    batch_bind_round(&b->job.params, t->table->id, batch_since(b, t), b->until);
    params_text(&b->job.params, keys);
    params_text(&b->job.params, t->left_out);
    batch_ask_text(b, &sql_two_way_hot, t, &t->spared);
}

enum job_next batch_enter_late_keys(struct job *j)
{
    struct batch_job *b = batch_of(j);
    json_t *all = b->late ? json_loads(b->late, 0, NULL) : NULL;
    bool any = false;

    for (int i = 0; i < b->group_count; i++) {
        char id[16];
        const json_t *late;

        snprintf(id, sizeof id, "%d", b->group[i].other_id);
        late = json_object_get(all, id);
        if (late == NULL)
            continue;
        b->group[i].late_lost =
            json_is_true(json_object_get(late, "lost")) && batch_may_lose(b, &b->group[i]);
        any |= b->group[i].late_lost;
        if (b->group[i].changes == 0)
            continue;
        ask_late_keys(b, &b->group[i], late);
        any = true;
    }
    json_decref(all);
    return any ? batch_sync_source(b) : job_goto(j, "times");
}

/* A foreign key has removed a row that came after the round's snapshot: the next one knows it, and
 * writes down what becomes of it. */
static bool is_lost(struct batch_job *b, const struct batch_table *t)
{
    return t->late_lost && ++b->lost <= LOST_MAX;
}

static void note_hot(struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        if (batch_has_any(b->group[i].late_keys))
            batch_hot_note(b, &b->group[i]);
    b->given_up++;
}

static bool send_spared(struct batch_job *b)
{
    bool any = false;

    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (batch_has_any(t->spared)) {
            t->again = t->spared;
            batch_log_again(b, t);
            any = true;
        }
        t->spared = NULL;
    }
    return any;
}

enum job_next batch_enter_late_judged(struct job *j)
{
    struct batch_job *b = batch_of(j);

    for (int i = 0; i < b->group_count; i++)
        if (batch_has_any(b->group[i].late_keys) || is_lost(b, &b->group[i])) {
            b->redone++;
            note_hot(b);
            log_event(LOG_DEBUG, "a row was changed meanwhile: the round is made again", "sync",
                      b->sync->name, "table", b->group[i].table->label, NULL);
            return job_goto(j, "undo");
        }
    b->lost = 0;
    return send_spared(b) ? batch_sync_source(b) : JOB_NEXT;
}
