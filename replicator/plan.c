/* The decisions about tables. A table is found again at the source by its oid, so that a rename is
 * seen as one, and at the target by the name that it has at the source now.
 *
 * A table's relations are only replaced while it stands still: paused, the pause recorded at the
 * target (so no batch uses it), and no stream at work on it. */
#include "plan.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "batch_order.h"
#include "drift.h"
#include "layout.h"
#include "log.h"
#include "shaping.h"
#include "steady.h"
#include "two_way.h"

/* ------------------------------------------------------------------ which tables */

enum table_records plan_records(const struct sync *s, const struct relation *source)
{
    if (config_patterns_match(&s->config->whole, source->schema, source->name, NULL))
        return TABLE_NOTHING;
    return source->key_count > 0 ? TABLE_KEY : TABLE_IMAGE;
}

/* It was asked for when the sync was new, and could not be taken in yet. */
static bool is_known(const struct sync *s, Oid oid)
{
    char number[16];
    size_t len = (size_t)snprintf(number, sizeof number, "%u", oid);
    const char *at = s->known_tables;

    while (at && (at = strstr(at, number)) != NULL) {
        if ((at[-1] == '{' || at[-1] == ',') && (at[len] == ',' || at[len] == '}'))
            return true;
        at += len;
    }
    return false;
}

static void add_new_tables(struct sync *s)
{
    for (int i = 0; i < s->catalogs->source->count; i++) {
        const struct relation *r = &s->catalogs->source->relations[i];
        struct table *t;

        if (!shaping_wants(s->config, r) || sync_table_find_oid(s, r->oid) ||
            (s->is_back && !two_way_may_take_in(s, r->oid)) ||
            (s->had_tables && !s->config->new_tables && !is_known(s, r->oid)))
            continue;
        t = sync_table_new(s);
        t->source_oid = r->oid;
        t->bytes = r->bytes;
        t->rows = r->rows;
        table_set_relations(t, s->catalogs, r, catalog_find_mate(s->catalogs->target, r));
        s->is_consistent = false;
        if (s->had_tables && !is_known(s, r->oid))
            log_event(LOG_NOTICE, "new table", "sync", s->name, "table", t->label, NULL);
    }
}

bool plan_lacks_target(const struct sync *s)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (t->state == TABLE_NEW && t->source && t->target == NULL)
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------ each table */

static bool stands_still(const struct table *t)
{
    return t->pause != TABLE_RUNS && (t->is_recorded || t->id == 0) && t->streams == 0;
}

static bool is_same_source(const struct relation *a, const struct relation *b)
{
    return a && b && strcmp(a->shape, b->shape) == 0;
}

/* The server takes no deferrable key for ON CONFLICT, and no table with rules. The target's key and
 * rules may not be there yet: then they will be made as the source's are. */
static bool takes_on_conflict(const struct relation *source, const struct relation *target)
{
    const struct relation *keyed = target->key_count > 0 ? target : source;

    return keyed->key_immediate && !source->has_rules && !target->has_rules;
}

/* At the target only the name and the columns matter to the statements: keys and indexes come and
 * go there by our own doing. */
static bool is_same_target(const struct relation *a, const struct relation *b)
{
    if (a == NULL || b == NULL || a->all_count != b->all_count || strcmp(a->label, b->label) != 0)
        return false;
    for (int i = 0; i < a->all_count; i++) {
        const struct column *c = &a->columns[i];
        const struct column *other = relation_column(b, c->name);

        if (other == NULL || strcmp(c->full_type, other->full_type) != 0 ||
            c->is_generated != other->is_generated ||
            c->is_identity_always != other->is_identity_always)
            return false;
    }
    return true;
}

static void pause_for_drift(struct table *t, const struct drift *d)
{
    struct error e = {0};

    error_set(&e, "%s", d->what);
    error_hint(&e, "%s. The table %s by itself then; the others are not held up.", d->remedy,
               t->wants_copy ? "is copied again" : "goes on");
    two_way_say_ends(t->sync, e.what);
    two_way_say_ends(t->sync, e.hint);
    if (t->pause != TABLE_USER)
        table_pause(t, TABLE_DRIFT, &e);
}

