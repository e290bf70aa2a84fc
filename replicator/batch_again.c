/* What is logged again, at which end, and in which transaction.
 *
 * Both directions open. Whoever leaves a key out of its half of a round logs it again at the end
 * that the half reads, in the transaction that reads, which is over before the position goes past
 * that key. So the first line of two_way.c's argument holds: a key whose rows differ is in a log,
 * beyond a position. A row that is kept for one that refers to it (batch_foreign_key.c) is logged
 * at the end that keeps it, too, though nothing has changed it there: so it is read and sent, and
 * should only one of the two halves get through, the next round knows it from either log.
 *
 * The direction from X to Y closed (direction.c). Its half is not made, and its position A stands
 * still: what X's log has beyond A remains there, and needs no second entry. That is a row of X
 * that waits for a removal, which comes by the open direction, and a removal at X that is refused
 * because a row of Y refers to what was removed. But where Y has removed a row that X keeps, X's
 * log need not have it: nothing has changed it there. To log it again at Y would keep the removal
 * beyond a, the other position, so that each round found it again, and it would never be at rest:
 * it is for X to send the row, and X sends nothing now. So it is logged at X, by the half that
 * writes at X, in the transaction that moves a past the removal.
 *
 * - Nothing is lost. Before that commit the removal is beyond a: the next round finds it, and makes
 *   the same of it. From then on the key is in X's log, beyond A. There is no moment with neither,
 *   wherever the daemon is killed; and none with both, so there is one entry for each removal.
 * - It comes to rest: no log has anything that the open direction is still to send.
 * - When the direction is opened, the first round reads the row with those that refer to it, and
 *   writes it before them. It is at Y again, once.
 * - What Y does with that key meanwhile is a conflict with what X keeps, as any in a closed
 *   direction; X's change is as old as the removal (by X's clock: batch_again_kept). When Y wins
 *   with another row, that is written at X. When it wins with one more removal, that is refused,
 *   too, as long as X's row is referred to.
 * - What X does with it counts as ever: when it removes the row, none is sent. When only the row
 *   that refers to it goes, it comes back at Y all the same: the removal was refused, and whoever
 *   still wants it has both ends for it.
 * - What the row refers to, and Y removes later, is kept like it: the row is in X's log now, and so
 *   an orphan of that round.
 *
 * All steps of a round, in both halves, take a direction for closed as it was when the round's
 * changes were looked for (batch_job.is_closed): else one of them could have logged nothing here
 * because the other was to do it, and the other one there. */
#include "batch_again.h"

#include "batch_read.h"
#include "batch_two_way.h"

/* What is to be logged: {k, at, new, acted, waits, ahead: by how many seconds the clock of `at` is
 * before that of the end where it is logged}, with what was noted before. */
static const char *with_rows(struct arena *a, const char *before, const json_t *rows, bool waits,
                             double ahead_s)
{
    json_t *list = json_array();
    const char *text;
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        json_array_append_new(
            list,
            json_pack("{s:O, s:O?, s:O?, s:O?, s:b, s:f}", "k", json_object_get(row, "k"), "at",
                      json_object_get(row, "at"), "new", json_object_get(row, "new"), "acted",
                      json_object_get(row, "acted"), "waits", waits, "ahead", ahead_s));
    }
    text = batch_join(a, before ? before : "[]", batch_text_of(a, list));
    json_decref(list);
    return text;
}

static void add_here(struct batch_job *b, struct batch_table *t, const json_t *rows, bool waits,
                     double ahead_s)
{
    if (json_array_size(rows) == 0 || b->is_closed)
        return;
    t->again = with_rows(b->arena, t->again, rows, waits, ahead_s);
    t->changes += (int64_t)json_array_size(rows);
}

static void add_there(struct batch_job *b, struct batch_table *t, const json_t *rows,
                      double ahead_s)
{
    if (json_array_size(rows) > 0)
        t->again_there = with_rows(b->arena, t->again_there, rows, false, ahead_s);
}

void batch_again_kept(struct batch_job *out_job, struct batch_table *out, struct batch_job *in_job,
                      struct batch_table *in, const json_t *rows)
{
    double ahead_s = in_job->clock_ahead_s - out_job->clock_ahead_s;

    add_here(out_job, out, rows, false, ahead_s);
    if (out_job->is_closed)
        add_there(in_job, in, rows, ahead_s);
    else
        add_here(in_job, in, rows, false, 0.);
}

void batch_again_waits(struct batch_job *b, struct batch_table *t, const json_t *rows)
{
    add_here(b, t, rows, true, 0.);
}

void batch_log_again(struct batch_job *b, struct batch_table *t)
{
    batch_bind_round(&b->job.params, t->table->id, batch_since(b, t), b->until);
    params_text(&b->job.params, t->again);
    batch_ask_text(b, &sql_two_way_again, t, &t->again);
}

void batch_send_again(struct batch_job *b)
{
    struct params *p = &b->job.params;

    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (t->again)
            batch_log_again(b, t);
        if (t->again_there) {
            batch_bind_round(p, t->other_id, t->other_since, b->other_until);
            params_text(p, t->again_there);
            batch_ask_there(b, t->table, &sql_two_way_again, &t->again_there);
        }
    }
}

bool batch_has_again(const struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].again)
            return true;
    return false;
}
