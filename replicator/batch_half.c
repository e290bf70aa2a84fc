/* What a round has decided, and what the next one must know of it when only half of it got through.
 *
 * `skip` leaves a row as it is at either end until somebody changes it again: neither change is
 * sent, and both positions go past them. Where only one of the two directions gets through with
 * that round, the other one finds its change again in the next, and nothing at the other end that
 * it would be in conflict with: it would go over what that end was to keep.
 *
 * But the direction that got through has written down the decision, in the same transaction, at the
 * end where it writes: the one from which the other direction reads. So whoever is not through with
 * its last round asks there for the rows of which `skip` was decided, and of which the time is that
 * of their last change in this round. It leaves them out, unless the other end has changed them
 * again, which is a conflict of its own. A row that was changed since has another time, and is
 * sent, as it would be after a whole round. (A direction that was closed for longer than
 * conflict.keep finds no record any more, and sends the row.)
 *
 * Of rows that are merged, `skip` was decided about the columns that clashed, in which the two
 * versions on record differ. Those that have not been changed since the record's time are left
 * out; the others are sent as if the row was merged in this round: columns are set, and what
 * counters were moved by is added, once, with the position. Where the other end has changed the
 * row again, too, the columns left out are no change of this end (rebeco.merge_details()), as they
 * would not be after a whole round.
 *
 * Where rows are merged, half a round may leave a difference that no log has. One end has changed a
 * column; the other one the row as a whole (it has removed it and put it in again), or another
 * column of the same block, and loses. When it hears of that, in the next round, its log has
 * nothing of it any more, and the log of the end that won has its one column. Where only that log
 * has something, the row is sent as it is. But where the end that lost has changed the row once
 * more, both are merged, column by column, and the others that it was to get are in neither log. So
 * the winner asks for the record of that decision, too, which holds while its log has the change by
 * which it won: a column that differs then, and that neither has changed, is the winner's.
 *
 * A whole round may leave such a row for later, too: the row's parent has gone at the other end,
 * and what this end's log says of it is moved behind the round (batch_foreign_key.c), skipped
 * columns and all, with the times of their changes. So the next round asks for it as after half a
 * round.
 *
 * A table that stood still since then has missed that round: others went through without it. One
 * that is out of step is always asked about. */
#include "batch_half.h"

#include <string.h>

#include "batch_merge.h"
#include "batch_read.h"
#include "batch_two_way.h"
#include "two_way.h"

bool batch_may_skip(const struct batch_job *b, const struct batch_table *t)
{
    const struct sync *forward = b->sync->is_back ? b->sync->other : b->sync;
    const char *policy = two_way_policy(forward, t->table);

    return strcmp(policy, "skip") == 0 || strchr(policy, '.') != NULL;
}

static bool is_out_of_step(const struct table *t)
{
    return t->snapshot || (t->other && t->other->snapshot);
}

const char *batch_half_of(const struct batch_job *b, const struct batch_table *t)
{
    const struct sync *forward = b->sync->is_back ? b->sync->other : b->sync;
    bool may_be_half = b->is_half_done || is_out_of_step(t->table);

    bool is_asked = batch_may_skip(b, t) || batch_merge_is_asked(t->table);

    return may_be_half && !b->is_closed && is_asked ? forward->name : NULL;
}

bool batch_moves_decided(const struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++) {
        const struct batch_table *t = &b->group[i];

        if (t->again && two_way_is_coupled(b->sync) && batch_merge_is_asked(t->table))
            return true;
    }
    return false;
}

enum job_next batch_enter_half(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = false;

    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];
        const struct batch_table *there = batch_find_other(batch_other(b), t->table);

        t->skipped = NULL;
        if (t->changes == 0 || !batch_may_skip(b, t) || batch_half_of(b, t) == NULL)
            continue;
        batch_bind_round(&j->params, t->table->id, batch_since(b, t), b->until);
        params_text(&j->params, batch_half_of(b, t));
        params_text(&j->params, b->sync->is_back ? "target" : "source");
        params_text(&j->params, t->table->source->schema);
        params_text(&j->params, t->table->source->name);
        params_text(&j->params, batch_join(b->arena, there ? there->keep : "[]", t->left_out));
        batch_ask_text(b, &sql_two_way_skipped, t, &t->skipped);
        any = true;
    }
    return any ? batch_sync_source(b) : job_goto(j, "hot");
}

enum job_next batch_enter_half_known(struct job *j)
{
    struct batch_job *b = batch_of(j);

    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];
        json_t *skipped = t->skipped ? json_loads(t->skipped, 0, NULL) : NULL;
        const char *keys = batch_text_of(b->arena, json_object_get(skipped, "keys"));
        const char *merged = batch_text_of(b->arena, json_object_get(skipped, "merge"));

        t->left_out = batch_join(b->arena, t->left_out, keys);
        t->keep = batch_join(b->arena, t->keep, keys);
        if (batch_has_any(merged))
            t->merged = batch_join(b->arena, t->merged, merged);
        t->skipped = NULL;
        json_decref(skipped);
    }
    return JOB_NEXT;
}
