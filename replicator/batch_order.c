/* Why foreign keys that stay on do no harm.
 *
 * In replica role no foreign key of the target is checked and none acts: the tables are written in
 * any order. Where the role may not, or some tables are written outside of it because their
 * triggers are to fire, both ends satisfy the same foreign keys, at A and at B, and it
 * is the way from one to the other that matters:
 *
 * - Rows are written parents first: what a row of B refers to is there. Only then rows that are
 * gone are removed, children first: in B nothing refers to them, and the rows that did are as they
 * are in B by now, so nothing is refused and ON DELETE finds nothing to act on. A table that
 * nothing refers to is free of that: its rows are removed as they come, before new ones take their
 * unique values.
 * - ON UPDATE acts when a value that is no key of ours moves. The rows that it reaches were reached
 * at the source too, so they are among the changes, and come after their parents.
 * - Constraints that may be put off are, to the end of the batch.
 *
 * Two things fail so, and then the batch is made again with `defers`: foreign keys of its tables
 * are altered such that they can be put off, and altered back before the commit.
 *
 * - Cycles of foreign keys. With all of them waiting the order above does.
 * - Rows that take the unique values of rows that are gone, in a table that others refer to. Such a
 * table is `early`: everything else is written before it, then its own removals come before its
 * writes. Again nothing that B has refers to what is removed - but by a value that another row has
 * taken over, where a foreign key points to something else than the key. Then rows that foreign
 * keys act on are written once more; and where more would go with them, or these rows have no key,
 * the table stands still instead.
 *
 * In a two-way sync a truncation spares rows that are there again, and those may refer, as they
 * were, to one that goes; what RESTRICT refuses cannot be put off. Then it comes after the writing
 * where others refer to the table, as other removals do, unless that wants the unique values of
 * rows that go: one of the two is tried, and then the other.
 *
 * A table that stands still and goes on later comes from an older state than the others. By its key
 * nothing of B refers to what it removes even then; by other columns it may, when a value has
 * another owner now: a table that foreign keys act on by such columns stands still with it.
 *
 * Rows of two tables that refer to one another get through together or not at all. So what a
 * foreign key holds goes on with a table that it is tied to, whatever that one stood still for
 * (plan.c): each at its own time, both would fail for ever. */
#include "batch_order.h"

#include <string.h>

#include "batch_again.h"
#include "batch_read.h"
#include "batch_decide.h"
#include "batch_page.h"
#include "batch_two_way.h"
#include "sqlstate.h"
#include "two_way.h"

enum { LATE_MAX = 5, LATE_CHECK_MAX = 2 };

/* As of the latest reading: foreign keys come when the copy is done. */
static const struct relation *target_now(const struct table *t)
{
    return t->target ? catalog_find_oid(t->sync->catalogs->target, t->target->oid) : NULL;
}

/* The table is written in replica role: its own foreign keys are not checked, and those that point
 * to it do not act. */
static bool is_free(const struct table *t)
{
    return t->sync->has_replica_role || (t->sync->batch->apply.may_switch && !t->fires);
}

static bool refers_to(const struct relation *r, Oid oid)
{
    for (int i = 0; r && i < r->reference_count; i++)
        if (r->references[i] == oid)
            return true;
    return false;
}

static struct batch_table *find_changed(struct batch_job *b, Oid target)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].changes > 0 && b->group[i].table->target->oid == target)
            return &b->group[i];
    return NULL;
}

/* Parents before their children; a cycle is entered anywhere. */
static void place(struct batch_job *b, struct batch_table *t)
{
    const struct relation *r = b->sync->has_replica_role ? NULL : target_now(t->table);
    bool acts = r && !is_free(t->table);

    if (t->is_placed)
        return;
    t->is_placed = true;
    t->is_parent = acts && r->is_referenced && t->table->records == TABLE_KEY;
    t->is_whole = acts && refers_to(r, r->oid);
    t->is_ruled = r && r->master_count > 0;
    if (t->is_parent && r->has_actions)
        t->table->delete_first = false;
    t->is_early = b->defers && t->is_parent && (t->table->removes_early || t->table->delete_first);
    for (int i = 0; r && i < r->reference_count; i++) {
        struct batch_table *parent = find_changed(b, r->references[i]);

        if (parent)
            place(b, parent);
    }
    b->order[b->order_count++] = t;
}

