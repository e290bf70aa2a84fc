/* Both directions at once, and why both ends converge.
 *
 * Each end captures what its application writes, with the time; what we apply ourselves is not
 * captured (schema/010_capture.sql), so nothing comes back as an echo. There are two
 * streams of batches, one for each direction, each with a position that is committed with the rows
 * at its receiving end: A at the source, by which the target is; a at the target, by which the
 * source is. The two go in rounds (batch_two_way.c). A round
 *
 *   1. takes a snapshot at both ends, B and b, when both batches of the last round have ended;
 *   2. finds the keys that were changed in A..B at the source and in a..b at the target. Who wins
 * is decided once, for both directions, from both rows and the times of both last changes;
 *   3. writes the source's other changes, and what it has won, at the target, and the target's at
 * the source: two transactions, each with its position and with what was decided;
 *   4. asks, in each of them and before its commit, whether the application has changed any of the
 *      round's keys at the receiving end after B or b. Then it is rolled back, and the next round
 *      finds that change in the log and decides anew.
 *
 * No write is overwritten unseen: a row that we write is locked until our commit, so the question
 * in 4, which is a new statement after the last write, sees every change that came before our lock,
 * and whoever waits for our lock changes our row, later. A row that we delete and that is not there
 * is not locked; an insert of it that commits later is a later change, and travels back.
 *
 * Always true, for every key: when neither log has a change of it that is not in A or in a, its
 * row is the same at both ends (unless `skip` was the decision: batch_half.c). The application's
 * writes add to a log. A commit at the target moves A over changes whose rows it has just written
 * there, or that lost: for those the target's log has a change beyond a, because only a commit at
 * the source moves that, and that commit writes the target's row. So the order of the two commits
 * does not matter, and either may be missing: after a crash, or a round that one end has rolled
 * back, the other's change is read again in the state that it has by then. That may be the row
 * that had won: nothing is written. So when writes stop, the rounds end with both logs empty, and
 * with equal ends.
 *
 * A truncation is a change of every key that was there, and of no other: rows that came from the
 * other end after it are not removed there, though nothing in the log says so; the table itself
 * does.
 *
 * Rows of which both ends' changes are kept, column by column or as a sum: batch_merge.c.
 *
 * What such a half round can do is to count a change once more as one side of a conflict, when the
 * same row is changed again before the other half is through; the row that had won meets a later
 * one.
 *
 * With more than two ends there is a pair for each two that are neighbours, and each of them is as
 * above: what another pair applies at a node is a write of the application to it, and
 * schema/073_chain.sql says how it comes to see it, and what a ring needs.
 *
 * Foreign keys stay on at both ends, also where replica role might switch them off: a row may refer
 * to one that the other end has just removed. What becomes of both is the head of
 * batch_foreign_key.c. What a foreign key does at our writing is captured as a change of that end,
 * which the other may not have had, and goes there. But it gives way: where a log has nothing else
 * of a key, and the other end has changed the row, that change is taken as if it stood alone, and
 * whatever the policy. Nobody has written the row here since the last round; what the foreign key
 * has acted for came from there, and who changed the row there has seen it done. Else the policy
 * that prefers this end would undo his write, and with `latest` the time of ours would decide: also
 * for a row that has lost, and is acted on here, against the one that has won and waits there for
 * what it refers to (batch_foreign_key.c). With more than two ends nothing tells from which the
 * cause came, and it counts as any other change.
 *
 * Triggers of the application would do again what they did at the other end: a table that has one
 * is not taken, unless the trigger's WHEN says rebeco.applying.
 *
 * A table runs in both directions or in none: whatever pauses one pauses the other, each with its
 * position. It is never copied again by itself, since that would lose what only the target has:
 * `resync` is for a person to ask. Where values may have changed without a row being written (a
 * column was retyped at both ends), `resume` is the word of a person that both hold the same. Then
 * the table is copied from the source, and captured anew.
 *
 * Rows that are copied again take the place of what the target had, and of what the way back had of
 * that: a change before the table was emptied is none of the rows that are there now, and must not
 * win over the source's; what comes after it is the application's, and travels. So the way back
 * begins anew, from the moment of the emptying, when the rows are there. That moment is recorded at
 * the target with the beginning of the copy (rebeco.sync_table.back_since). The way back's own
 * position, at the source, says whether it has begun from there: one that is before it goes no step
 * further, whatever was killed between the two. Where the target's capture is to be made anew, that
 * comes first, for with it the change log is made anew.
 *
 * A table that comes while both directions run is captured at the target before anybody looks
 * whether it is empty there, and copies it: the application may write to it as soon as it exists.
 * What it had written before is there by then, and for a person to decide about, or taken as it is
 * (copy.adopt); what comes later is in the log, and the way back reads it from its capture on:
 * back_since is that position. */
