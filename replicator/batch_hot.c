/* A round is given up when the application has changed one of its rows too late (batch_late.c).
 * Where rows are changed all the time at both ends, each round has such a row, and all other rows
 * of the sync would wait until that ends.
 *
 * So, after some rounds in a row that were given up, the rows for which they were are left out of
 * the next ones. Each such round either gets through or names another row: there are at most as
 * many in a row as there are such rows. After one that got through all are tried again.
 *
 * Why both ends still converge: a row is left out in one direction, and logged again at the end
 * that it is read from, with the time of its change, in the transaction that reads; so it is beyond
 * the position, as batch_again.c says. What the other direction does with
 * it is as if this one had not got through. A row that the policies leave out does not wait: it
 * has lost, or is to stay different; to send it later would be another decision. Where the table
 * was truncated, the truncation waits for such a row, too.
 *
 * Of a row of which both changes are kept (batch_merge.c) only the way to one end waits, and what
 * this end's log says of it is moved behind the round, as batch_foreign_key.c says of such rows
 * that wait. Where the table was truncated in the round none does: its truncation stays where it is
 * in the log, and what is moved would count as if there had been none. Nor where columns may have
 * been skipped: they would be sent by a round that knows nothing of that.
 *
 * It arrives later than what was changed with it. That does no harm where nothing refers to its
 * table, nor the other way round, and no other constraint ties its rows; nor where the row is at
 * the receiving end, with the same values in every column that has to do with such a constraint:
 * to other rows it is as if it had arrived. That is compared there, and what the application
 * changes of these columns afterwards is a change of that end as any. Rows that come, go, or change
 * such a column do not wait; others wait for them until a round gets through. */
#include "batch_hot.h"

#include <jansson.h>

#include "batch_half.h"
#include "batch_merge.h"
#include "batch_read.h"
#include "batch_two_way.h"
#include "log.h"

enum { GIVEN_UP_MAX = 2 };

void batch_hot_note(struct batch_job *b, struct batch_table *t)
{
    json_t *late = json_loads(t->late_keys, 0, NULL);
    json_t *hot = t->hot ? json_loads(t->hot, 0, NULL) : NULL;
    json_t *seen = json_object();
    size_t i;
    json_t *key;

    if (hot == NULL)
        hot = json_array();
    json_array_foreach(hot, i, key) batch_key_add(seen, key);
    json_array_foreach(late, i, key)
    {
        if (json_is_array(key) && batch_key_add(seen, key))
            json_array_append(hot, key);
    }
    if (b->hot_arena == NULL)
        b->hot_arena = arena_new();
    t->hot = batch_text_of(b->hot_arena, hot);
    json_decref(seen);
    json_decref(hot);
    json_decref(late);
}

void batch_hot_forget(struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        b->group[i].hot = NULL;
    arena_free(b->hot_arena);
    b->hot_arena = NULL;
    b->given_up = 0;
    b->writing = BATCH_WRITES_NOT;
}

enum job_next batch_enter_hot(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = false;

    for (int i = 0; b->given_up >= GIVEN_UP_MAX && i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        t->hot_known = NULL;
        if (!batch_has_any(t->hot) || t->changes == 0)
            continue;
        batch_bind_round(&j->params, t->table->id, batch_since(b, t), b->until);
        params_text(&j->params, t->hot);
        params_text(&j->params, batch_merge_left_out(b, t));
        batch_ask_text(b, &sql_two_way_hot, t, &t->hot_known);
        any = true;
    }
    return any ? batch_sync_source(b) : job_goto(j, "read");
}

/* What was decided would not be, if the log said of merged rows what it says, but later. */
static bool is_final(const struct batch_job *b, const struct batch_table *t)
{
    return t->is_truncated || (batch_has_any(t->merged) && batch_may_skip(b, t));
}

/* Rows of which the log's part would be moved are rows that are merged. */
static bool may_wait(const struct batch_job *b, const struct batch_table *t)
{
    json_t *rows = batch_has_any(t->hot_known) ? json_loads(t->hot_known, 0, NULL) : NULL;
    bool moves = json_is_true(json_object_get(json_array_get(rows, 0), "waits"));
    bool may = json_array_size(rows) > 0 && !(moves && is_final(b, t));

    json_decref(rows);
    return may;
}

enum job_next batch_enter_hot_known(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = false;

    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (!may_wait(b, t)) {
            t->hot_known = NULL;
            continue;
        }
        params_clear(&j->params);
        params_int(&j->params, t->other_id);
        params_text(&j->params, t->hot_known);
        batch_ask_there(b, t->table, &sql_two_way_may_wait, &t->hot_known);
        any = true;
    }
    return any ? batch_sync_target(b) : job_goto(j, "read");
}

/* What is merged of them does not go to the other end, either. */
static void leave_merged(struct batch_job *b, struct batch_table *t, const json_t *waiting)
{
    json_t *pairs = batch_merge_pairs(t, b->sync->is_back ? JOB_TARGET : JOB_SOURCE);

    batch_merge_wait(b->arena, t, pairs, waiting);
    json_decref(pairs);
}

static void leave_out(struct batch_job *b, struct batch_table *t, const json_t *waiting)
{
    json_t *keys = json_array();
    const char *text;
    size_t i;
    json_t *one;

    json_array_foreach(waiting, i, one) json_array_append(keys, json_object_get(one, "k"));
    text = batch_text_of(b->arena, keys);
    json_decref(keys);
    t->left_out = batch_join(b->arena, t->left_out, text);
    if (t->is_truncated)
        t->keep = batch_join(b->arena, t->keep, text);
    t->again = batch_join(b->arena, t->again, batch_text_of(b->arena, waiting));
    leave_merged(b, t, waiting);
    log_event(LOG_DEBUG, "rows that are changed again and again wait", "sync", b->sync->name,
              "table", t->table->label, NULL);
}

enum job_next batch_enter_hot_waits(struct job *j)
{
    struct batch_job *b = batch_of(j);

    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];
        json_t *waiting = batch_has_any(t->hot_known) ? json_loads(t->hot_known, 0, NULL) : NULL;

        t->hot_known = NULL;
        if (json_array_size(waiting) > 0)
            leave_out(b, t, waiting);
        json_decref(waiting);
    }
    return JOB_NEXT;
}
