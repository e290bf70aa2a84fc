/* A row is removed at one end while the other writes one that refers to it. Each end was right by
 * its own foreign keys, and both together are not.
 *
 * One server that had both would have said one of two things: when the removal was first, there was
 * nothing to refer to; when the reference was first, the foreign key has done what it is there for.
 * We always give the second answer: the outcome is what a single server would have come to, had
 * the reference been written first. It needs no clock and no policy, it is the same at both ends,
 * and nothing that somebody wrote is refused:
 *
 * - NO ACTION, RESTRICT: the removal is refused. The row comes back from the end that still has it,
 *   and with it the rows that it refers to itself. In rebeco.conflict: parent_kept.
 * - CASCADE, SET NULL, SET DEFAULT: the removal stands, and the foreign key acts on the row that
 *   refers to it, at the end where that was written. In rebeco.conflict: parent_removed, with
 *   the row as it was.
 * - A cascade that would remove a row which others refer to by NO ACTION, at either end, is refused
 *   as a whole.
 *
 * A foreign key that is NOT ENFORCED (PostgreSQL 18) would have said nothing, and says nothing.
 *
 * That is settled after the policies have decided, rows that both ends have changed, and goes
 * before them, also before `skip`: a row that wins cannot be written where its parent is missing.
 * A row that has lost is no orphan, since the other end's version goes over it. One that `skip`
 * leaves as it is here is one: it goes nowhere, but the removal comes here, and meets it.
 *
 * How it is done. "Here" is the end that has the reference, the orphan. A parent that is kept is
 * left out of the way here, and sent on the way there. An orphan whose parent goes is left out of
 * the way there: there is nothing there that it could refer to. It waits for the next round; by
 * then the removal has come here, and the foreign key has acted on it. Rows that refer to
 * a row that waits wait with it.
 *
 * Why both ends still converge: what is left out is logged again (batch_again.c). A row that waits
 * is not refused for ever, since the removal that it waits for is never held up by it.
 *
 * Rows of which both changes are kept (batch_merge.h) go both ways, though they are left out of the
 * reading. What such a row refers to afterwards comes from one of its ends: its foreign key's
 * columns are set here, or stay. A foreign key of several columns is one block that comes from one
 * end, so what is referred to is always known at that end, and is asked there. Where they are set
 * here, what the row referred to before is no matter of it: it is no orphan by that. Where they
 * stay, it is one, if the parent is gone there, also when `skip` leaves them different: the
 * removal comes here, and meets it. A parent that is kept is there again before the merged row is
 * written. If the parent goes, only the way there waits: here the other end's changes and sums are
 * written, and the foreign key acts. What this end has changed of it must stay a matter of columns
 * and differences: its part of the log is moved behind the round, in one transaction, with all
 * that it says. So S - s = T - t stays true whichever of the ends gets through: before our
 * position moves s is in what was moved, and after it, too. A copy would be counted twice
 * when the position does not move, a key alone would give up the difference.
 *
 * Where the direction is closed in which the removal would come, nothing can wait for it: it is
 * refused then, whatever the foreign key says. Where the one is closed in which a parent that is
 * kept would go back, the end that has it keeps it for later: batch_again.c.
 *
 * What came after the round's snapshot is not known here. A row that refers to a removed one is
 * refused then, or refuses the removal (NO ACTION), and the round is made again; so it is when a
 * row that was inserted since has gone with its parent, before that is committed. */
#include "batch_foreign_key.h"

#include <jansson.h>
#include <string.h>

#include "batch_again.h"
#include "batch_merge.h"
#include "batch_read.h"
#include "batch_two_way.h"

/* ------------------------------------------------------------------ small things */

/* Takes the tree over. */
static const char *text_of(struct arena *a, json_t *tree)
{
    const char *kept = batch_text_of(a, tree);

    json_decref(tree);
    return kept;
}

static json_t *list_of(const char *text)
{
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;

    return list ? list : json_array();
}