/* Which of two rows was changed at both ends cannot be told without a key. */
static void pause_as_keyless(struct table *t, const struct relation *source)
{
    struct error e = {0};

    error_set(&e, "%s has no key, or is read as a whole: it cannot be in a two-way sync",
              source->label);
    error_hint(&e,
               "At both ends: ALTER TABLE %s ADD PRIMARY KEY (...) without a generated column, or "
               "leave it out under tables.exclude. The others are not held up.",
               source->label);
    table_pause(t, TABLE_DRIFT, &e);
}

static void pause_as_gone(struct table *t)
{
    struct error e = {0};

    error_set(&e, "%s is gone at both ends", t->label);
    error_hint(&e, "%s", "It leaves the sync; nothing to do.");
    table_pause(t, TABLE_DRIFT, &e);
}

/* What the target has of it is the user's. */
static void pause_as_excluded(struct table *t)
{
    struct error e = {0};

    error_set(&e, "%s is left out by tables.exclude now", t->label);
    error_hint(&e, "%s", "It leaves the sync. Its rows at the target stay as they are.");
    table_pause(t, TABLE_DRIFT, &e);
}

/* Both ends changed before we looked: it stands still for a moment, and goes on with new
 * statements. */
static void pause_for_planning(struct table *t)
{
    struct error e = {0};

    error_set(&e, "the definition of %s has changed", t->label);
    error_hint(&e, "%s", "Both ends fit; it is planned or copied anew and goes on by itself.");
    table_pause(t, TABLE_DRIFT, &e);
}

/* What was copied is in another table, which may have gone: this one must be filled, and may be
 * somebody's. */
static void pause_as_replaced(struct table *t, const struct relation *target)
{
    struct error e = {0};

    error_set(&e, "%s at the target is another table than the one that was copied to",
              target->label);
    error_hint(&e,
               "If it is empty it is filled by itself. To have its rows replaced: rebeco resync %s",
               t->label);
    table_pause(t, TABLE_DRIFT, &e);
}

/* To copy it again would lose what only the target has. */
static void pause_as_unsure(struct table *t)
{
    struct error e = {0};

    if (t->is_other_target)
        error_set(&e, "%s is another table than before at one end", t->label);
    else
        error_set(&e, "values of %s may have changed without a row being written", t->label);
    error_detail(&e, "%s",
                 t->is_other_target ? "it was renamed, or made anew"
                                    : "a column was retyped or made anew, or columns have "
                                      "exchanged their names");
    error_hint(&e,
               "Compare both ends. Where they hold the same, because the same was done at both: "
               "`rebeco resume %s` lets it go on. `rebeco resync %s` copies it from the source; "
               "what only the target has of it is lost then.",
               t->label, t->label);
    table_pause(t, TABLE_DRIFT, &e);
    t->is_unsure = true;
}

static void pause_running(struct table *t, const struct relation *target, bool keeps)
{
    if (!keeps && t->sync->other)
        pause_as_unsure(t);
    else if (t->is_other_target)
        pause_as_replaced(t, target);
    else
        pause_for_planning(t);
}

/* What is at the target is still right for the source's table as it is now. */
static bool keeps_values(struct table *t, const struct relation *source,
                         const struct relation *target)
{
    t->is_other_target = !layout_is_same_table(t->target_layout, target->layout);
    if (t->id != 0 && !table_is_captured(t, plan_records(t->sync, source)))
        return false;
    return t->takes_values ||
           (!t->is_other_target &&
            layout_keeps_values(t->layout, source->layout, t->target_layout, target->layout) &&
            layout_keeps_names(t->target_layout, target->layout, source->layout));
}

static bool ends_fit(const struct table *t, const struct relation *source,
                     const struct relation *target, struct drift *d)
{
    return !drift_renamed(source, target, t->layout, t->target_layout, d) &&
           !drift_altered_there(source, target, t->layout, t->target_layout, d) &&
           drift_compare(source, target, d) &&
           (t->sync->other == NULL || drift_keys_in_line(source, target, d));
}

