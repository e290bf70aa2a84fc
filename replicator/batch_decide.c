/* Which rows both ends have changed in a round, and who wins: asked at the end with less, then of
 * the other; the target decides, and both directions learn it. Many keys are asked about in slices:
 * each end reads its log once, and keeps the keys in its transaction till all slices are through
 * (rebeco.two_way_gather). */
#include "batch_decide.h"

#include <stdio.h>
#include <string.h>

#include "batch_half.h"
#include "batch_merge.h"
#include "batch_read.h"
#include "batch_two_way.h"
#include "two_way.h"

enum { SLICE_KEYS = 100000 };

static struct batch_job *forward_of(struct batch_job *b)
{
    return b->sync->is_back ? batch_other(b) : b;
}

/* ------------------------------------------------------------------ slices */

static bool may_conflict(const struct batch_table *t)
{
    return t->changes > 0 && t->other_changes > 0;
}

void batch_end_slice(struct batch_job *b)
{
    arena_free(b->slice_arena);
    b->slice_arena = NULL;
}

static bool is_truncated(const struct batch_table *t)
{
    return t->is_truncated || t->other_truncated;
}

static bool is_in_slice(const struct batch_job *b, const struct batch_table *t)
{
    return may_conflict(t) && (b->slice == 0 || !is_truncated(t));
}

static int slices_of(const struct batch_job *b, const struct batch_table *t)
{
    return is_truncated(t) ? 1 : b->slices;
}

/* The keys that are asked for at the end which begins; the other one's are never sent whole. */
static void bind_slice(struct batch_job *b, const struct batch_table *t)
{
    params_int(&b->job.params, is_truncated(t) ? 0 : b->slice);
    params_int(&b->job.params, slices_of(b, t));
}

static int64_t fewer_changes(const struct batch_table *t)
{
    return t->changes < t->other_changes ? t->changes : t->other_changes;
}

static void begin_slice(struct batch_job *b)
{
    if (b->slice_arena == NULL) {
        b->slice = 0;
        b->slices = 1;
        for (int i = 0; i < b->group_count; i++)
            if (fewer_changes(&b->group[i]) / SLICE_KEYS >= b->slices)
                b->slices = (int)(fewer_changes(&b->group[i]) / SLICE_KEYS) + 1;
    }
    batch_end_slice(b);
    b->slice_arena = arena_new();
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        t->own_keys = t->keys = t->details = t->verdict = NULL;
    }
}

/* ------------------------------------------------------------------ who wins */

/* Not asked where the other side has less: its keys are compared with all of ours. */
enum job_next batch_enter_own_keys(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = false;

    if (b->sync->is_back)
        return job_goto(j, "decided");
    begin_slice(b);
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (!is_in_slice(b, t) || (t->changes > t->other_changes && !t->other_truncated))
            continue;
        batch_bind_round(&j->params, t->table->id, batch_since(b, t), b->until);
        params_text(&j->params, NULL);
        params_bool(&j->params, true);
        params_bool(&j->params, false);
        bind_slice(b, t);
        batch_ask_text(b, &sql_two_way_keys, t, &t->own_keys);
        any = true;
    }
    return any ? batch_sync_source(b) : JOB_NEXT;
}

enum job_next batch_enter_other_keys(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = false;

    if (b->slices > 1 && b->slice == 0) {
        conn_query(job_conn(j, JOB_TARGET), sql_begin.text, NULL, CONN_TEXT, 0);
        apply_sent_other(&b->apply);
    }
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (!is_in_slice(b, t))
            continue;
        batch_bind_round(&j->params, t->other_id, t->other_since, b->other_until);
        params_text(&j->params, t->own_keys);
        params_bool(&j->params, t->is_truncated);
        params_bool(&j->params, t->other_truncated);
        bind_slice(b, t);
        batch_ask_there(b, t->table, &sql_two_way_keys, &t->keys);
        any = true;
    }
    return any ? batch_sync_target(b) : JOB_NEXT;
}

enum job_next batch_enter_details(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = false;

    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (!batch_has_any(t->keys))
            continue;
        batch_bind_round(&j->params, t->table->id, batch_since(b, t), b->until);
        params_text(&j->params, t->keys);
        params_int(&j->params, slices_of(b, t));
        params_text(&j->params, batch_half_of(b, t));
        batch_ask_text(b, &sql_two_way_details, t, &t->details);
        any = true;
    }
    return any ? batch_sync_source(b) : JOB_NEXT;
}

enum job_next batch_enter_decide(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = false;
    char ahead[32];

    snprintf(ahead, sizeof ahead, "%.6f", batch_other(b)->clock_ahead_s - b->clock_ahead_s);
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (!batch_has_any(t->details))
            continue;
        batch_bind_round(&j->params, t->other_id, t->other_since, b->other_until);
        params_text(&j->params, t->details);
        params_text(&j->params, two_way_policy(b->sync, t->table));
        params_text(&j->params, ahead);
        params_text(&j->params, batch_half_of(batch_other(b), t));
        batch_ask_there(b, t->table, &sql_two_way_decide, &t->verdict);
        any = true;
    }
    return any ? batch_sync_target(b) : JOB_NEXT;
}