bool batch_refers_to(const struct batch_job *b, const struct table *child,
                     const struct table *parent)
{
    const struct relation *r = catalog_find_oid(b->sync->catalogs->target, child->target->oid);

    for (int i = 0; r && i < r->reference_count; i++)
        if (r->references[i] == parent->target->oid)
            return true;
    return false;
}

bool batch_may_lose(const struct batch_job *b, const struct batch_table *child)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].changes > 0 && batch_refers_to(b, child->table, b->group[i].table))
            return true;
    return false;
}

bool batch_is_cut_with_parent(const struct batch_job *b, const struct batch_table *child)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].is_truncated && batch_refers_to(b, child->table, b->group[i].table))
            return true;
    return false;
}

static int64_t changes_at(const struct batch_table *t, enum job_side side)
{
    return side == JOB_SOURCE ? t->changes : t->other_changes;
}

/* Has one end changed this table, and the other one a table that refers to it? */
static bool may_be_missed(const struct batch_job *b, const struct batch_table *t,
                          enum job_side side)
{
    enum job_side other = side == JOB_SOURCE ? JOB_TARGET : JOB_SOURCE;

    if (changes_at(t, side) == 0)
        return false;
    for (int i = 0; i < b->group_count; i++)
        if (changes_at(&b->group[i], other) > 0 && batch_refers_to(b, b->group[i].table, t->table))
            return true;
    return false;
}

/* ------------------------------------------------------------------ asking */

static json_t *describe(const struct batch_job *b, int n, enum job_side side)
{
    const struct batch_table *t = &b->group[n];
    bool is_source = side == JOB_SOURCE;

    return json_pack("{s:i, s:i, s:s}", "n", n, "id", is_source ? t->table->id : t->other_id,
                     "since", is_source ? batch_since(b, t) : t->other_since);
}

/* The parameters of a question about a list, in the round. */
static void bind_list(struct batch_job *b, enum job_side side, json_t *list)
{
    params_clear(&b->job.params);
    params_text(&b->job.params, text_of(b->arena, list));
    params_text(&b->job.params, side == JOB_SOURCE ? b->until : b->other_until);
}

static void ask(struct batch_job *b, enum job_side side, const struct sql *sql, const char **answer)
{
    if (side == JOB_SOURCE)
        batch_ask_text(b, sql, NULL, answer);
    else
        batch_ask_there(b, NULL, sql, answer);
}

/* Waits for those that were asked; false: none was. */
static bool wait_for(struct batch_job *b, const bool *asked)
{
    if (asked[JOB_SOURCE])
        batch_sync_source(b);
    if (asked[JOB_TARGET])
        batch_sync_target(b);
    return asked[JOB_SOURCE] || asked[JOB_TARGET];
}

static bool any_may_be_missed(const struct batch_job *b, enum job_side side)
{
    for (int i = 0; i < b->group_count; i++)
        if (may_be_missed(b, &b->group[i], side))
            return true;
    return false;
}

static bool is_referenced(const struct batch_job *b, const struct table *t)
{
    const struct relation *r = catalog_find_oid(b->sync->catalogs->target, t->target->oid);

    return r && r->is_referenced;
}

/* Of all that others refer to: a row that is kept may itself refer to one that the same end has
 * removed. */
static bool ask_gone(struct batch_job *b, enum job_side side)
{
    json_t *tables = json_array();
    bool any = any_may_be_missed(b, side);

    b->gone[side] = b->orphans[side] = NULL;
    b->needed[side][JOB_SOURCE] = b->needed[side][JOB_TARGET] = NULL;
    for (int i = 0; any && i < b->group_count; i++)
        if (changes_at(&b->group[i], side) > 0 && is_referenced(b, b->group[i].table))
            json_array_append_new(tables, describe(b, i, side));
    if (json_array_size(tables) == 0) {
        json_decref(tables);
        return false;
    }
    bind_list(b, side, tables);
    ask(b, side, &sql_two_way_gone, &b->gone[side]);
    return true;
}

enum job_next batch_enter_gone(struct job *j)
{
    struct batch_job *b = batch_of(j);
    const bool asked[JOB_SIDES] = {ask_gone(b, JOB_SOURCE), ask_gone(b, JOB_TARGET)};