static void find_order(struct batch_job *b)
{
    b->order = arena_alloc(b->arena, sizeof(struct batch_table *) * (size_t)(b->group_count + 1));
    b->order_count = 0;
    for (int i = 0; i < b->group_count; i++)
        b->group[i].is_placed = false;
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].changes > 0)
            place(b, &b->group[i]);
}

static void send_deferral(struct batch_job *b)
{
    struct buf oids = {0};

    for (int i = 0; b->defers && i < b->order_count; i++)
        buf_printf(&oids, "%s%u", oids.len ? "," : "{", b->order[i]->table->target->oid);
    buf_text(&oids, oids.len ? "}" : "{}");
    params_clear(&b->job.params);
    params_text(&b->job.params, oids.data);
    params_text(&b->job.params, b->sync->catalogs->target->foreign_keys);
    conn_query(job_conn(&b->job, JOB_TARGET), sql_constraints_defer.text, &b->job.params, CONN_TEXT,
               60.);
    apply_sent_about(&b->apply, b->defers ? b->defers_for : NULL);
    buf_fini(&oids);
}

/* A table that was truncated at the source was so together with all that refer to it. */
void batch_send_clears(struct batch_job *b)
{
    for (int i = b->order_count - 1; i >= 0; i--)
        if (b->order[i]->is_truncated && !b->order[i]->is_cleared)
            batch_clear(b, b->order[i]);
}

/* Tables whose rows trade unique values are emptied of all the batch's keys before anything is
 * written. */
static void send_in_any_order(struct batch_job *b)
{
    for (int i = 0; i < b->order_count; i++)
        if (b->order[i]->table->delete_first)
            batch_send_read(b, b->order[i], APPLY_REMOVE);
    for (int i = 0; i < b->order_count; i++)
        batch_send_read(b, b->order[i], APPLY_ALL);
}

static void send_writes(struct batch_job *b)
{
    for (int i = 0; i < b->order_count; i++) {
        struct batch_table *t = b->order[i];

        if (t->is_early)
            continue;
        if (t->table->delete_first && !t->is_parent)
            batch_send_read(b, t, APPLY_REMOVE);
        batch_send_read(b, t, t->is_parent ? APPLY_WRITE : APPLY_ALL);
    }
}

static bool send_early(struct batch_job *b)
{
    bool any = false;

    for (int i = b->order_count - 1; i >= 0; i--) {
        struct batch_table *t = b->order[i];

        if (!t->is_early)
            continue;
        batch_send_read(b, t, t->table->delete_first ? APPLY_REMOVE : APPLY_GONE);
        batch_send_read(b, t, APPLY_WRITE);
        any = true;
    }
    return any;
}

static void send_in_order(struct batch_job *b)
{
    send_writes(b);
    if (send_early(b))
        for (int i = 0; i < b->order_count; i++)
            if (b->order[i]->is_ruled)
                batch_send_read(b, b->order[i], APPLY_WRITE);
    for (int i = b->order_count - 1; i >= 0; i--)
        if (b->order[i]->is_parent && !b->order[i]->is_early)
            batch_send_read(b, b->order[i], APPLY_GONE);
}

/* Those of an earlier try, which was rolled back. */
static void forget_rows(struct batch_job *b)
{
    b->apply.rows_written = 0;
    for (int i = 0; i < b->group_count; i++)
        b->group[i].table->rows_uncommitted = 0;
}

enum job_next batch_enter_read(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool is_free = b->sync->has_replica_role;

    batch_begin_writing(b);
    b->has_begun = false;
    apply_began(&b->apply);
    b->writing = two_way_is_coupled(b->sync) ? BATCH_WRITES : BATCH_WRITES_NOT;
    forget_rows(b);
    batch_send_conflicts(b);
    batch_send_again(b);
    find_order(b);
    if (!is_free) {
        send_deferral(b);
        if (!b->clears_late)
            batch_send_clears(b);
    }
    batch_send_stamps(b, &sql_batch_stamps, BATCH_STAMPS);
    if (is_free)
        send_in_any_order(b);
    else
        send_in_order(b);
    batch_say(b, &sql_commit);
    batch_send_stamps(b, &sql_batch_check, BATCH_CHECK);
    return batch_sync_source(b);
}

/* ------------------------------------------------------------------ tables that stand still */

static const struct table *find_by_target(const struct sync *s, Oid oid)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (t->target && t->target->oid == oid)
            return t;
    }
    return NULL;
}