/* The list `before`, of earlier slices, with what the verdict has of the same. */
static const char *joined(struct arena *a, const char *before, const json_t *verdict,
                          const char *name)
{
    return batch_join(a, before, batch_text_of(a, json_object_get(verdict, name)));
}

static void pause_undecided(struct table *t, int64_t count)
{
    struct error e = {0};

    error_set(&e, "%lld rows of %s were changed at both ends", (long long)count, t->label);
    error_hint(&e, "%s",
               "The policy of this table is abort. Make the rows equal at both ends, or choose "
               "another policy for it under `conflict` and send the daemon SIGHUP.");
    table_pause(t, TABLE_ERROR, &e);
}

/* A row that was to be merged has come or gone since the snapshot. */
static bool is_to_be_made_again(struct batch_job *b, const json_t *verdict)
{
    if (!json_is_true(json_object_get(verdict, "again")))
        return false;
    b->redone++;
    return true;
}

/* What was decided about one table goes to both directions. False: nothing may be applied. */
static bool share_verdict(struct batch_job *b, struct batch_job *o, struct batch_table *t)
{
    struct batch_table *there = batch_find_other(o, t->table);
    json_t *verdict = json_loads(t->verdict, 0, NULL);
    int64_t aborted = json_integer_value(json_object_get(verdict, "abort"));
    size_t count = json_array_size(json_object_get(verdict, "records"));
    bool good = there && verdict && aborted == 0 && !is_to_be_made_again(b, verdict);

    if (good) {
        batch_merge_take(b, t, o, there, verdict);
        t->left_out = joined(b->arena, t->left_out, verdict, "read");
        t->keep = joined(b->arena, t->keep, verdict, "keep");
        there->left_out = joined(o->arena, there->left_out, verdict, "back_read");
        there->keep = joined(o->arena, there->keep, verdict, "back_keep");
        if (count > 0) {
            t->records = joined(b->arena, t->records, verdict, "records");
            there->records = joined(o->arena, there->records, verdict, "records");
        }
        t->conflicts += (int64_t)count;
        there->conflicts = t->conflicts;
    }
    json_decref(verdict);
    if (aborted > 0)
        pause_undecided(t->table, aborted);
    return good;
}

enum job_next batch_enter_agree(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool good = true;

    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].verdict)
            good &= share_verdict(b, batch_other(b), &b->group[i]);
    if (good && ++b->slice < b->slices)
        return job_goto(j, "own keys");
    batch_end_slice(b);
    if (good)
        return JOB_NEXT;
    batch_leave_round(b);
    return job_goto(j, "undo");
}

/* What the target has kept for the slices; where the round is given up, its transaction is, too. */
enum job_next batch_enter_sliced(struct job *j)
{
    struct batch_job *b = batch_of(j);

    if (b->slices == 1)
        return JOB_NEXT;
    conn_query(job_conn(j, JOB_TARGET), sql_commit.text, NULL, CONN_TEXT, 0);
    apply_sent_other(&b->apply);
    return batch_sync_target(b);
}

/* ------------------------------------------------------------------ what is on record */

void batch_send_conflicts(struct batch_job *b)
{
    struct params *p = &b->job.params;

    for (int i = 0; two_way_is_coupled(b->sync) && i < b->group_count; i++) {
        const struct batch_table *t = &b->group[i];
        const struct batch_job *f = forward_of(b);

        if (t->records == NULL)
            continue;
        params_clear(p);
        params_text(p, f->sync->name);
        params_text(p, b->sync->is_back ? "source" : "target");
        params_text(p, t->table->source->schema);
        params_text(p, t->table->source->name);
        params_text(p, two_way_policy(f->sync, t->table));
        params_text(p, b->sync->is_back
                           ? arena_printf(b->arena, "%s / %s", b->other_until, b->until)
                           : arena_printf(b->arena, "%s / %s", b->until, b->other_until));
        params_text(p, t->records);
        params_int(p, (int64_t)f->sync->config->conflict_keep_s);
        conn_query(job_conn(&b->job, JOB_TARGET), sql_conflicts_add.text, p, CONN_TEXT, 0);
        apply_sent_other(&b->apply);
    }
}

/* The direction that commits first counts; what both undo is decided again. */
void batch_count_conflicts(struct batch_job *b)
{
    for (int i = 0; two_way_is_coupled(b->sync) && i < b->group_count; i++) {
        struct batch_table *t = &b->group[i], *there;
        struct table *counts = b->sync->is_back ? two_way_other(t->table) : t->table;

        if (t->conflicts == 0)
            continue;
        forward_of(b)->conflicts += t->conflicts;
        if (counts) {
            counts->conflicts += t->conflicts;
            conflict_decided(counts, t->conflicts);
        }
        there = batch_find_other(batch_other(b), t->table);
        if (there)
            there->conflicts = 0;
        t->conflicts = 0;
    }
}