    return wait_for(b, asked) ? JOB_WAIT : job_goto(j, "decided");
}

static json_t *gone_of(const json_t *gone, int n)
{
    size_t i;
    json_t *one;

    json_array_foreach(gone, i, one)
    {
        if (json_integer_value(json_object_get(one, "n")) == n)
            return one;
    }
    return NULL;
}

/* The keys of a table that do not go from `side` to the other end. */
static const char *left_out_at(const struct batch_job *b, const struct batch_table *t,
                               enum job_side side)
{
    const struct batch_table *there = batch_find_other(batch_other(b), t->table);

    if (side == JOB_SOURCE)
        return t->left_out;
    return there ? there->left_out : "[]";
}

/* The keys of rows at `side` over which nothing goes in this round. */
static const char *kept_at(const struct batch_job *b, const struct batch_table *t,
                           enum job_side side)
{
    const struct batch_table *there = batch_find_other(batch_other(b), t->table);

    if (side == JOB_TARGET)
        return t->keep;
    return there ? there->keep : "[]";
}

static bool ask_orphans(struct batch_job *b, enum job_side side, const char *gone_there,
                        json_t *needed)
{
    json_t *tables;
    json_t *gone;

    if (!batch_has_any(gone_there)) {
        json_decref(needed);
        return false;
    }
    tables = json_array();
    gone = list_of(gone_there);
    for (int i = 0; i < b->group_count; i++) {
        const struct batch_table *t = &b->group[i];
        json_t *what = gone_of(gone, i);
        json_t *one;

        if (what == NULL && changes_at(t, side) == 0)
            continue;
        one = describe(b, i, side);
        json_object_set_new(one, "changed", json_boolean(changes_at(t, side) > 0));
        json_object_set_new(one, "lost", list_of(left_out_at(b, t, side)));
        json_object_set_new(one, "stays", list_of(kept_at(b, t, side)));
        json_object_set_new(one, "merged", batch_merge_pairs(t, side));
        if (what)
            json_object_set(one, "gone", what);
        json_array_append_new(tables, one);
    }
    json_decref(gone);
    bind_list(b, side, tables);
    params_text(&b->job.params, text_of(b->arena, needed));
    ask(b, side, &sql_two_way_orphans, &b->orphans[side]);
    return true;
}

enum job_next batch_enter_orphans(struct job *j)
{
    struct batch_job *b = batch_of(j);
    const bool asked[JOB_SIDES] = {ask_orphans(b, JOB_SOURCE, b->gone[JOB_TARGET], json_array()),
                                   ask_orphans(b, JOB_TARGET, b->gone[JOB_SOURCE], json_array())};

    return wait_for(b, asked) ? JOB_WAIT : job_goto(j, "decided");
}

/* ------------------------------------------------------------------ who cannot do without them */

/* The removals that the orphans of this end wait for do not come. */
static bool is_closed_to(const struct batch_job *b, enum job_side of)
{
    return of == JOB_SOURCE ? batch_other(b)->is_closed : b->is_closed;
}

/* The orphans of one end that would go with their parents: {n, k}. */
static json_t *going_of(const struct batch_job *b, enum job_side side)
{
    json_t *found = b->orphans[side] ? json_loads(b->orphans[side], 0, NULL) : NULL;
    json_t *list = json_array();
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(found, "waits"), i, row)
    {
        if (json_is_true(json_object_get(row, "goes")) || is_closed_to(b, side))
            json_array_append_new(list, json_pack("{s:O, s:O}", "n", json_object_get(row, "n"), "k",
                                                  json_object_get(row, "k")));
    }
    json_decref(found);
    return list;
}

/* Names them as one end does. */
static json_t *named_at(const struct batch_job *b, const json_t *going, enum job_side side)
{
    json_t *list = json_array();
    size_t i;
    json_t *row;

    json_array_foreach(going, i, row)
    {
        const struct batch_table *t = &b->group[json_integer_value(json_object_get(row, "n"))];

        json_array_append_new(list, json_pack("{s:i, s:O}", "id",
                                              side == JOB_SOURCE ? t->table->id : t->other_id, "k",
                                              json_object_get(row, "k")));
    }
    return list;
}

