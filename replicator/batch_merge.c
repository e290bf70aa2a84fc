/* Why merged rows become equal at both ends, and why no difference is added twice.
 *
 * What is a conflict. Without merging, a row that both ends have changed since A and a (two_way.c
 * has the names). With it, only these: both have changed the same column to different values; or
 * one has inserted, deleted or truncated the row, or moved its key: that is about the row as a
 * whole, two inserts of one key included, and the table's policy decides about the whole row as it
 * does without merging. Where columns clash, the policy decides these columns, all of them the same
 * way, by the times of their own last changes; the other columns are kept from both ends. So what
 * an application writes together (street and town) stays together. With `skip` each end keeps its
 * own of these columns; `abort` pauses the table. Changes that do not clash lose nothing, and are
 * not recorded. Columns of one constraint of several (a foreign key, CHECK, UNIQUE or a unique
 * index, EXCLUDE) are one block: it clashes where both ends have changed anything in it that is
 * different now, and comes from one end, which has checked it. With counters and without merge all
 * other columns are one block. What foreign keys do to rows that are merged: batch_foreign_key.c.
 *
 * Columns. The log says of each update which columns it has changed. The promise of two_way.c holds
 * for each column by itself: when neither log has a change of it that is not in A or in a, it is
 * the same at both ends. A commit at the target moves A over the source's changes: the columns were
 * written there, or have lost against changes of the target, which its log has beyond a until the
 * source's commit writes them. So either commit may be missing, here as there.
 *
 * Counters. A difference is an event, not a state; it is made part of the state like this. Let S
 * and T be a counter's values at both ends, s the sum of the differences in the source's log that
 * are not in A, t that of the target's that are not in a. Always true:
 *
 *     S - s = T - t
 *
 * It holds when the row has come to the other end, which knows no difference then. The application
 * adds to S and s alike, or to T and t. A commit at the target writes T + s and moves A over the
 * source's differences, in one transaction: s becomes 0, and S - 0 = (T + s) - t. One at the source
 * writes S + t and moves a. So each difference goes to the other end exactly once, whichever commit
 * comes first, however often a half round is repeated, and wherever the daemon is killed: before a
 * commit its position and its sum are as they were, after it both have moved. Our own writes are
 * not captured and are no difference. When writes stop and both positions are at the end, s = t = 0
 * and S = T.
 *
 * One end has changed the row, the other not: t = 0, and the state S that is sent as ever is T + s.
 *
 * The sums are of logs, and those are exact in any snapshot. At the target they are read later than
 * in b, together with the row: what came after b is known from the log and taken off. When that is
 * not only sums (the row was deleted meanwhile), the round is made again.
 *
 * The look before the commit. An application that writes a merged row after the snapshot does not
 * send the round back when it has changed other columns than we write, or added where we add: the
 * write is a sum with what is there by then, and only of the columns that it is about. So a row on
 * which both ends count without a pause still moves. Where we write one column of a block, the
 * others of it are none of these: that pair was checked by neither end. Any other change sends the
 * round back, and so does a deadlock with an application that locks several of the round's rows in
 * changing order, or a CHECK that such a pair does not meet.
 *
 * The same bytes: 3.0 and 3.00 are one sum. So where nothing was written meanwhile, both ends get
 * the same text, made once.
 *
 * A batch may write a table twice in its transaction: its rows trade unique values, or foreign keys
 * change them with others (batch_order.c). To set a column again is harmless; a sum is written
 * with the first of them only.
 *
 * Where S - s and T - t differ, the counter is not added to: it counts as a column, which clashes
 * and has a policy. That happens when an end's differences were given up and its commit did not
 * come before the next change: a row that was deleted or inserted at one end lost or won as a
 * whole. The same is done where a counter was or is NULL, which has no difference. A sum that a
 * column cannot hold (overflow, CHECK) is refused by the server, and the table stands still in both
 * directions with its words; nothing is lost meanwhile. Floating point has no exact sums, and is
 * not taken. */
#include "batch_merge.h"

#include "batch_two_way.h"
#include "config_rules.h"

json_t *batch_merge_pairs(const struct batch_table *t, enum job_side side)
{
    bool is_source = side == JOB_SOURCE;
    json_t *all = t->merged_pairs ? json_loads(t->merged_pairs, 0, NULL) : NULL;
    json_t *list = json_array();
    size_t i;
    json_t *pair;

    json_array_foreach(all, i, pair)
    {
        json_array_append_new(
            list, json_pack("{s:O, s:O, s:O}", "k",
                            json_object_get(pair, is_source ? "source" : "target"), "set",
                            json_object_get(pair, is_source ? "source_set" : "target_set"), "other",
                            json_object_get(pair, is_source ? "target" : "source")));
    }
    json_decref(all);
    return list;
}