#include "two_way.h"

#include <string.h>

#include "batch.h"
#include "lead.h"
#include "snapshot.h"
#include "steady.h"

#define FOREIGN_KEY_VIOLATION "23503"
#define RETRY_S 30.
#define RETRY_SOON_S 2.
#define ABOUT_TO_S 10. /* how long the way back may take to follow a table before it is paused */

/* ------------------------------------------------------------------ the pair */

struct config_sync *two_way_config_back(struct config *owner, const struct config_sync *c)
{
    struct config_sync *back = arena_alloc(owner->arena, sizeof *back);

    *back = *c;
    list_init(&back->in_config);
    back->name = arena_printf(owner->arena, "%s back", c->name);
    back->source = c->target;
    back->target = c->source;
    back->is_back = true;
    back->schema = CONFIG_SCHEMA_EXPECT;
    memset(&back->include, 0, sizeof back->include);
    memset(&back->exclude, 0, sizeof back->exclude);
    back->new_tables = true; /* those that are followed the other way */
    back->matview_initial = false;
    back->matview_on_change = false;
    back->matview_every_s = 0;
    back->copy_streams = 1;
    memset(&back->follower, 0, sizeof back->follower);
    return back;
}

void two_way_join(struct sync *forward, struct sync *back)
{
    forward->other = back;
    back->other = forward;
}

void two_way_think(struct sync *s)
{
    if (s->other == NULL || s->is_back || !s->schema_finished)
        return;
    if (!job_is_running(&s->other->lead->job))
        sync_start(s->other);
}

void two_way_bind_pair(struct job *j, struct params *p)
{
    const struct sync *s = j->sync;

    params_text(p, s->other ? (s->is_back ? s->other : s)->consumer : NULL);
}

void two_way_bind_session(struct job *j, struct params *p)
{
    params_bool(p, j->sync->other != NULL);
    two_way_bind_pair(j, p);
}

bool two_way_is_coupled(const struct sync *s)
{
    return s->other && (s->is_back || s->schema_finished);
}

/* ------------------------------------------------------------------ tables */

static bool is_other(const struct table *a, const struct table *b)
{
    return a->target && b->target && a->target->oid == b->source_oid &&
           b->target->oid == a->source_oid;
}

struct table *two_way_other(struct table *t)
{
    if (t->other || t->sync->other == NULL)
        return t->other;
    for (struct list *l = t->sync->other->tables.next; l != &t->sync->other->tables; l = l->next) {
        struct table *o = container_of(l, struct table, in_sync);

        if (!is_other(t, o))
            continue;
        t->other = o;
        o->other = t;
        return o;
    }
    return NULL;
}

void two_way_unlink(struct table *t)
{
    if (t->other)
        t->other->other = NULL;
    t->other = NULL;
}

/* What helps the other direction helps this one. The status shows the forward one only: all of
 * `why` is in it. */
static void pause_with(struct table *t, const struct error *why)
{
    struct error e = {0};

    error_set(&e, "the other direction of %s does not run", t->label);
    error_detail(&e, "%s%s%s", why->what, why->detail[0] ? ": " : "", why->detail);
    error_hint(&e, "%s",
               why->hint[0] ? why->hint : "It goes on by itself as soon as that one does.");
    table_pause(t, TABLE_OTHER, &e);
}

