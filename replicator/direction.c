/* Closing one direction of a two-way sync, and opening it again.
 *
 * Two ends, X and Y; the direction from X to Y is to be closed: what X's application writes is not
 * sent to Y any more. The other direction stays open. A cutover ends this way.
 *
 * What is closed. The rounds (two_way.c) go on as they are: both directions take their snapshots,
 * and conflicts are found and decided by the policy. Only the half of the round that would write at
 * Y is not made, and the position of that direction, A, does not move. A round of which one half is
 * missing is what a crash between the two commits leaves behind too: all that is said in two_way.c
 * about both ends holds, with A standing still. A row that X is to give back to Y is the one thing
 * that X's log would not have by itself: batch_again.c. From this follows the rest:
 *
 * - No change is lost. What X's application writes while the direction is closed stays in X's
 * change log, because the log is kept from A on, whatever dies. It costs X's disk; log_limit warns.
 * No write of an application is refused: not by us, and not because of us.
 * - No write is overwritten unseen. A row of Y that arrives at X and was changed there after A is a
 * conflict. When Y wins, it is written at X; when X wins, X keeps its row, and Y its own until the
 * direction is opened. Each further change of that row at Y is a conflict again, and on record.
 * - Opening is exact. The first round reads all that X has changed after A, in the state that it
 * has by then, decides what Y has changed meanwhile and has not sent yet, and moves A to its
 * snapshot. A row of X that had lost is Y's row by then: writing it changes nothing.
 *
 * How it is closed. All that was committed at X before the request is at Y first: a round that
 * began after the request was seen has been through, and every table of that direction was in it
 * (a table that stands still cannot deliver: then the request is refused, and nothing is closed).
 * Then no further half round is begun towards Y; when the last one has ended, `direction` is
 * written into rebeco.sync at the target, in one transaction with the look at the owner's number,
 * and only then the request is answered. Whoever has the answer knows: all from before is there,
 * and nothing more comes until somebody opens it.
 *
 * Restarts. Before that row is written the direction is open, and the request has no answer: the
 * next daemon finds it and begins anew with it; rounds meanwhile have delivered more, which does no
 * harm. After it, the next daemon reads the row before it makes its first round, and finds the
 * request: it is answered, since it is so already. The way back is only started by a forward
 * sync that has read it, so both directions know. A daemon that was cut off and comes back can
 * commit nothing: its numbers of both owners are old. Going from one direction to the other opens
 * both first; never are both closed.
 *
 * While the direction from source to target is closed no table is copied: a new one waits, and
 * `resync` is refused. */
#include "direction.h"

#include <stdio.h>
#include <string.h>

#include "batch.h"
#include "field.h"
#include "lead_steps.h"
#include "log.h"
#include "steady.h"
#include "sync.h"
#include "two_way.h"
#include "upkeep.h"

const char direction_no_copy[] = "the direction from source to target is closed, so nothing is "
                                 "copied: `rebeco direction both` opens it";

static const char *const names[] = {"both", "source-to-target", "target-to-source"};

const char *direction_name(enum direction d)
{
    return names[d];
}

