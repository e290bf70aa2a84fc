/* The differences between two ends that keep a table from being replicated, each with its remedy:
 * one rule a function, in the order in which a person would mend them. */
#include "drift.h"

#include <stdio.h>
#include <string.h>

#include "layout.h"
#include "layout_types.h"

typedef bool rule(const struct relation *s, const struct relation *t, struct drift *d);

/* A partition whose rows are at a third server: they would be read and copied as this one's,
 * written there a second time by way of the target, and removed there when the table is emptied for
 * a copy. */
static bool part_is_foreign(const struct relation *s, const struct relation *t, struct drift *d)
{
    const struct relation *r = s->foreign_part ? s : t;

    if (r->foreign_part == NULL)
        return false;
    snprintf(d->what, sizeof d->what, "partition %s of %s is a foreign table at the %s",
             r->foreign_part, r->label, r == s ? "source" : "target");
    snprintf(d->remedy, sizeof d->remedy,
             "at the %s: ALTER TABLE %s DETACH PARTITION %s, or exclude %s from the sync: its rows "
             "are kept elsewhere, and whatever is done to the table would be done there",
             r == s ? "source" : "target", r->label, r->foreign_part, s->label);
    return true;
}

/* The configuration asks for something that the table does not have. */
static bool shaping_unfit(const struct relation *s, const struct relation *t, struct drift *d)
{
    (void)t;
    if (s->trouble == NULL)
        return false;
    snprintf(d->what, sizeof d->what, "%s", s->trouble);
    snprintf(d->remedy, sizeof d->remedy, "%s", s->trouble_hint);
    return true;
}

/* A column of the target that may be that of the source under another name. NULL: there is none. */
static const struct column *namesake(const struct relation *s, const struct relation *t,
                                     const struct column *c)
{
    for (int i = 0; i < t->all_count; i++)
        if (!relation_column(s, t->columns[i].name) &&
            !relation_leaves_out(s, t->columns[i].name) && strcmp(t->columns[i].type, c->type) == 0)
            return &t->columns[i];
    return NULL;
}

/* What rows from before have is said as a value, because they must have the same at both ends. */
static const char *about_default(const struct column *c)
{
    if (strstr(c->definition, "..."))
        return ", with the expression that it has at the source";
    if (strstr(c->definition, " DEFAULT "))
        return ", which is what rows from before have; then give it the DEFAULT of the source, if "
               "that is another one";
    if (c->not_null && !strstr(c->definition, " IDENTITY"))
        return ", which may be NOT NULL as at the source once the table has gone on: until then "
               "rows from before have no value";
    return "";
}

/* A column of the source that the target does not have: added here, or dropped there. */
static bool column_missing(const struct relation *s, const struct relation *t, struct drift *d)
{
    for (int i = 0; i < s->all_count; i++) {
        const struct column *c = &s->columns[i], *other;
        int len;

        if (relation_column(t, c->name))
            continue;
        other = namesake(s, t, c);
        snprintf(d->what, sizeof d->what, "column \"%s\" of %s is missing at the target", c->name,
                 s->label);
        len = snprintf(d->remedy, sizeof d->remedy,
                       "at the target: ALTER TABLE %s ADD COLUMN \"%s\" %s%s", t->label, c->name,
                       c->definition, about_default(c));
        if (other && len < (int)sizeof d->remedy)
            snprintf(d->remedy + len, sizeof d->remedy - (size_t)len,
                     " (or, if \"%s\" there is the same column: RENAME COLUMN \"%s\" TO \"%s\")",
                     other->name, other->name, c->name);
        return true;
    }
    return false;
}

static void say_types(const struct relation *s, const struct column *c, const struct column *other,
                      struct drift *d)
{
    snprintf(d->what, sizeof d->what,
             "column \"%s\" of %s is %s at the source and %s at the target", c->name, s->label,
             c->type, other->type);
}

static bool type_differs(const struct relation *s, const struct relation *t, struct drift *d)
{
    for (int i = 0; i < s->all_count; i++) {
        const struct column *c = &s->columns[i];
        const struct column *other = relation_column(t, c->name);

        if (other == NULL || strcmp(c->type, other->type) == 0)
            continue;
        say_types(s, c, other, d);
        snprintf(d->remedy, sizeof d->remedy,
                 "at the target: ALTER TABLE %s ALTER COLUMN \"%s\" TYPE %s", t->label, c->name,
                 c->type);
        return true;
    }
    return false;
}

/* The type has the same name at both ends, and values that mean something else. */
static bool type_inside_differs(const struct relation *s, const struct relation *t, struct drift *d)
{
    return layout_types_differ(s->layout, t->layout, d->what, d->remedy);
}