/* Asks both ends about the orphans of one of them. */
static bool ask_needed(struct batch_job *b, enum job_side of)
{
    json_t *going = going_of(b, of);
    bool any = json_array_size(going) > 0;

    for (int side = 0; any && side < JOB_SIDES; side++) {
        params_clear(&b->job.params);
        params_text(&b->job.params, text_of(b->arena, named_at(b, going, (enum job_side)side)));
        ask(b, (enum job_side)side, &sql_two_way_needed, &b->needed[of][side]);
    }
    json_decref(going);
    return any;
}

enum job_next batch_enter_needed(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = ask_needed(b, JOB_SOURCE);

    any |= ask_needed(b, JOB_TARGET);
    return wait_for(b, (const bool[JOB_SIDES]){any, any}) ? JOB_WAIT : job_goto(j, "kept");
}

/* Of the orphans that would go, those that either end needs; all that would wait for what does not
 * come. */
static json_t *needed_of(const struct batch_job *b, enum job_side of)
{
    json_t *going = going_of(b, of);
    json_t *list = is_closed_to(b, of) ? json_copy(going) : json_array();

    for (int side = 0; side < JOB_SIDES; side++) {
        json_t *places = list_of(b->needed[of][side]);
        size_t i;
        json_t *place;

        json_array_foreach(places, i, place)
        {
            json_array_append(list, json_array_get(going, (size_t)json_integer_value(place)));
        }
        json_decref(places);
    }
    json_decref(going);
    return list;
}

static bool ask_again(struct batch_job *b, enum job_side side, const char *gone_there)
{
    json_t *needed = needed_of(b, side);

    if (json_array_size(needed) > 0)
        return ask_orphans(b, side, gone_there, needed);
    json_decref(needed);
    return false;
}

enum job_next batch_enter_orphans_again(struct job *j)
{
    struct batch_job *b = batch_of(j);
    const bool asked[JOB_SIDES] = {ask_again(b, JOB_SOURCE, b->gone[JOB_TARGET]),
                                   ask_again(b, JOB_TARGET, b->gone[JOB_SOURCE])};

    return wait_for(b, asked) ? JOB_WAIT : JOB_NEXT;
}

/* ------------------------------------------------------------------ what becomes of them */

/* A table of the end that has orphans, with its two ways: `out` reads there, `in` writes there. */
struct part {
    struct batch_job *out_job;
    struct batch_job *in_job;
    struct batch_table *out;
    struct batch_table *in;
    bool is_source;
    json_t *pairs; /* rows of it that are merged, as batch_merge_pairs() says them */
    json_t *kept;  /* rows of it that the other end gets back */
    json_t *waits; /* rows of it that the other end does not get yet */
};

static bool is_among(const json_t *rows, const json_t *key)
{
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        if (json_equal(json_object_get(row, "k"), key))
            return true;
    }
    return false;
}

/* A list of keys with the keys of `more`, without those of `less`. */
static const char *changed_list(struct arena *a, const char *text, const json_t *more,
                                const json_t *less)
{
    json_t *list = list_of(text);
    size_t i;
    json_t *row;

    for (i = json_array_size(list); less && i-- > 0;)
        if (is_among(less, json_array_get(list, i)))
            json_array_remove(list, i);
    json_array_foreach(more, i, row)
    {
        json_array_append(list, json_object_get(row, "k"));
    }
    return text_of(a, list);
}

static json_t *record(const struct part *p, const json_t *row, const char *kind, json_t *at_here,
                      json_t *at_there, bool wins_here)
{
    return json_pack("{s:s, s:O, s:O?, s:O, s:O, s:b, s:s}", "kind", kind, "key",
                     json_object_get(row, "k"), p->is_source ? "source_row" : "target_row",
                     json_object_get(row, "row"), "source_at", p->is_source ? at_here : at_there,
                     "target_at", p->is_source ? at_there : at_here, "both_new", 0, "decision",
                     wins_here == p->is_source ? "source" : "target");
}

