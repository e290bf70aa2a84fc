/* A round of both directions; two_way.c says what is done in it and why. Here the two batch jobs
 * meet:
 *
 *   meet      both have ended their last batch; each takes its snapshot and looks for changes
 *   compare   both know what has changed; the forward one looks for conflicts and decides
 *   decided   both read and apply, each by itself, and come to `meet` again
 *
 * On the way there the forward one may have pages of records for the other, which waits at
 * `decided` for them, too, and comes back there with each of them written (batch_page.c).
 *
 * Who waits at a later place than the other comes to has been left alone: the other one has failed
 * and begun again. It gives the round up and goes to `meet`, too. */
#include "batch_two_way.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "batch_judge.h"
#include "batch_merge.h"
#include "batch_page.h"
#include "batch_read.h"
#include "lead.h"
#include "log.h"
#include "two_way.h"

enum place { NOWHERE, AT_MEET, AT_COMPARE, AT_PAGE, AT_DECIDED };

static const char *const after_place[] = {NULL, "recent", "judge", NULL, "open"};

#define MISMATCH_S 0.05 /* until the other direction has the same tables */

struct batch_job *batch_other(const struct batch_job *b)
{
    return b->sync->other->batch;
}

/* The same, NULL where there is none. */
static struct batch_job *any_other(const struct batch_job *b)
{
    return b->sync->other ? b->sync->other->batch : NULL;
}

/* ------------------------------------------------------------------ meeting */

static void release(struct batch_job *b, const char *step)
{
    b->waits_at = NOWHERE;
    job_continue(&b->job, job_goto(&b->job, step));
}

void batch_leave_round(struct batch_job *b)
{
    struct batch_job *o = any_other(b);

    b->waits_at = NOWHERE;
    if (o && o->waits_at > AT_MEET)
        release(o, "undo");
}

void batch_decline_round(struct batch_job *b)
{
    struct batch_job *o = any_other(b);

    if (o && o->waits_at == AT_MEET)
        release(o, "record");
}

void batch_wake_other(struct batch_job *b)
{
    struct batch_job *o = any_other(b);

    if (o)
        batch_rouse(o);
}

bool batch_other_waits(const struct batch_job *b)
{
    const struct batch_job *o = any_other(b);

    return o && o->waits_at == AT_MEET;
}

static enum job_next meet(struct batch_job *b, int place)
{
    struct batch_job *o = batch_other(b);

    if (o->waits_at == place) {
        release(o, after_place[place]);
        return job_goto(&b->job, after_place[place]);
    }
    if (o->waits_at > place)
        release(o, "undo");
    else if (o->waits_at != NOWHERE)
        return job_goto(&b->job, "undo");
    b->waits_at = place;
    batch_wake_other(b);
    return JOB_WAIT;
}

struct batch_table *batch_find_other(const struct batch_job *o, struct table *t)
{
    struct table *other = two_way_other(t);

    for (int i = 0; other && i < o->group_count; i++)
        if (o->group[i].table == other)
            return &o->group[i];
    return NULL;
}

/* A table that has just been taken in, or paused, is known to both before the next round. */
static bool have_same_tables(const struct batch_job *b, const struct batch_job *o)
{
    if (b->group_count != o->group_count)
        return false;
    for (int i = 0; i < b->group_count; i++)
        if (batch_find_other(o, b->group[i].table) == NULL)
            return false;
    return true;
}

enum job_next batch_enter_meet(struct job *j)
{
    struct batch_job *b = batch_of(j);
    struct batch_job *o = any_other(b);

    b->both_idle = false;
    if (o == NULL || !two_way_is_coupled(b->sync))
        return job_goto(j, "glance");
    if (o->waits_at == AT_MEET && !have_same_tables(b, o)) {
        release(o, "record");
        return job_sleep(j, MISMATCH_S, job_goto(j, "record"));
    }
    return meet(b, AT_MEET);
}

/* The facts about the other direction that this round needs, kept here: its own may go away. */
static void take_other(struct batch_job *b, const struct batch_job *o)
{
    b->other_until = arena_strdup(b->arena, o->until);
    b->is_closed = direction_is_closed(b->sync);
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];
        const struct batch_table *there = batch_find_other(o, t->table);

        t->other_id = there ? there->table->id : 0;
        t->other_changes = there ? there->changes : 0;
        t->other_truncated = there && there->is_truncated;
        if (there)
            t->other_since = arena_strdup(b->arena, there->table->snapshot ? there->table->snapshot
                                                                           : o->sync->snapshot);
        t->own_keys = t->keys = t->page = t->verdict = NULL;
        t->aborted = 0;
        t->has_written = false;
        t->recalled = t->recalls = NULL;
        t->left_out = t->keep = t->survivors = "[]";
        t->records = t->late_keys = t->spared = t->merged = t->merged_pairs = NULL;
        t->conflicts = 0;
        t->has_sums = false;
        t->late_lost = false;
    }
}