void two_way_say_ends(const struct sync *s, char *text)
{
    static const char source[] = "the source", target[] = "the target";

    for (char *p = text; s->is_back && *p; p++)
        if (strncmp(p, source, sizeof source - 1) == 0)
            memcpy(p, target, sizeof target - 1);
        else if (strncmp(p, target, sizeof target - 1) == 0)
            memcpy(p, source, sizeof source - 1);
}

/* It waits to be captured at the target, where that is refused: it is asked for again together. */
static void pause_new(struct table *t, const struct table *back)
{
    struct error e = back->why;

    table_pause(t, TABLE_DRIFT, &e);
    t->next_try = back->next_try;
}

void two_way_paused(struct table *t)
{
    struct table *o = two_way_other(t);

    if (o && o->state == TABLE_NEW && !o->sync->is_back) {
        if (o->fits && (o->pause == TABLE_RUNS || o->pause == TABLE_DRIFT) &&
            t->pause != TABLE_OTHER)
            pause_new(o, t);
        return;
    }
    if (o && (o->pause == TABLE_RUNS || o->pause == TABLE_OTHER) && t->pause != TABLE_OTHER)
        pause_with(o, &t->why);
}

static bool runs(const struct table *t)
{
    return t->pause == TABLE_RUNS && t->state == TABLE_FOLLOW;
}

bool two_way_may_go_on(struct table *t)
{
    struct table *o = two_way_other(t);

    return o && (runs(o) || (o->pause == TABLE_OTHER && o->state == TABLE_FOLLOW));
}

bool two_way_is_ready(struct table *t)
{
    struct table *o;

    if (!two_way_is_coupled(t->sync))
        return true;
    o = two_way_other(t);
    return o && runs(o);
}

/* The way back has not got to it yet, but will in a moment. */
static bool is_about_to_run(const struct sync *s, const struct table *o)
{
    const struct sync *back = s->other;

    if (s->is_back || steady_now() - back->started_at > ABOUT_TO_S)
        return false;
    return o == NULL || (o->pause == TABLE_RUNS && o->state != TABLE_FOLLOW);
}

static const char *position_of(const struct table *t)
{
    return t->snapshot ? t->snapshot : t->sync->snapshot;
}

/* The position of this table of the way back is from before its rows were copied again. */
static bool is_of_before(const struct table *t, const struct table *o)
{
    const char *position = position_of(t);

    return t->id != 0 && position && o->back_since &&
           snapshot_may_be_before(position, o->back_since);
}

/* A round has moved it on from there, and that is committed: it is not asked for at each one. */
static bool has_gone_on(const struct table *t, const struct table *o)
{
    const char *position = position_of(t);

    return t->id != 0 && position && o->back_since && strcmp(position, o->back_since) != 0;
}

void two_way_look_back(struct table *t)
{
    struct table *o = t->sync->is_back ? two_way_other(t) : NULL;

    if (o == NULL)
        return;
    if (!is_of_before(t, o)) {
        if (has_gone_on(t, o))
            table_set_back_since(o, NULL);
        return;
    }
    t->wants_copy = true;
    if (t->pause == TABLE_RUNS)
        pause_with(t, &(struct error){.what = "it is copied again"});
}

bool two_way_may_be_emptied(struct table *t)
{
    struct sync *back = t->sync->is_back ? NULL : t->sync->other;
    struct table *o;

    if (back == NULL || !two_way_is_coupled(t->sync))
        return true;
    if (!back->is_led)
        return false;
    o = two_way_other(t);
    if (o == NULL || o->pause != TABLE_CAPTURE || !o->is_lossy ||
        !two_way_may_take_in(back, o->source_oid))
        return true;
    o->wants_copy = back->wants_catalog = true;
    lead_wake(back->lead);
    return false;
}

const char *two_way_new_position(struct table *t)
{
    const struct table *o = t->sync->is_back ? two_way_other(t) : NULL;

    return o && is_of_before(t, o) ? o->back_since : NULL;
}

/* For what does not go away with what holds the other direction. */
static bool has_reason(const struct table *t)
{
    return t->pause != TABLE_RUNS && t->pause != TABLE_OTHER;
}