/* The other end's name for a merged row; where it is of no pair (batch_half.c), it has one name. */
static const json_t *other_key(const json_t *pairs, const json_t *key)
{
    size_t i;
    json_t *pair;

    json_array_foreach(pairs, i, pair)
    {
        if (json_equal(json_object_get(pair, "k"), key))
            return json_object_get(pair, "other");
    }
    return key;
}

/* A row as it is written has its key first, then what is to be done. */
static bool is_of(const json_t *row, const json_t *key)
{
    size_t i;
    json_t *part;

    json_array_foreach(key, i, part)
    {
        if (!json_equal(part, json_array_get(row, i)))
            return false;
    }
    return true;
}

void batch_merge_wait(struct arena *a, struct batch_table *t, const json_t *pairs,
                      const json_t *rows)
{
    json_t *merged = t->merged ? json_loads(t->merged, 0, NULL) : NULL;
    size_t n;
    json_t *row;

    json_array_foreach(rows, n, row)
    {
        const json_t *key = other_key(pairs, json_object_get(row, "k"));

        for (size_t i = json_array_size(merged); i-- > 0;)
            if (is_of(json_array_get(merged, i), key))
                json_array_remove(merged, i);
    }
    if (merged)
        t->merged = json_array_size(merged) > 0 ? batch_text_of(a, merged) : NULL;
    json_decref(merged);
}

/* The keys here of rows that are written at the other end, as a set. */
static json_t *sent_from_here(const struct batch_job *b, const struct batch_table *t)
{
    json_t *merged = json_loads(t->merged, 0, NULL);
    json_t *pairs = batch_merge_pairs(t, b->sync->is_back ? JOB_TARGET : JOB_SOURCE);
    json_t *there = json_object(), *here = json_object();
    size_t i;
    json_t *row;

    json_array_foreach(merged, i, row)
    {
        json_array_remove(row, json_array_size(row) - 1);
        batch_key_add(there, row);
        batch_key_add(here, row);
    }
    json_array_foreach(pairs, i, row)
    {
        if (batch_key_is_in(there, json_object_get(row, "other")))
            batch_key_add(here, json_object_get(row, "k"));
    }
    json_decref(merged);
    json_decref(pairs);
    json_decref(there);
    return here;
}

const char *batch_merge_left_out(struct batch_job *b, const struct batch_table *t)
{
    json_t *sent, *list, *kept;
    const char *text;
    size_t i;
    json_t *key;

    if (t->merged == NULL)
        return t->left_out;
    sent = sent_from_here(b, t);
    list = json_loads(t->left_out, 0, NULL);
    kept = json_array();
    json_array_foreach(list, i, key)
    {
        if (!batch_key_is_in(sent, key))
            json_array_append(kept, key);
    }
    text = batch_text_of(b->arena, kept);
    json_decref(sent);
    json_decref(list);
    json_decref(kept);
    return text;
}

/* Where rows trade unique values, those of the batch are removed first: merged ones are removed
 * and put in again at that moment, among themselves. What is set is written again with the rest of
 * the table; a sum is not. */
void batch_merge_send(struct batch_job *b, struct batch_table *t, enum apply_mode mode)
{
    if (t->merged == NULL || mode == APPLY_GONE)
        return;
    apply_merge(&b->apply, t->table, t->other_id, t->merged, mode == APPLY_REMOVE, t->has_sums);
    t->has_sums = true;
}

const char *batch_merge_all(struct batch_job *b)
{
    struct buf json = {0};
    const char *kept;

    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].merged)
            buf_printf(&json, "%s\"%d\":%s", json.len ? "," : "{", b->group[i].other_id,
                       b->group[i].merged);
    buf_text(&json, json.len ? "}" : "{}");
    kept = arena_strdup(b->arena, json.data);
    buf_fini(&json);
    return kept;
}

bool batch_merge_is_asked(const struct table *t)
{
    const struct config_sync *c = t->sync->config;

    return t->sync->other && t->source &&
           (config_patterns_match(&c->merge, t->source->schema, t->source->name, NULL) ||
            config_rules_find(&c->counters, t->source->schema, t->source->name));
}