static bool has_more(const struct batch_job *b, enum job_side side)
{
    return b->recent_before[side] == NULL || b->recent_before[side][0];
}

static void ask_recent(struct batch_job *b, enum job_side side)
{
    const struct sql *sql = b->ends_differ ? &sql_conflicts_recent : &sql_conflicts_digest;

    if (!has_more(b, side))
        return;
    params_clear(&b->job.params);
    params_text(&b->job.params, b->sync->name);
    if (b->ends_differ) {
        params_int(&b->job.params, BATCH_PAGE_BYTES);
        params_text(&b->job.params, b->recent_round[side]);
        params_text(&b->job.params, b->recent_before[side]);
    }
    if (side == JOB_SOURCE)
        batch_ask_text(b, sql, NULL, b->recent[side]);
    else
        batch_ask_there(b, NULL, sql, b->recent[side]);
}

static void begin_recent(struct batch_job *b)
{
    arena_free(b->arena);
    b->arena = arena_new();
    memset(b->recent_round, 0, sizeof b->recent_round);
    memset(b->recent_before, 0, sizeof b->recent_before);
}

/* Asked of the forward direction, before it looks for changes. First for a digest only: after most
 * rounds that were given up, and after most starts, both ends know the same, and that may be much.
 * What they do not is told in pages, of which each is committed: where that is broken off, the
 * digests differ again, and no round begins before all is told. */
enum job_next batch_enter_recent(struct job *j)
{
    struct batch_job *b = batch_of(j);
    struct batch_job *o = any_other(b);

    if (o == NULL || !two_way_is_coupled(b->sync) || b->sync->is_back ||
        !(b->owes_conflicts || o->owes_conflicts))
        return job_goto(j, "snapshot");
    if (!b->ends_differ)
        begin_recent(b);
    batch_page_free(b);
    b->page_arena = arena_new();
    memset(b->recent, 0, sizeof b->recent);
    ask_recent(b, JOB_SOURCE);
    ask_recent(b, JOB_TARGET);
    batch_sync_source(b);
    return batch_sync_target(b);
}

/* Both know the same: nothing is owed any more. */
static enum job_next none_is_owed(struct batch_job *b)
{
    b->owes_conflicts = batch_other(b)->owes_conflicts = false;
    b->ends_differ = false;
    return job_goto(&b->job, "snapshot");
}

static void share(struct batch_job *b, enum job_side from)
{
    struct params *p = &b->job.params;

    b->recent_round[from] = arena_strdup(b->arena, b->recent[from][1]);
    b->recent_before[from] = arena_strdup(b->arena, b->recent[from][2]);
    params_clear(p);
    params_text(p, from == JOB_SOURCE ? "target" : "source");
    params_text(p, b->recent[from][0]);
    params_int(p, (int64_t)b->sync->config->conflict_keep_s);
    if (from == JOB_TARGET) {
        batch_ask_text(b, &sql_conflicts_share, NULL, b->recent[from]);
        batch_sync_source(b);
    } else {
        conn_query(job_conn(&b->job, JOB_TARGET), sql_conflicts_share.text, p, CONN_TEXT, 0);
        apply_sent_other(&b->apply);
        batch_sync_target(b);
    }
}

enum job_next batch_enter_share(struct job *j)
{
    struct batch_job *b = batch_of(j);

    if (!b->ends_differ) {
        b->ends_differ = strcmp(b->recent[JOB_SOURCE][0], b->recent[JOB_TARGET][0]) != 0;
        return b->ends_differ ? job_goto(j, "recent") : none_is_owed(b);
    }
    for (int side = 0; side < JOB_SIDES; side++)
        if (has_more(b, (enum job_side)side))
            share(b, (enum job_side)side);
    return JOB_WAIT;
}

enum job_next batch_enter_shared(struct job *j)
{
    struct batch_job *b = batch_of(j);

    if (has_more(b, JOB_SOURCE) || has_more(b, JOB_TARGET))
        return job_goto(j, "recent");
    return none_is_owed(b);
}

static bool any_broken(const struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].is_broken || b->group[i].is_other_log)
            return true;
    return false;
}

/* What there is in a closed direction is no reason for a round; and what was sent before is all
 * that the other end is to have. */
static bool is_idle(const struct batch_job *b)
{
    return b->is_closed || batch_is_idle(b);
}

static void note_closed(const struct batch_job *b)
{
    if (!b->is_closed || b->sync->is_consistent || !batch_is_everything(b))
        return;
    b->sync->is_consistent = true;
    sync_think(b->sync);
}

enum job_next batch_enter_compare(struct job *j)
{
    struct batch_job *b = batch_of(j);
    struct batch_job *o = any_other(b);

    if (o == NULL || !two_way_is_coupled(b->sync))
        return JOB_NEXT;
    if (o->waits_at == AT_COMPARE) {
        if (!have_same_tables(b, o))
            return job_goto(j, "undo");
        take_other(b, o);
        take_other(o, b);
        note_closed(b);
        note_closed(o);
        b->both_idle = o->both_idle = (is_idle(b) && is_idle(o)) || any_broken(b) || any_broken(o);
    }
    return meet(b, AT_COMPARE);
}