static bool gate_table(struct sync *s, struct table *t)
{
    struct table *o = two_way_other(t);

    two_way_look_back(t);
    if (!runs(t) || (o && runs(o)))
        return true;
    if (o == NULL) {
        s->other->wants_catalog = true;
        lead_wake(s->other->lead);
    }
    if (t->snapshot && !(o && has_reason(o))) /* out of step already: left out as it is */
        return true;
    if (is_about_to_run(s, o))
        return false;
    pause_with(t, o ? &o->why : &(struct error){.what = "it is not captured at the target"});
    return true;
}

bool two_way_gate(struct sync *s)
{
    bool go = true;

    if (!two_way_is_coupled(s))
        return true;
    if (!s->other->is_led)
        return false;
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next)
        go &= gate_table(s, container_of(l, struct table, in_sync));
    return go;
}

bool two_way_is_acted_on(struct table *t, const struct relation *target)
{
    struct error e = {0};

    if (t->sync->other == NULL || t->id == 0 || t->state != TABLE_FOLLOW || target == NULL ||
        target->acts_on_arrivals == NULL)
        return false;
    error_set(&e, "%s at the target has what would act on rows that arrive: %s", target->label,
              target->acts_on_arrivals);
    error_hint(
        &e, "%s",
        "Make each trigger anew at both ends with WHEN (current_setting('rebeco.applying', true) "
        "IS DISTINCT FROM 'on'), and put such a one in the place of a rule; or disable it. The "
        "table goes on by itself then; the others are not held up.");
    two_way_say_ends(t->sync, e.what);
    if (t->pause != TABLE_USER)
        table_pause(t, TABLE_DRIFT, &e);
    return true;
}

/* A new table of a pair that runs. */
static bool waits_for_capture(const struct table *t)
{
    return two_way_is_coupled(t->sync) && t->state == TABLE_NEW && t->fits &&
           (t->pause == TABLE_RUNS ||
            (t->pause == TABLE_DRIFT && (t->wants_copy || steady_now() >= t->next_try)));
}

bool two_way_is_captured(struct table *t)
{
    struct sync *back = t->sync->is_back ? NULL : t->sync->other;
    const struct table *o;

    if (back == NULL || !two_way_is_coupled(t->sync))
        return true;
    o = two_way_other(t);
    if (o && o->id != 0)
        return true;
    if (o && o->pause == TABLE_RUNS) /* its lock is not to be had, and is asked for again */
        return false;
    if (back->is_led && !back->wants_catalog) {
        back->wants_catalog = true;
        lead_wake(back->lead);
    }
    return false;
}

void two_way_was_added(struct table *t)
{
    struct table *o = two_way_other(t);

    if (o && !t->sync->is_back)
        two_way_look_back(o);
    if (o && t->sync->is_back && waits_for_capture(o)) {
        o->sync->wants_catalog = true;
        lead_wake(o->sync->lead);
    }
}

const char *two_way_captured_since(struct table *t)
{
    const struct table *o = t->sync->is_back ? NULL : two_way_other(t);

    return o && o->id != 0 ? position_of(o) : NULL;
}

bool two_way_may_take_in(struct sync *s, Oid source_oid)
{
    for (struct list *l = s->other->tables.next; l != &s->other->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (t->target && t->target->oid == source_oid)
            return t->state == TABLE_FOLLOW || waits_for_capture(t);
    }
    return false;
}

/* Each end may wait for a removal that the other one cannot send before it has got ours: with the
 * tables that refer to them aside, both removals get through, and what the foreign key does with
 * them is found at the next try. */
double two_way_retry_s(const struct table *t, const struct error *e)
{
    return t->sync->other && strcmp(e->sqlstate, FOREIGN_KEY_VIOLATION) == 0 ? RETRY_SOON_S
                                                                             : RETRY_S;
}

const char *two_way_policy(const struct sync *s, const struct table *t)
{
    const struct config_sync *c = s->config;

    for (int i = 0; t->source && i < c->conflict_tables.count; i++) {
        struct config_patterns one = {.count = 1, .texts = &c->conflict_tables.texts[i]};

        if (config_patterns_match(&one, t->source->schema, t->source->name, NULL))
            return c->conflict_policies[i];
    }
    return c->conflict_default;
}
