/* Whether a sync waits for a person: what `run --until` must not do for ever, and what people are
 * to be alerted of. A pause that somebody asked for is the one, and not the other. */
#include "skip.h"
#include "steady.h"
#include "sync.h"

#define PERSON_S 10. /* a table that is paused for longer than this waits for a person */

/* It runs only to see whether that reason is gone: no new beginning, unless it waits for a lock. */
static bool is_looked_at(const struct table *t)
{
    return t->state == TABLE_NEW && t->is_tried_again && t->tries == 0;
}

/* plan_next_resume() takes it; one that was never taken in begins anew, or not. */
static bool goes_on_by_itself(const struct table *t)
{
    return t->wants_plan && t->id != 0;
}

/* Every table either follows or is paused for a reason that does not go away by itself. */
static bool only_a_person_can_help(const struct sync *s)
{
    bool any = false;

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);
        bool is_lost = t->pause == TABLE_CAPTURE && s->other && t->is_lossy && !t->wants_copy;
        bool waits =
            t->pause == TABLE_DRIFT || t->pause == TABLE_ERROR || is_lost || is_looked_at(t);

        if (!waits && t->state != TABLE_FOLLOW)
            return false;
        any |= (waits && !goes_on_by_itself(t)) || skip_count_of(t) > 0;
    }
    return any;
}

/* Somebody has paused the sync, or what is left of it to do. */
static bool is_held_by_person(const struct sync *s)
{
    bool any = false;

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (t->pause == TABLE_RUNS && t->state != TABLE_FOLLOW)
            return s->is_paused;
        any |= t->pause == TABLE_USER;
    }
    return any || s->is_paused;
}

static void note_since(double *since, bool is_so)
{
    if (!is_so)
        *since = 0;
    else if (*since <= 0)
        *since = steady_now();
}

static bool is_long(double since)
{
    return since > 0 && steady_now() - since > PERSON_S;
}

void sync_note_waiting(struct sync *s)
{
    note_since(&s->waiting_since, only_a_person_can_help(s));
    note_since(&s->held_since, is_held_by_person(s));
}

bool sync_waits_for_person(const struct sync *s)
{
    return is_long(s->waiting_since);
}

bool sync_is_held_by_person(const struct sync *s)
{
    return is_long(s->held_since);
}