static bool generation_differs(const struct relation *s, const struct relation *t, struct drift *d)
{
    for (int i = 0; i < s->all_count; i++) {
        const struct column *c = &s->columns[i];
        const struct column *other = relation_column(t, c->name);

        if (other == NULL || c->is_generated == other->is_generated)
            continue;
        snprintf(d->what, sizeof d->what, "column \"%s\" of %s is generated at one end only",
                 c->name, s->label);
        snprintf(d->remedy, sizeof d->remedy, "make the column the same at both ends");
        return true;
    }
    return false;
}

/* A column that only the target has keeps what it holds, and gets its default in new rows. It must
 * do without a value from us. */
static bool extra_needs_value(const struct relation *s, const struct relation *t, struct drift *d)
{
    for (int i = 0; i < t->all_count; i++) {
        const struct column *c = &t->columns[i];

        if (relation_column(s, c->name) || !c->needs_value)
            continue;
        snprintf(d->what, sizeof d->what,
                 "column \"%s\" of %s gets nothing from the source, and needs a value", c->name,
                 t->label);
        snprintf(d->remedy, sizeof d->remedy,
                 "at the target: ALTER TABLE %s DROP COLUMN \"%s\" (or, to keep it, ALTER COLUMN "
                 "\"%s\" SET DEFAULT ... or DROP NOT NULL)",
                 t->label, c->name, c->name);
        return true;
    }
    return false;
}

static bool null_differs(const struct relation *s, const struct relation *t, struct drift *d)
{
    for (int i = 0; i < s->all_count; i++) {
        const struct column *c = &s->columns[i];
        const struct column *other = relation_column(t, c->name);

        if (other == NULL || c->not_null || !other->not_null)
            continue;
        snprintf(d->what, sizeof d->what,
                 "column \"%s\" of %s may be NULL at the source but not at the target", c->name,
                 s->label);
        snprintf(d->remedy, sizeof d->remedy,
                 "at the target: ALTER TABLE %s ALTER COLUMN \"%s\" DROP NOT NULL", t->label,
                 c->name);
        return true;
    }
    return false;
}

/* Rows without a value of their own cannot even be counted apart from each other. */
static bool columns_missing(const struct relation *s, const struct relation *t, struct drift *d)
{
    (void)t;
    if (s->column_count > 0)
        return false;
    snprintf(d->what, sizeof d->what, "%s has no columns that could be copied", s->label);
    snprintf(d->remedy, sizeof d->remedy, "at both ends: ALTER TABLE %s ADD COLUMN ..., or DROP it",
             s->label);
    return true;
}

static bool is_key_of(const struct relation *t, const struct relation *s)
{
    if (t->key_count != s->key_count)
        return false;
    for (int i = 0; i < s->key_count; i++)
        if (!relation_is_key(t, s->key[i]))
            return false;
    return true;
}

/* Only once the target has a key at all: before, the copy creates it (and its columns may be
 * nullable until then). A key where the source has none keeps nobody from trying. */
static bool key_differs(const struct relation *s, const struct relation *t, struct drift *d)
{
    if (s->key_count == 0 || t->key_count == 0 || is_key_of(t, s))
        return false;
    snprintf(d->what, sizeof d->what, "the key of %s is not the same at both ends", s->label);
    snprintf(d->remedy, sizeof d->remedy,
             "give both ends the same primary key, or the same unique index over columns that "
             "are NOT NULL");
    return true;
}

static rule *const rules[] = {
    shaping_unfit,       part_is_foreign,    columns_missing,   column_missing, type_differs,
    type_inside_differs, generation_differs, extra_needs_value, null_differs,   key_differs};

bool drift_compare(const struct relation *source, const struct relation *target, struct drift *d)
{
    memset(d, 0, sizeof *d);
    if (source == NULL) {
        snprintf(d->what, sizeof d->what, "the table is gone at the source");
        snprintf(d->remedy, sizeof d->remedy,
                 "drop it at the target too, or exclude it from the sync");
        return false;
    }
    if (target == NULL) {
        bool is_renamed = strcmp(source->target_label, source->label) != 0;

        snprintf(d->what, sizeof d->what, "%s%s%s%s is missing at the target", source->target_label,
                 is_renamed ? " (" : "", is_renamed ? source->label : "",
                 is_renamed ? " at the source)" : "");
        snprintf(d->remedy, sizeof d->remedy,
                 "create it at the target as it is at the source, or rename it there if it was "
                 "renamed at the source%s",
                 is_renamed ? "; or mend tables.rename, and start again" : "");
        return false;
    }
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i](source, target, d))
            return false;
    return true;
}