/* Of two directions, one that goes on while the other cannot would take a column that only one end
 * has for one that was always there, and then find it new at the other. */
static bool fits_back(const struct table *t, const struct relation *source,
                      const struct relation *target)
{
    struct drift d;

    return t->sync->other == NULL || drift_compare(target, source, &d);
}

static bool is_recorded(const struct table *t, const struct relation *source,
                        const struct relation *target)
{
    return t->layout && t->target_layout && strcmp(t->layout, source->layout) == 0 &&
           strcmp(t->target_layout, target->layout) == 0;
}

/* The ends fit. */
static void mend(struct table *t, const struct relation *source, const struct relation *target)
{
    bool changed = !is_same_source(source, t->source) || !is_same_target(target, t->target) ||
                   !table_has_names(t, source, target) ||
                   takes_on_conflict(source, target) != takes_on_conflict(t->source, t->target);
    bool keeps = keeps_values(t, source, target);
    double now = steady_now();

    two_way_look_back(t);
    switch (t->pause) {
    case TABLE_RUNS:
        if ((changed || !keeps) && t->state != TABLE_NEW)
            pause_running(t, target, keeps);
        else if (t->state == TABLE_NEW || t->source == NULL)
            table_set_relations(t, t->sync->catalogs, source, target);
        else
            t->has_other_layout = !is_recorded(t, source, target);
        break;
    case TABLE_USER:
        break;
    case TABLE_DRIFT:
        t->wants_plan = stands_still(t) && fits_back(t, source, target);
        break;
    case TABLE_ERROR:
        t->wants_plan = stands_still(t) && (changed || now >= t->retry_at) && !batch_is_held(t);
        break;
    case TABLE_CAPTURE:
        t->wants_plan =
            stands_still(t) && !t->is_lossy && !(t->owes_keys && t->state == TABLE_FOLLOW);
        t->wants_copy |= t->is_lossy && t->sync->other == NULL;
        break;
    case TABLE_OTHER:
        t->wants_plan = stands_still(t) && two_way_may_go_on(t);
        break;
    }
    if (t->wants_plan && !keeps) {
        t->wants_plan = false;
        t->wants_copy |= t->sync->other == NULL;
        if (!t->wants_copy)
            pause_as_unsure(t);
    }
    /* Where a copy failed to begin, the position may be that of the copy already. */
    t->wants_plan &= !t->wants_copy;
    if (t->wants_plan || (t->wants_copy && stands_still(t)))
        table_set_relations(t, t->sync->catalogs, source, target);
}

/* A table that the schema copy is about to bring. */
static bool is_expected(const struct table *t)
{
    return t->state == TABLE_NEW && t->target == NULL && t->source && t->source->column_count > 0 &&
           t->sync->expects_schema;
}

/* Another table that has its name at the source now, and with it the one at the target; NULL: none.
 */
static const struct relation *successor(const struct table *t)
{
    const struct catalog *c = t->sync->catalogs->source;

    for (int i = 0; t->target && i < c->count; i++)
        if (strcmp(c->relations[i].target_schema, t->target->schema) == 0 &&
            strcmp(c->relations[i].target_name, t->target->name) == 0 &&
            (t->sync->is_back || shaping_wants(t->sync->config, &c->relations[i])))
            return &c->relations[i];
    return NULL;
}

/* It was dropped, and made again under its name, where new tables are not taken in: to leave it
 * would be to leave the one at the target as it is for good, and nobody would know. */
static bool is_replaced(struct table *t)
{
    const struct relation *r = successor(t);
    struct drift d;

    if (r == NULL || t->sync->is_back || sync_table_find_oid(t->sync, r->oid))
        return false;
    snprintf(d.what, sizeof d.what, "%s was dropped at the source, and another table has its name",
             r->label);
    snprintf(d.remedy, sizeof d.remedy,
             "new tables are not taken in: to have this one followed, say new_tables: true in the "
             "configuration and start again");
    pause_for_drift(t, &d);
    return true;
}