bool direction_read(const char *word, enum direction *d)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (word && strcmp(word, names[i]) == 0) {
            *d = (enum direction)i;
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ what is closed */

/* The one of the pair whose changes are not sent then, NULL: none. */
static struct sync *closed_by(struct sync *forward, enum direction d)
{
    switch (d) {
    case DIRECTION_BOTH:
        return NULL;
    case DIRECTION_SOURCE_TO_TARGET:
        return forward->other;
    case DIRECTION_TARGET_TO_SOURCE:
        return forward;
    }
    return NULL;
}

bool direction_is_closed(const struct sync *s)
{
    struct sync *f = s->is_back ? s->other : (struct sync *)(uintptr_t)s;
    const struct direction_change *c;

    if (s->other == NULL)
        return false;
    c = &f->direction_change;
    return closed_by(f, c->id && c->stage >= DIRECTION_CLOSING ? c->wanted : f->direction) == s;
}

bool direction_is_any_closed(const struct sync *s)
{
    return direction_is_closed(s) || (s->other && direction_is_closed(s->other));
}

/* ------------------------------------------------------------------ a request */

void direction_forget_change(struct sync *s)
{
    s->direction_change = (struct direction_change){0};
}

bool direction_is_in_hand(const struct sync *s, const char *verb)
{
    return s->direction_change.id && strcmp(verb, "direction") == 0;
}

void direction_note(struct sync *s, const char *word, const char *since)
{
    if (!direction_read(word, &s->direction))
        s->direction = DIRECTION_BOTH;
    snprintf(s->direction_since, sizeof s->direction_since, "%s", since ? since : "");
}

static void wake(struct sync *s)
{
    batch_wake(s->batch);
    if (s->other)
        batch_wake(s->other->batch);
}

static enum job_next refuse(struct job *j, int64_t id, const char *why)
{
    direction_forget_change(j->sync);
    wake(j->sync);
    return upkeep_answer(j, id, false, why);
}

static enum job_next answer_done(struct job *j, int64_t id, enum direction d)
{
    static const char *const texts[] = {
        "changes travel in both directions",
        "changes travel from source to target only; what was committed at the target before the "
        "request is at the source, and what is written there later is kept in its change logs",
        "changes travel from target to source only; what was committed at the source before the "
        "request is at the target, and what is written there later is kept in its change logs"};

    lead_of(j)->status_due = 0;
    lead_of(j)->commands_due = 0; /* for a request that has waited for this one */
    return upkeep_answer(j, id, true, texts[d]);
}

/* Not the same as closing it: what was written since then has stayed where it is. */
static enum job_next answer_already(struct job *j, int64_t id)
{
    const struct sync *s = j->sync;

    if (s->direction == DIRECTION_BOTH)
        return upkeep_answer(j, id, true, "changes travel in both directions already");
    return upkeep_answer(
        j, id, true,
        arena_printf(j->arena,
                     "changes travel %s only already, since %s; what was written at the %s after "
                     "that is kept in its change logs",
                     direction_name(s->direction), s->direction_since,
                     s->direction == DIRECTION_SOURCE_TO_TARGET ? "target" : "source"));
}

static enum job_next drain(struct sync *s)
{
    struct direction_change *c = &s->direction_change;
    const struct sync *closing = closed_by(s, c->wanted);

    c->stage = DIRECTION_DRAINING;
    c->round = closing ? closing->batch->rounds_begun : 0;
    wake(s);
    return JOB_NEXT;
}

enum job_next direction_take(struct job *j, int64_t id, const char *word)
{
    struct sync *s = j->sync;
    enum direction wanted;

    if (!direction_read(word, &wanted))
        return refuse(j, id, "no such direction: it is both, source-to-target or target-to-source");
    if (s->other == NULL)
        return refuse(j, id, "the sync goes one way: its configuration does not say mode: two-way");
    if (wanted == s->direction)
        return answer_already(j, id);
    if (wanted != DIRECTION_BOTH && (!two_way_is_coupled(s) || s->phase < SYNC_CATCH_UP))
        return refuse(j, id, "the initial copy is not complete: no direction can be closed before");
    if (wanted != DIRECTION_BOTH && s->is_paused)
        return refuse(j, id,
                      "the sync is paused: what was committed before could not be delivered "
                      "first; `rebeco resume` lets it go on");
    s->direction_change = (struct direction_change){.id = id, .wanted = wanted};
    if (s->direction == DIRECTION_BOTH)
        return drain(s);
    s->direction_change.stage = DIRECTION_OPENING;
    return job_goto(j, "direction");
}

/* ------------------------------------------------------------------ going on with it */

/* A table that cannot deliver what it has, and will not in a moment; NULL: there is none. */
static const struct table *find_standing(const struct sync *s)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (table_is_standing(t))
            return t;
    }
    return NULL;
}

static enum job_next close_it(struct sync *s, const struct sync *closing)
{
    s->direction_change.stage = DIRECTION_CLOSING;
    s->direction_change.round = closing->batch->rounds_begun;
    wake(s);
    return JOB_NEXT;
}

static enum job_next refuse_standing(struct job *j, const struct table *t)
{
    const char *why =
        arena_printf(j->arena,
                     "%.200s stands still: what was committed before could not be delivered first; "
                     "`rebeco status` says why it does. Nothing was closed.",
                     t->label);

    return refuse(j, j->sync->direction_change.id, why);
}

enum job_next direction_watch(struct job *j)
{
    struct sync *s = j->sync;
    struct direction_change *c = &s->direction_change;
    const struct sync *closing = c->id ? closed_by(s, c->wanted) : NULL;
    const struct table *standing;

    if (closing == NULL)
        return JOB_NEXT;
    standing = find_standing(closing);
    if (c->stage <= DIRECTION_CLOSING && standing)
        return refuse_standing(j, standing);
    if (closing->batch->rounds_done <= c->round || !closing->is_consistent)
        return JOB_NEXT;
    if (c->stage == DIRECTION_DRAINING)
        return close_it(s, closing);
    if (c->stage != DIRECTION_CLOSING)
        return JOB_NEXT;
    c->stage = DIRECTION_SETTING;
    return job_goto(j, "direction");
}

void direction_bind_set(struct job *j, struct params *p)
{
    const struct direction_change *c = &j->sync->direction_change;

    params_text(p, j->sync->name);
    params_int(p, j->sync->owner);
    params_text(p, direction_name(c->stage == DIRECTION_OPENING ? DIRECTION_BOTH : c->wanted));
}

enum job_next direction_take_set(struct job *j, PGresult *r)
{
    struct sync *s = j->sync;
    struct direction_change c = s->direction_change;

    direction_note(s, c.stage == DIRECTION_OPENING ? "both" : direction_name(c.wanted),
                   field_text(r, 0, "since"));
    log_event(LOG_NOTICE, "direction", "sync", s->name, "direction", direction_name(s->direction),
              NULL);
    wake(s);
    if (s->direction == c.wanted) {
        direction_forget_change(s);
        return answer_done(j, c.id, c.wanted);
    }
    drain(s);
    return job_goto(j, "watch");
}
