/* Requests whose answer waits for batches: `kick` until what was committed before it is at the
 * target, `pause` until nothing that was begun before it is written any more, `resync` and
 * `resume` until the target knows of it. What was answered is not asked again: a daemon that is
 * killed then must have left it in the database, also where a batch in hand keeps a pause from
 * being recorded for long.
 *
 * A pause takes effect at once: no batch and no part of a table is begun after it. What is in hand
 * goes on to its end, since a batch that is given up is only made again. That is also so for one
 * that has looked for its tables and waits for the other direction to begin; who waits for a
 * direction that is paused waits for nobody. So the answer comes when
 * nothing is in hand: no round of batches that began before, in either direction, and no stream at
 * the table (or, for the whole sync, at any). Whoever reads it may rely on the target standing
 * still. A batch may take minutes: after REST_S the answer says that it is still under way. */
#include "upkeep.h"

#include <stdlib.h>

#include "batch.h"
#include "batch_two_way.h"
#include "direction.h"
#include "lead_steps.h"
#include "mem.h"
#include "skip.h"
#include "steady.h"
#include "two_way.h"

#define REST_S 20.

enum { NAMES_UNTIL = 300 /* bytes of an answer */ };

static struct upkeep_wait *wait_at(struct list *l)
{
    return container_of(l, struct upkeep_wait, in_lead);
}

void upkeep_drop_waits(struct lead_job *l)
{
    while (!list_is_empty(&l->waits)) {
        struct list *w = l->waits.next;

        list_remove(w);
        free(wait_at(w));
    }
}

bool upkeep_is_waiting(const struct lead_job *l, int64_t id)
{
    for (struct list *w = l->waits.next; w != &l->waits; w = w->next)
        if (wait_at(w)->id == id)
            return true;
    return false;
}

void upkeep_name_waits(const struct lead_job *l, struct buf *b)
{
    buf_clear(b, 64 * 1024);
    buf_text(b, "{");
    for (struct list *w = l->waits.next; w != &l->waits; w = w->next)
        buf_printf(b, "%s%lld", b->len > 1 ? "," : "", (long long)wait_at(w)->id);
    buf_text(b, "}");
}

static uint64_t number_of(const struct batch_job *b, enum upkeep_waits what)
{
    return what == UPKEEP_PAUSE ? b->gathers : b->rounds_begun;
}

void upkeep_add_wait(struct lead_job *l, int64_t id, enum upkeep_waits what, const struct table *t)
{
    struct upkeep_wait *w = mem_alloc(sizeof *w);

    w->id = id;
    w->what = what;
    w->table_id = t ? t->id : 0;
    w->asked_at = steady_now();
    w->round = number_of(l->sync->batch, what);
    if (l->sync->other)
        w->other_round = number_of(l->sync->other->batch, what);
    w->look = l->looks;
    w->sequences = l->sync->sequences->rounds_begun;
    if (what == UPKEEP_KICK) {
        l->stamp_due = 0;
        sequence_wake(l->sync->sequences);
    }
    list_append(&l->waits, &w->in_lead);
    batch_wake(l->sync->batch);
}

/* ------------------------------------------------------------------ kick */

static bool is_through(const struct sync *s, uint64_t round)
{
    return s->batch->rounds_done > round && (s->is_consistent || upkeep_is_anything_standing(s));
}

/* Values that sequences have given, too: whoever switches over lets the target draw the next ones,
 * and the head-room may be smaller than what was drawn since the last interval. Where both ends
 * draw, neither follows the other. */
static bool are_sequences_through(const struct sync *s, const struct upkeep_wait *w)
{
    return s->other || s->sequences->rounds_done > w->sequences;
}

/* A definition that has changed may change values where no row was written: the catalogs are looked
 * at after the request, and what the look has found is dealt with first. */
static bool is_kick_due(const struct sync *s, const struct upkeep_wait *w)
{
    return s->lead->looks > w->look && !s->wants_catalog && is_through(s, w->round) &&
           are_sequences_through(s, w) &&
           (!two_way_is_coupled(s) || is_through(s->other, w->other_round));
}

/* Tables that have no part in the sync: whoever switches over must know. */
static void name_left_out(const struct sync *s, struct buf *b)
{
    int count = s->table_count - sync_tables_taking_part(s), shown = 0;

    if (count == 0)
        return;
    buf_printf(b, ", but for %d table%s without a part in the sync (", count,
               count == 1 ? "" : "s");
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (table_is_left_out(t) && b->len < NAMES_UNTIL)
            buf_printf(b, "%s%s", shown++ > 0 ? ", " : "", t->label);
    }
    buf_printf(b, "%s): see `rebeco status`", shown < count ? ", ..." : "");
}

static void name_sequences(const struct sync *s, struct buf *b)
{
    int n = s->other ? 0 : s->sequences->troubled;

    if (n > 0)
        buf_printf(b, "; %d sequence%s there: see `rebeco status`", n,
                   n == 1 ? " is not as at the source" : "s are not as at the source");
}