/* Each would wait for the other. */
static bool is_mutual(const struct table *master, const struct table *t)
{
    const struct relation *r = target_now(master);

    for (int i = 0; r && i < r->master_count; i++)
        if (r->masters[i] == t->target->oid)
            return true;
    return false;
}

/* The table whose rows change rows of `t` at the target, and which stands still; NULL for none. */
static const struct table *standing_master(const struct table *t)
{
    const struct relation *r = t->sync->has_replica_role ? NULL : target_now(t);

    for (int i = 0; r && i < r->master_count; i++) {
        const struct table *master = find_by_target(t->sync, r->masters[i]);

        if (master && master != t && !is_free(master) && !is_mutual(master, t) &&
            master->state == TABLE_FOLLOW && master->pause != TABLE_RUNS)
            return master;
    }
    return NULL;
}

bool batch_is_held(const struct table *t)
{
    return standing_master(t) != NULL;
}

bool batch_waits_for(const struct table *t, const struct table *other)
{
    const struct relation *r = target_now(t), *o = target_now(other);

    return sqlstate_is_foreign_key(t->why.sqlstate) && r && o &&
           (refers_to(r, o->oid) || refers_to(o, r->oid));
}

static bool any_stands_still(const struct sync *s)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next)
        if (container_of(l, struct table, in_sync)->pause != TABLE_RUNS)
            return true;
    return false;
}

/* Rows without a key are removed and written again when they change. */
static bool pause_unsafe(struct table *t)
{
    const struct relation *r =
        t->records != TABLE_KEY && table_is_followed(t) ? target_now(t) : NULL;
    struct error e = {0};

    if (r == NULL || !r->has_actions || is_free(t))
        return false;
    error_set(&e, "%s has no key, and foreign keys of the target act when its rows are replaced",
              t->label);
    error_hint(&e, "%s",
               "Give it a primary key, let our role set session_replication_role, or drop "
               "those foreign keys at the target until the cutover.");
    table_pause(t, TABLE_ERROR, &e);
    return true;
}

static bool hold(struct table *t)
{
    const struct table *master = table_is_followed(t) ? standing_master(t) : NULL;
    struct error e = {0};

    if (master == NULL)
        return false;
    error_set(&e, "%s waits for %s: foreign keys of the target change its rows with those",
              t->label, master->label);
    error_hint(&e, "Mend %s; this one goes on by itself after it.", master->label);
    table_pause(t, TABLE_ERROR, &e);
    return true;
}

void batch_hold_children(struct batch_job *b)
{
    struct sync *s = b->sync;
    bool again;

    if (s->has_replica_role)
        return;
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next)
        pause_unsafe(container_of(l, struct table, in_sync));
    again = any_stands_still(s);
    while (again) {
        again = false;
        for (struct list *l = s->tables.next; l != &s->tables; l = l->next)
            again |= hold(container_of(l, struct table, in_sync));
    }
}

/* ------------------------------------------------------------------ when it fails */

/* May rows that stay be removed first? Not where foreign keys act on that. */
static bool may_remove_first(const struct batch_job *b, const struct table *t,
                             const struct relation *now)
{
    if (is_free(t))
        return true;
    return now && (!now->is_referenced || (b->defers && !now->has_actions));
}

static bool defer(struct batch_job *b, struct table *t)
{
    b->defers = true;
    b->defers_for = t;
    return true;
}

/* Foreign keys act on rows without a key when rows of `t` go. What is lost so cannot be written
 * once more: their batch says what has changed, and not how they are. */
static bool rules_keyless(const struct table *t)
{
    for (const struct list *l = t->sync->tables.next; l != &t->sync->tables; l = l->next) {
        const struct table *other = container_of(l, struct table, in_sync);
        const struct relation *r = other->records != TABLE_KEY ? target_now(other) : NULL;

        for (int i = 0; r && i < r->master_count; i++)
            if (r->masters[i] == t->target->oid)
                return true;
    }
    return false;
}

/* Rows want unique values that others have. */
static bool solve_conflict(struct batch_job *b, struct table *t, const struct relation *now)
{
    bool is_parent = !is_free(t) && now && now->is_referenced;

    if (is_parent && t->records == TABLE_KEY && !now->has_side_cascade &&
        !(t->removes_early && b->defers) && !rules_keyless(t)) {
        t->removes_early = true;
        return defer(b, t);
    }
    if (t->delete_first || t->records != TABLE_KEY || !may_remove_first(b, t, now))
        return false;
    t->delete_first = true;
    return true;
}