/* By the name that it had when it was last known to fit, and by the one that it has: a new name
 * alone is a table that was renamed. What is gone at the source may be kept at the target so. The
 * way back has no patterns of its own. */
static bool is_excluded(const struct table *t, const struct relation *source)
{
    const struct sync *s = t->sync->is_back ? t->sync->other : t->sync;
    char *const *names = t->names + (t->sync->is_back ? 2 : 0);
    const struct config_patterns *exclude = &s->config->exclude;

    return names[0] && config_patterns_match(exclude, names[0], names[1], NULL) &&
           (source == NULL || t->sync->is_back ||
            config_patterns_match(exclude, source->schema, source->name, NULL));
}

static void reconcile_table(struct table *t)
{
    const struct catalog_pair *p = t->sync->catalogs;
    const struct relation *source = catalog_find_oid(p->source, t->source_oid);
    const struct relation *target = catalog_find_mate(p->target, source ? source : t->target);
    bool was_gone = t->is_gone;
    struct drift d;

    t->is_unsure = t->fits = t->has_other_layout = false;
    t->is_gone = source && is_excluded(t, source);
    if (t->is_gone) {
        if (!was_gone)
            pause_as_excluded(t);
        return;
    }
    if (source == NULL && target && is_replaced(t))
        return;
    if (source == NULL && (target == NULL || successor(t) || is_excluded(t, NULL))) {
        if (t->id != 0 && t->pause != TABLE_DRIFT)
            pause_as_gone(t);
        t->is_gone = true;
        return;
    }
    if (t->sync->other && source && plan_records(t->sync, source) != TABLE_KEY) {
        pause_as_keyless(t, source);
        return;
    }
    if (two_way_is_acted_on(t, target))
        return;
    if (!ends_fit(t, source, target, &d) ||
        (!t->wants_copy && (drift_dropped(source, target, t->layout, &d) ||
                            drift_relabelled(source, target, t->layout, t->target_layout, &d)))) {
        if (t->state == TABLE_NEW && source)
            table_set_relations(t, t->sync->catalogs, source, target);
        if (!is_expected(t))
            pause_for_drift(t, &d);
        t->takes_values = false;
        return;
    }
    if (t->state == TABLE_NEW && t->pause == TABLE_DRIFT &&
        (t->wants_copy || steady_now() >= t->next_try) && two_way_is_captured(t)) {
        t->pause = TABLE_RUNS;
        t->is_tried_again = true;
    }
    t->fits = true;
    mend(t, source, target);
}

static bool goes_with_another(const struct table *t)
{
    for (const struct list *l = t->sync->tables.next; l != &t->sync->tables; l = l->next) {
        const struct table *other = container_of(l, struct table, in_sync);

        if (other->wants_plan && batch_waits_for(t, other))
            return true;
    }
    return false;
}

/* What a foreign key holds does not wait for its own time: the head of batch_order.c. In a two-way
 * sync it must: two_way_retry_s(). */
static void let_go_together(struct sync *s)
{
    bool again = s->other == NULL;

    while (again) {
        again = false;
        for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
            struct table *t = container_of(l, struct table, in_sync);

            if (t->pause != TABLE_ERROR || t->wants_plan || !t->fits || !stands_still(t) ||
                !goes_with_another(t))
                continue;
            t->retry_at = steady_now();
            reconcile_table(t);
            again |= t->wants_plan;
        }
    }
}

void plan_reconcile(struct sync *s)
{
    struct list *next;

    add_new_tables(s);
    for (struct list *l = s->tables.next; l != &s->tables; l = next) {
        next = l->next;
        reconcile_table(container_of(l, struct table, in_sync));
    }
    let_go_together(s);
}

/* ------------------------------------------------------------------ what is next */

/* Its rows at the target go first: not while a person wants it to stand still. */
static bool may_copy_again(struct table *t)
{
    return t->wants_copy && t->fits && stands_still(t) && t->pause != TABLE_USER &&
           !t->sync->is_paused && two_way_may_be_emptied(t);
}

struct table *plan_next_copy(struct sync *s, double now)
{
    struct table *best = NULL;