bool batch_has_nothing(const struct batch_job *b, bool is_idle)
{
    return two_way_is_coupled(b->sync) ? b->both_idle : is_idle;
}

/* ------------------------------------------------------------------ asking */

const char *batch_since(const struct batch_job *b, const struct batch_table *t)
{
    return t->table->snapshot ? t->table->snapshot : b->sync->snapshot;
}

void batch_bind_round(struct params *p, int id, const char *since, const char *until)
{
    params_clear(p);
    params_int(p, id);
    params_text(p, since);
    params_text(p, until);
}

void batch_ask_there(struct batch_job *b, struct table *t, const struct sql *sql,
                     const char **answer)
{
    conn_query(job_conn(&b->job, JOB_TARGET), sql->text, &b->job.params, CONN_TEXT, 0);
    apply_sent_text(&b->apply, t, batch_answers(b), answer);
}

struct arena *batch_answers(const struct batch_job *b)
{
    return b->page_arena ? b->page_arena : b->slice_arena ? b->slice_arena : b->arena;
}

bool batch_has_any(const char *list)
{
    return list && strcmp(list, "[]") != 0;
}

const char *batch_text_of(struct arena *a, const json_t *tree)
{
    char *text = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *kept = arena_strdup(a, text ? text : "[]");

    free(text);
    return kept;
}

bool batch_key_add(json_t *set, const json_t *key)
{
    char *text = json_dumps(key, JSON_COMPACT);
    bool is_new = text && json_object_get(set, text) == NULL;

    if (is_new)
        json_object_set_new(set, text, json_true());
    free(text);
    return is_new;
}

bool batch_key_is_in(const json_t *set, const json_t *key)
{
    char *text = json_dumps(key, JSON_COMPACT);
    bool found = text && json_object_get(set, text);

    free(text);
    return found;
}

const char *batch_join(struct arena *a, const char *before, const char *more)
{
    if (!batch_has_any(more))
        return before;
    return batch_has_any(before)
               ? arena_printf(a, "%.*s,%s", (int)strlen(before) - 1, before, more + 1)
               : more;
}

/* ------------------------------------------------------------------ the two halves */

enum job_next batch_enter_survivors(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = false;

    if (!two_way_is_coupled(b->sync))
        return job_goto(j, "read");
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (t->changes == 0 || !t->is_truncated || b->is_closed)
            continue;
        params_clear(&j->params);
        params_int(&j->params, t->table->id);
        batch_ask_text(b, &sql_two_way_survivors, t, &t->survivors);
        any = true;
    }
    return any ? batch_sync_source(b) : JOB_NEXT;
}

enum job_next batch_give_page(struct batch_job *b, const char *next)
{
    struct batch_job *o = batch_other(b);

    if (o->waits_at == AT_DECIDED) {
        batch_page_pass(b, o);
        release(o, "page");
    } else if (o->waits_at != NOWHERE) {
        return job_goto(&b->job, "undo");
    }
    b->waits_at = AT_PAGE;
    b->after_page = next;
    return JOB_WAIT;
}

void batch_page_taken(struct batch_job *b)
{
    struct batch_job *o = batch_other(b);

    if (o->waits_at == AT_PAGE)
        release(o, o->after_page);
}

enum job_next batch_enter_decided(struct job *j)
{
    struct batch_job *b = batch_of(j);
    struct batch_job *o = batch_other(b);

    if (o->waits_at != AT_PAGE)
        return meet(b, AT_DECIDED);
    batch_page_pass(o, b);
    return job_goto(j, "page");
}

enum job_next batch_enter_open(struct job *j)
{
    return job_goto(j, batch_of(j)->is_closed ? "held" : "half");
}

/* What was decided is carried out by the other direction, and known at its end only until then. */
enum job_next batch_enter_held(struct job *j)
{
    struct batch_job *b = batch_of(j);

    for (int i = 0; i < b->group_count; i++)
        b->owes_conflicts |= b->group[i].records != NULL;
    b->is_half_done = true;
    batch_say(b, &sql_commit);
    batch_round_done(b);
    b->sync->is_consistent = batch_is_everything(b);
    b->sync->caught_up_at = b->taken_s;
    j->failures = 0;
    return batch_sync_source(b);
}

/* ------------------------------------------------------------------ once more */

enum job_next batch_enter_undo(struct job *j)
{
    struct batch_job *b = batch_of(j);

    b->waits_at = NOWHERE;
    b->writing = BATCH_WRITES_NOT;
    b->has_begun = false;
    b->owes_conflicts = b->is_half_done = true;
    batch_say(b, &sql_commit);
    batch_sync_source(b);
    conn_query(job_conn(j, JOB_TARGET), sql_rollback.text, NULL, CONN_TEXT, 0);
    apply_sent_other(&b->apply);
    return batch_sync_target(b);
}
