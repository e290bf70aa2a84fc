/* Which rows both ends have changed in a round, and who wins: asked at the end with less, then of
 * the other; the target decides, and both directions learn it. Many keys are asked about in slices:
 * each end reads its log once, and keeps the keys in its transaction till all slices are through
 * (rebeco.two_way_gather). */
#include "batch_decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch_half.h"
#include "batch_page.h"
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
    batch_page_free(b);
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

/* Each end reads its log once for all slices, and for all pages but the first: that is mostly the
 * only one. */
static int parts_of(const struct batch_job *b, const struct batch_table *t)
{
    return b->is_paged && !is_truncated(t) ? 2 : slices_of(b, t);
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

        t->own_keys = t->keys = NULL;
    }
    batch_page_reset(b);
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

    if (b->slices > 1)
        batch_begin_writing(b);
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

    batch_page_begin(b);
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (t->page == NULL)
            continue;
        batch_bind_round(&j->params, t->table->id, batch_since(b, t), b->until);
        params_text(&j->params, t->page);
        params_int(&j->params, parts_of(b, t));
        params_text(&j->params, batch_half_of(b, t));
        params_int(&j->params, batch_page_bytes(b));
        batch_ask_text(b, &sql_two_way_details, t, t->details);
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
    if (b->is_paged)
        batch_begin_writing(b);
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (!batch_has_any(t->details[0]))
            continue;
        batch_bind_round(&j->params, t->other_id, t->other_since, b->other_until);
        params_text(&j->params, t->details[0]);
        params_text(&j->params, two_way_policy(b->sync, t->table));
        params_text(&j->params, ahead);
        params_text(&j->params, batch_half_of(batch_other(b), t));
        params_int(&j->params, parts_of(b, t));
        params_int(&j->params, batch_page_bytes(b));
        batch_ask_there(b, t->table, &sql_two_way_decide, &t->verdict);
        any = true;
    }
    return any ? batch_sync_target(b) : JOB_NEXT;
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

/* What was decided about one table in this page. False: the round is to be made again. */
static bool take_verdict(struct batch_job *b, struct batch_table *t)
{
    json_t *verdict = json_loads(t->verdict, 0, NULL);
    const json_t *records = json_object_get(verdict, "records");
    bool good = verdict && !is_to_be_made_again(b, verdict);

    t->page_done = (int)json_integer_value(json_object_get(verdict, "done"));
    t->aborted += json_integer_value(json_object_get(verdict, "abort"));
    for (int which = 0; good && which < BATCH_LISTS; which++)
        batch_page_found(b, t, (enum batch_list)which, verdict);
    if (good && json_array_size(records) > 0)
        t->records = batch_text_of(b->page_arena, records);
    t->conflicts += (int64_t)json_array_size(records);
    json_decref(verdict);
    return good;
}

/* All pages are through, and both directions learn what was decided about a table. */
static bool share_verdict(struct batch_job *b, struct batch_job *o, struct batch_table *t)
{
    struct batch_table *there = batch_find_other(o, t->table);
    const char *left_out = batch_page_all(b->arena, t, BATCH_READ);
    const char *keep = batch_page_all(b->arena, t, BATCH_KEEP);
    const char *back_left_out = batch_page_all(o->arena, t, BATCH_BACK_READ);
    const char *back_keep = batch_page_all(o->arena, t, BATCH_BACK_KEEP);

    if (t->aborted > 0)
        pause_undecided(t->table, t->aborted);
    if (there == NULL || t->aborted > 0)
        return false;
    t->left_out = left_out ? left_out : t->left_out;
    t->keep = keep ? keep : t->keep;
    there->left_out = back_left_out ? back_left_out : there->left_out;
    there->keep = back_keep ? back_keep : there->keep;
    t->merged = batch_page_all(b->arena, t, BATCH_MERGE);
    there->merged = batch_page_all(o->arena, t, BATCH_BACK_MERGE);
    t->merged_pairs = batch_page_all(b->arena, t, BATCH_PAIRS);
    there->merged_pairs = batch_page_all(o->arena, t, BATCH_PAIRS);
    there->records = arena_strdup(o->arena, t->records);
    t->records = arena_strdup(b->arena, t->records);
    there->conflicts = t->conflicts;
    return true;
}

static bool share_verdicts(struct batch_job *b)
{
    bool good = true;

    for (int i = 0; i < b->group_count; i++)
        if (may_conflict(&b->group[i]))
            good &= share_verdict(b, batch_other(b), &b->group[i]);
    return good;
}

static enum job_next give_up(struct batch_job *b)
{
    batch_end_slice(b);
    batch_leave_round(b);
    return job_goto(&b->job, "undo");
}

enum job_next batch_enter_agree(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool good = true;

    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].verdict)
            good &= take_verdict(b, &b->group[i]);
    if (!good)
        return give_up(b);
    if (batch_page_end(b)) {
        b->is_paged = true;
        return batch_page_hand_over(b, "details");
    }
    if (++b->slice < b->slices)
        return batch_page_hand_over(b, "own keys");
    if (!share_verdicts(b))
        return give_up(b);
    batch_end_slice(b);
    return JOB_NEXT;
}

/* A direction that is closed writes nothing at the target, which has kept something for pages and
 * slices. The other one does, in the same transaction. */
enum job_next batch_enter_sliced(struct job *j)
{
    struct batch_job *b = batch_of(j);

    if (!b->has_begun || !b->is_closed)
        return JOB_NEXT;
    b->has_begun = false;
    conn_query(job_conn(j, JOB_TARGET), sql_commit.text, NULL, CONN_TEXT, 0);
    apply_sent_other(&b->apply);
    return batch_sync_target(b);
}

/* ------------------------------------------------------------------ what is on record */

/* Both ends' snapshots, in the same words at both. */
static const char *round_name(const struct batch_job *b)
{
    return b->sync->is_back ? arena_printf(b->arena, "%s / %s", b->other_until, b->until)
                            : arena_printf(b->arena, "%s / %s", b->until, b->other_until);
}

static void send_recall(struct batch_job *b, struct batch_table *t)
{
    struct params *p = &b->job.params;

    params_clear(p);
    params_text(p, forward_of(b)->sync->name);
    params_text(p, t->table->source->schema);
    params_text(p, t->table->source->name);
    params_text(p, round_name(b));
    params_text(p, t->recalled);
    conn_query(job_conn(&b->job, JOB_TARGET), sql_conflicts_recall.text, p, CONN_TEXT, 0);
    apply_sent_text(&b->apply, NULL, b->arena, &t->recalls);
}

void batch_send_conflicts(struct batch_job *b)
{
    struct params *p = &b->job.params;

    for (int i = 0; two_way_is_coupled(b->sync) && i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];
        const struct batch_job *f = forward_of(b);

        if (t->has_written && t->recalled)
            send_recall(b, t);
        if (t->records == NULL)
            continue;
        params_clear(p);
        params_text(p, f->sync->name);
        params_text(p, b->sync->is_back ? "source" : "target");
        params_text(p, t->table->source->schema);
        params_text(p, t->table->source->name);
        params_text(p, two_way_policy(f->sync, t->table));
        params_text(p, round_name(b));
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
        if (t->recalls)
            t->conflicts -= strtoll(t->recalls, NULL, 10);
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