    if (direction_is_closed(s) && !s->is_back)
        return NULL;

    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);
        bool ready = t->state == TABLE_NEW ? t->pause == TABLE_RUNS && two_way_is_captured(t)
                                           : may_copy_again(t);

        if (ready && t->source && t->target && now >= t->next_try &&
            (!s->is_back || two_way_may_take_in(s, t->source_oid)) &&
            (best == NULL || t->bytes > best->bytes))
            best = t;
    }
    return best;
}

struct table *plan_next_resume(struct sync *s)
{
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->wants_plan && stands_still(t) && t->id != 0)
            return t;
    }
    return NULL;
}

struct table *plan_next_forget(struct sync *s)
{
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->is_gone && t->streams == 0 && (t->id == 0 || stands_still(t)) &&
            steady_now() >= t->next_try)
            return t;
    }
    return NULL;
}

/* ------------------------------------------------------------------ statements */

static json_t *key_json(const struct relation *r)
{
    json_t *key = json_array();

    for (int i = 0; i < r->key_count; i++)
        json_array_append_new(key, json_string(r->key[i]));
    return key;
}

static json_t *read_column(const struct table *t, const struct column *c)
{
    (void)t;
    return json_pack("{s:s, s:s?, s:s?, s:s?, s:s}", "name", c->name, "cast", c->cast, "output",
                     c->output, "copy_cast", c->copy_cast, "equals", c->equals);
}

/* The value comes as the source's wire type and goes into the target's column: assignment does for
 * a value that is read as itself, text is cast to the target's type. */
static json_t *apply_column(const struct table *t, const struct column *c)
{
    const struct column *other = relation_column(t->target, c->name);
    bool is_key = relation_is_key(t->source, c->name);

    return json_pack("{s:s, s:s, s:s?, s:s?, s:s, s:s?, s:s, s:b, s:b}", "name", c->name, "array",
                     c->array, "cast", c->cast ? other->full_type : NULL, "input",
                     c->cast ? other->input : NULL, "input_more", other->input_more, "copy_cast",
                     c->copy_cast, "equals", other->equals, "is_key", is_key && c->is_bitwise,
                     "is_fixed", other->is_identity_always);
}

static json_t *table_json(const struct table *t, const struct relation *r,
                          json_t *(*column)(const struct table *, const struct column *))
{
    json_t *columns = json_array();

    for (int i = 0; i < t->source->column_count; i++)
        json_array_append_new(columns, column(t, &t->source->columns[i]));
    return json_pack("{s:i, s:b, s:s, s:s, s:b, s:s, s:b, s:s?, s:o, s:o}", "id", t->id, "two_way",
                     t->sync->other != NULL, "schema", r->schema, "name", r->name, "only", r->only,
                     "records", table_records_name(t->records), "on_conflict",
                     takes_on_conflict(t->source, t->target), "where", t->source->where, "key",
                     key_json(t->source), "columns", columns);
}

static bool dump(json_t *list, struct buf *out)
{
    bool any = json_array_size(list) > 0;
    char *text = json_dumps(list, JSON_COMPACT);

    buf_text(out, text);
    free(text);
    json_decref(list);
    return any;
}

static bool can_have_statements(const struct table *t)
{
    return t->source && t->target && table_is_captured(t, t->records) &&
           !(t->pause == TABLE_DRIFT && !t->wants_plan);
}

bool plan_read_json(const struct sync *s, struct buf *out)
{
    json_t *list = json_array();

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (can_have_statements(t) && t->read_sql == NULL)
            json_array_append_new(list, table_json(t, t->source, read_column));
    }
    return dump(list, out);
}

bool plan_apply_json(const struct sync *s, struct buf *out)
{
    json_t *list = json_array();

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (can_have_statements(t) && t->upsert_sql == NULL)
            json_array_append_new(list, table_json(t, t->target, apply_column));
    }
    return dump(list, out);
}

void plan_row_json(const struct table *t, struct buf *out)
{
    dump(table_json(t, t->source, apply_column), out);
}
