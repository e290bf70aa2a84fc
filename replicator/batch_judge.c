/* What the probes have found, weighed.
 *
 * A table that is read as a whole takes part in every batch, so its position moves with the
 * others'; that it has changed and was not read yet is remembered here and nowhere else: a new run
 * assumes it. While it waits for its turn the target is no state of the source, and says so. */
#include "batch_judge.h"

#include "batch_again.h"
#include "batch_read.h"
#include "batch_two_way.h"
#include "steady.h"

/* ------------------------------------------------------------------ tables read as a whole */

static bool is_read_now(const struct batch_table *t)
{
    return t->changes > 0;
}

bool batch_owes_whole(const struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].table->owes_whole && !is_read_now(&b->group[i]))
            return true;
    return false;
}

void batch_whole_read(struct table *t)
{
    t->owes_whole = false;
    t->whole_at = steady_now();
}

void batch_owe_whole(struct batch_job *b)
{
    for (struct list *l = b->sync->tables.next; l != &b->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        t->owes_whole |= t->records == TABLE_NOTHING && t->state == TABLE_FOLLOW;
    }
}

static double turn_of(const struct table *t)
{
    return t->whole_at + t->sync->config->whole_every_s;
}

double batch_whole_due_s(const struct batch_job *b)
{
    double due_s = 1e6;

    for (int i = 0; i < b->group_count; i++) {
        const struct table *t = b->group[i].table;
        double left_s = turn_of(t) - steady_now();

        if (t->owes_whole && left_s < due_s)
            due_s = left_s;
    }
    return due_s;
}

/* Whether it is read in this batch, all of it in the place of what is there. */
static void weigh_whole(struct batch_job *b, struct batch_table *t)
{
    bool is_its_turn = steady_now() >= turn_of(t->table);

    t->table->owes_whole |= t->changes > 0;
    b->changes -= t->changes;
    t->changes = t->table->owes_whole && is_its_turn;
    t->is_truncated = true;
    b->changes += t->changes;
}

static void weigh(struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].table->records == TABLE_NOTHING)
            weigh_whole(b, &b->group[i]);
}

void batch_round_done(struct batch_job *b)
{
    if (!batch_owes_whole(b) && !batch_has_again(b))
        b->rounds_done = b->rounds_begun;
}

/* ------------------------------------------------------------------ is it worth a batch? */

/* A table of the group has a position of its own: a batch, even an empty one, brings it in step. */
static bool has_joiners(const struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].table->snapshot)
            return true;
    return b->sync->snapshot == NULL;
}

bool batch_is_everything(const struct batch_job *b)
{
    return b->group_count == sync_tables_taking_part(b->sync) && !batch_owes_whole(b);
}

static void note_pending(struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        b->group[i].table->changes_pending = b->group[i].changes;
}

/* Nothing has changed, but nobody knows yet that this is a consistent state: after a start an empty
 * batch says so. */
static bool is_news(const struct batch_job *b)
{
    return !b->sync->is_consistent && batch_is_everything(b);
}

static bool wants_empty(const struct batch_job *b)
{
    return has_joiners(b) || is_news(b);
}

bool batch_is_idle(const struct batch_job *b)
{
    return b->changes == 0 && !wants_empty(b);
}

bool batch_owes_nothing(const struct batch_job *b)
{
    return !wants_empty(b) && !batch_owes_whole(b);
}

bool batch_is_due(struct batch_job *b)
{
    weigh(b);
    note_pending(b);
    return !batch_pause_unreadable(b) && !batch_has_nothing(b, batch_is_idle(b));
}