bool drift_keys_in_line(const struct relation *source, const struct relation *target,
                        struct drift *d)
{
    for (int i = 0; i < source->key_count && i < target->key_count; i++) {
        if (strcmp(source->key[i], target->key[i]) == 0)
            continue;
        snprintf(d->what, sizeof d->what,
                 "the key of %s has its columns in another order at the target", source->label);
        snprintf(d->remedy, sizeof d->remedy,
                 "give both ends a primary key, or a unique index, over the same columns in the "
                 "same order");
        return false;
    }
    return true;
}

/* It lives on at the target, with the values of before: whether it is to be kept like that only a
 * person can say. */
bool drift_dropped(const struct relation *source, const struct relation *target, const char *layout,
                   struct drift *d)
{
    for (int i = 0; i < target->column_count; i++) {
        const struct column *c = &target->columns[i];

        if (relation_column(source, c->name) || relation_leaves_out(source, c->name) ||
            !layout_has_column(layout, c->name))
            continue;
        snprintf(d->what, sizeof d->what, "column \"%s\" of %s is not at the source any more",
                 c->name, target->label);
        snprintf(d->remedy, sizeof d->remedy,
                 "at the target: ALTER TABLE %s DROP COLUMN \"%s\" (or, to keep it there with what "
                 "it holds, rename it)",
                 target->label, c->name);
        return true;
    }
    return false;
}

/* By their numbers, which outlive a new name. */
bool drift_renamed(const struct relation *source, const struct relation *target, const char *layout,
                   const char *target_layout, struct drift *d)
{
    char was[LAYOUT_NAME_SIZE];

    if (source == NULL || target == NULL || source->trouble || source->foreign_part)
        return false;
    for (int i = 0; i < source->all_count; i++) {
        const char *name = source->columns[i].name;

        if (relation_column(target, name) ||
            !layout_was_called(layout, source->layout, name, was) || !relation_column(target, was))
            continue;
        snprintf(d->what, sizeof d->what, "column \"%s\" of %s is called \"%s\" at the source now",
                 was, source->label, name);
        snprintf(d->remedy, sizeof d->remedy,
                 "at the target: ALTER TABLE %s RENAME COLUMN \"%s\" TO \"%s\"", target->label, was,
                 name);
        return true;
    }
    for (int i = 0; i < target->all_count; i++) {
        const char *name = target->columns[i].name;

        if (relation_column(source, name) || relation_leaves_out(source, name) ||
            !layout_was_called(target_layout, target->layout, name, was) ||
            !relation_column(source, was) || relation_column(target, was))
            continue;
        snprintf(d->what, sizeof d->what, "column \"%s\" of %s is called \"%s\" at the target now",
                 was, target->label, name);
        snprintf(
            d->remedy, sizeof d->remedy,
            "at the source: ALTER TABLE %s RENAME COLUMN \"%s\" TO \"%s\" (or give it its name "
            "back at the target)",
            source->label, was, name);
        return true;
    }
    return false;
}

bool drift_altered_there(const struct relation *source, const struct relation *target,
                         const char *layout, const char *target_layout, struct drift *d)
{
    if (source == NULL || target == NULL || source->trouble || source->foreign_part)
        return false;
    for (int i = 0; i < source->all_count; i++) {
        const struct column *c = &source->columns[i], *other = relation_column(target, c->name);

        if (other == NULL && layout_has_column(layout, c->name) &&
            layout_has_column(target_layout, c->name)) {
            snprintf(d->what, sizeof d->what, "column \"%s\" of %s is not at the target any more",
                     c->name, source->label);
            snprintf(
                d->remedy, sizeof d->remedy,
                "at the source: ALTER TABLE %s DROP COLUMN \"%s\"; or, to keep it, at the target: "
                "ALTER TABLE %s ADD COLUMN \"%s\" %s%s",
                source->label, c->name, target->label, c->name, c->definition, about_default(c));
            return true;
        }
        if (other == NULL || strcmp(c->type, other->type) == 0 ||
            layout_is_touched(layout, source->layout, c->name) ||
            !layout_is_touched(target_layout, target->layout, c->name))
            continue;
        say_types(source, c, other, d);
        snprintf(
            d->remedy, sizeof d->remedy,
            "at the source: ALTER TABLE %s ALTER COLUMN \"%s\" TYPE %s (or, to go back, at the "
            "target: ... TYPE %s)",
            source->label, c->name, other->type, c->type);
        return true;
    }
    return false;
}

bool drift_relabelled(const struct relation *source, const struct relation *target,
                      const char *layout, const char *target_layout, struct drift *d)
{
    const char *const layouts[] = {layout, source->layout, target_layout, target->layout};

    return layout_relabelled(layouts, d->what, d->remedy);
}