static void hint_at_actions(const struct table *t, const struct relation *now, struct error *e)
{
    if (e->hint[0] == '\0' && now->has_actions)
        error_hint(e,
                   "Rows trade unique values, and foreign keys act on the removal of rows here, so "
                   "that they cannot be removed for a moment. %s, or drop those foreign keys at "
                   "the target until the cutover.",
                   t->fires ? "Take the table out of tables.fire_triggers"
                            : "Let our role set session_replication_role");
}

/* Two rows that have come at different ends: no policy is about them, since their keys differ. */
static void hint_at_clash(const struct table *t, struct error *e)
{
    if (e->hint[0] == '\0')
        error_hint(e,
                   "Where each end has given this value to a row with another key, only a person "
                   "can say which of them is to keep it: change or remove one of the two. Where "
                   "rows of one end have traded values, give one of them another one for a moment. "
                   "The table goes on by itself then, in both directions; at once with `rebeco "
                   "retry %s`.",
                   t->label);
}

/* Of a row that is merged one end may have checked another state: what the application has changed
 * in it since the round's snapshot comes together with what the round sets. */
static bool may_be_late(struct batch_job *b, const struct table *t, const char *sqlstate)
{
    const struct batch_table *g = find_changed(b, t->target->oid);

    return b->sync->other && strcmp(sqlstate, "23514") == 0 && g && g->merged &&
           t->failures <= LATE_CHECK_MAX;
}

/* The order of truncations and writes that was not tried yet. */
static bool clear_otherwise(struct batch_job *b, const struct error *e)
{
    bool late = sqlstate_is_foreign_key(e->sqlstate), any = false;

    for (int i = 0; i < b->order_count; i++)
        any |= b->order[i]->is_truncated && b->order[i]->other_id;
    if (!any || late == b->clears_late || b->clear_turns > 1)
        return false;
    b->clears_late = late;
    b->clear_turns++;
    return true;
}

/* A statement about the table failed. True when the batch may succeed if it is made again as is
 * noted here; false when the table has to stand still, with a hint in `e` where there was none. */
static bool try_otherwise(struct batch_job *b, struct table *t, struct error *e)
{
    const struct relation *now = target_now(t);

    if (sqlstate_action(e->sqlstate) == SQLSTATE_CONFLICT) {
        if (clear_otherwise(b, e) || solve_conflict(b, t, now))
            return true;
        if (b->sync->other)
            hint_at_clash(t, e);
        else if (!is_free(t) && now)
            hint_at_actions(t, now, e);
    } else if (sqlstate_is_foreign_key(e->sqlstate) && clear_otherwise(b, e)) {
        return true;
    } else if (b->sync->other && sqlstate_is_foreign_key(e->sqlstate) && t->failures <= LATE_MAX) {
        return true; /* a write that came after the round's snapshot: the next one knows it */
    } else if (may_be_late(b, t, e->sqlstate)) {
        return true;
    } else if (!b->sync->has_replica_role && !b->defers && sqlstate_is_foreign_key(e->sqlstate)) {
        return defer(b, t);
    }
    b->defers = false;
    return false;
}

enum job_next batch_failed(struct batch_job *b, enum job_side side, struct table *t,
                           struct error *e)
{
    enum sqlstate_action action = sqlstate_action(e->sqlstate);

    if (t && strcmp(e->sqlstate, SQLSTATE_LOCKED) == 0)
        batch_note_held(t, side);
    if (t && (sqlstate_is_of_table(action) || sqlstate_is_internal(e->sqlstate))) {
        bool is_sure = sqlstate_is_of_table(action) && side == JOB_TARGET;

        t->failures++;
        error_place(e, "table %s", t->label);
        if (!try_otherwise(b, t, e) && (is_sure || t->failures > 3))
            batch_pause_failed(b, t, e);
        b->sync->wants_catalog = true;
    }
    return job_fail(&b->job, e);
}

struct table *batch_table_named(const struct batch_job *b, const PGresult *r)
{
    const char *schema = PQresultErrorField(r, PG_DIAG_SCHEMA_NAME);
    const char *name = PQresultErrorField(r, PG_DIAG_TABLE_NAME);

    for (int i = 0; schema && name && i < b->group_count; i++) {
        struct table *t = b->group[i].table;

        if (strcmp(t->target->schema, schema) == 0 && strcmp(t->target->name, name) == 0)
            return t;
    }
    /* A table that is none of ours refers to the one for which foreign keys were put off. */
    return b->defers ? b->defers_for : NULL;
}