/* A decision about a row that is kept all the same does not count. */
static void drop_kept(const struct part *p, json_t *list)
{
    for (size_t i = json_array_size(list); i-- > 0;)
        if (is_among(p->kept, json_object_get(json_array_get(list, i), "key")))
            json_array_remove(list, i);
}

/* Records that were written already (batch_page.c) go again. */
static void recall_kept(struct part *p)
{
    json_t *keys = json_array();
    const char *text;
    size_t i;
    json_t *row;

    json_array_foreach(p->kept, i, row)
    {
        json_array_append(keys, json_object_get(row, "k"));
    }
    text = batch_text_of(p->out_job->arena, keys);
    p->out->recalled = batch_join(p->out_job->arena, p->out->recalled, text);
    p->in->recalled = arena_strdup(p->in_job->arena, p->out->recalled);
    json_decref(keys);
}

static void record_all(struct part *p)
{
    json_t *list = list_of(p->out->records);
    int64_t before = (int64_t)json_array_size(list);
    size_t i;
    json_t *row;

    drop_kept(p, list);
    recall_kept(p);
    json_array_foreach(p->kept, i, row)
    {
        json_t *at = json_object_get(row, "at");

        json_array_append_new(list, record(p, row, "parent_kept", at, at, true));
    }
    json_array_foreach(p->waits, i, row)
    {
        json_t *at = json_object_get(row, "parent_at");

        if (json_is_string(at))
            json_array_append_new(
                list, record(p, row, "parent_removed", json_object_get(row, "at"), at, false));
    }
    p->out->records = p->in->records = NULL;
    p->out->conflicts += (int64_t)json_array_size(list) - before;
    p->in->conflicts = p->out->conflicts;
    if (json_array_size(list) > 0) {
        p->out->records = text_of(p->out_job->arena, json_incref(list));
        p->in->records = text_of(p->in_job->arena, json_incref(list));
    }
    json_decref(list);
}

static void settle(struct part *p)
{
    struct arena *out = p->out_job->arena;
    struct arena *in = p->in_job->arena;

    p->out->left_out = changed_list(out, p->out->left_out, p->waits, p->kept);
    p->in->left_out = changed_list(in, p->in->left_out, p->kept, NULL);
    p->in->keep = changed_list(in, p->in->keep, p->kept, NULL);
    batch_merge_wait(out, p->out, p->pairs, p->waits);
    batch_again_kept(p->out_job, p->out, p->in_job, p->in, p->kept);
    batch_again_waits(p->out_job, p->out, p->waits);
    record_all(p);
}

/* The rows of one table. */
static json_t *rows_of(const json_t *rows, int n)
{
    json_t *list = json_array();
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        if (json_integer_value(json_object_get(row, "n")) == n)
            json_array_append(list, row);
    }
    return list;
}

static void take_orphans(struct batch_job *b, enum job_side side)
{
    json_t *found = b->orphans[side] ? json_loads(b->orphans[side], 0, NULL) : NULL;
    struct batch_job *back = batch_other(b);

    for (int i = 0; found && i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];
        struct batch_table *o = batch_find_other(back, t->table);
        bool is_source = side == JOB_SOURCE;
        struct part p = {.out_job = is_source ? b : back,
                         .in_job = is_source ? back : b,
                         .out = is_source ? t : o,
                         .in = is_source ? o : t,
                         .is_source = is_source,
                         .pairs = batch_merge_pairs(t, side),
                         .kept = rows_of(json_object_get(found, "kept"), i),
                         .waits = rows_of(json_object_get(found, "waits"), i)};

        if (o && json_array_size(p.kept) + json_array_size(p.waits) > 0)
            settle(&p);
        json_decref(p.pairs);
        json_decref(p.kept);
        json_decref(p.waits);
    }
    json_decref(found);
}

enum job_next batch_enter_kept(struct job *j)
{
    struct batch_job *b = batch_of(j);

    take_orphans(b, JOB_SOURCE);
    take_orphans(b, JOB_TARGET);
    return JOB_NEXT;
}