static enum job_next answer_kick(struct job *j, int64_t id)
{
    const struct sync *s = lead_of(j)->sync;
    bool all = skip_is_exact(s) && (s->other == NULL || s->other->is_consistent);
    struct buf b;
    enum job_next next;

    buf_init(&b);
    buf_text(&b,
             all && direction_is_any_closed(s)
                 ? "everything committed before the request is there, but for changes of the end "
                   "whose direction is closed"
             : all ? "everything committed before the request is at the target"
             : s->is_consistent
                 ? "everything but rows that are left out is at the target: see `rebeco status`"
                 : "some tables are paused: see `rebeco status`");
    if (all) {
        name_left_out(s, &b);
        name_sequences(s, &b);
    }
    next = upkeep_answer(j, id, all, b.data);
    buf_fini(&b);
    return next;
}

/* ------------------------------------------------------------------ pause */

static bool has_left(const struct batch_job *b, uint64_t gathers)
{
    return !b->is_in_round || b->gathers > gathers;
}

static bool is_streamed(struct sync *s, int table_id)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (t->streams > 0 && (table_id == 0 || t->id == table_id))
            return true;
    }
    return false;
}

/* What else writes at the target: it has no tables of its own. */
static bool has_helpers_at_work(const struct sync *s)
{
    const struct job *large = &s->large_objects->job;

    return job_is_running(&s->matviews->job) ||
           (job_is_running(large) && !job_is_at(large, "turn"));
}

static bool is_at_rest(struct sync *s, const struct upkeep_wait *w)
{
    const struct table *t = w->table_id ? sync_table_find(s, w->table_id) : NULL;

    return (t == NULL || t->pause == TABLE_RUNS || t->is_recorded) &&
           has_left(s->batch, w->round) && !is_streamed(s, w->table_id) &&
           (w->table_id != 0 || !has_helpers_at_work(s)) &&
           (s->other == NULL || has_left(s->other->batch, w->other_round) ||
            batch_other_waits(s->batch));
}

static enum job_next answer_pause(struct job *j, const struct upkeep_wait *w)
{
    return upkeep_answer(j, w->id, true,
                         is_at_rest(lead_of(j)->sync, w)
                             ? "done"
                             : "paused; what was begun before is still being written, and ends "
                               "by itself");
}

/* ------------------------------------------------------------------ resync and resume */

static bool is_known_to_copy(const struct sync *s, const struct upkeep_wait *w)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if ((w->table_id == 0 || t->id == w->table_id) && t->id != 0 && t->wants_copy &&
            !t->is_recorded)
            return false;
    }
    return true;
}

/* After REST_S it may be that a stream is in the middle of a part of it. */
static bool goes_on(const struct lead_job *l, const struct upkeep_wait *w)
{
    struct table *t = w->table_id ? sync_table_find(l->sync, w->table_id) : NULL;
    struct table *o = t ? two_way_other(t) : NULL;
    bool is_held = (t && t->pause == TABLE_ERROR && t->retry_at <= 0) ||
                   (o && o->pause == TABLE_ERROR && o->retry_at <= 0);

    return !is_held || steady_now() - w->asked_at > REST_S;
}

static enum job_next answer_resync(struct job *j, const struct upkeep_wait *w)
{
    return upkeep_answer(j, w->id, true, w->table_id ? "done" : "every table is copied again");
}

/* ------------------------------------------------------------------ answers */

static bool is_due(struct lead_job *l, const struct upkeep_wait *w)
{
    switch (w->what) {
    case UPKEEP_KICK:
        return is_kick_due(l->sync, w);
    case UPKEEP_PAUSE:
        return is_at_rest(l->sync, w) || steady_now() - w->asked_at > REST_S;
    case UPKEEP_RESYNC:
        return is_known_to_copy(l->sync, w);
    case UPKEEP_RESUME:
        return goes_on(l, w);
    }
    return true;
}

static enum job_next answer(struct job *j, const struct upkeep_wait *w)
{
    switch (w->what) {
    case UPKEEP_KICK:
        return answer_kick(j, w->id);
    case UPKEEP_PAUSE:
        return answer_pause(j, w);
    case UPKEEP_RESYNC:
        return answer_resync(j, w);
    case UPKEEP_RESUME:
        return upkeep_answer(j, w->id, true, "done");
    }
    return JOB_NEXT;
}

enum job_next upkeep_answer_wait(struct job *j)
{
    struct lead_job *l = lead_of(j);

    for (struct list *k = l->waits.next; k != &l->waits; k = k->next) {
        struct upkeep_wait w = *wait_at(k);

        if (!is_due(l, &w))
            continue;
        list_remove(k);
        free(wait_at(k));
        return answer(j, &w);
    }
    return JOB_NEXT;
}
