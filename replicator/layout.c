/* Four ways in which values change without a trigger being fired: columns trade their names, a
 * column is dropped and made again under its name, ALTER TABLE .. TYPE .. USING rewrites the
 * table, and ALTER TYPE changes what values are made of (layout_types.c). A rewrite alone (VACUUM
 * FULL) keeps them, and so does a touched column alone (a new name, SET STATISTICS). */
#include "layout.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "layout_types.h"

static const char *text_at(const json_t *column, size_t i)
{
    const char *s = json_string_value(json_array_get(column, i));

    return s ? s : "";
}

static bool is_rewritten(const json_t *old, const json_t *now)
{
    return !json_equal(json_object_get(old, "file"), json_object_get(now, "file"));
}

/* A column that was there before, under the same name. */
static bool keeps_column(const json_t *old, const json_t *now, bool rewritten)
{
    if (!json_equal(json_array_get(old, 0), json_array_get(now, 0)))
        return false;
    return !rewritten || strcmp(text_at(old, 1), text_at(now, 1)) == 0;
}

/* A new column: what rows from before have is written down at both ends, and is the same; and
 * nobody has used the column at the target until now. */
static bool is_same_when_missing(const json_t *now, const json_t *was_there, const json_t *target)
{
    return was_there == NULL && target && strcmp(text_at(now, 2), text_at(target, 2)) == 0;
}

static json_t *columns_of(const json_t *layout)
{
    return json_object_get(layout, "columns");
}

/* The name of the column with this number; NULL: there is none. */
static const char *name_of(const json_t *columns, const json_t *number)
{
    const char *name;
    json_t *column;

    json_object_foreach((json_t *)(uintptr_t)columns, name, column)
    {
        if (json_equal(json_array_get(column, 0), number))
            return name;
    }
    return NULL;
}

/* A name that was not there before, at either end: the column has it instead of another one, or it
 * is a new column. The same must be so at the target, and not a new column there for one that was
 * renamed here, or the other way round. */
static bool keeps_new_name(const char *name, const json_t *now, const json_t *old,
                           const json_t *old_target, const json_t *target)
{
    const json_t *there = json_object_get(target, name);
    const char *was = name_of(old, json_array_get(now, 0));

    if (was)
        return json_equal(json_array_get(json_object_get(old_target, was), 0),
                          json_array_get(there, 0));
    return is_same_when_missing(now, json_object_get(old_target, name), there) &&
           name_of(old_target, json_array_get(there, 0)) == NULL;
}

/* Other columns or other rows are taken than before (see shaping.h). */
static bool takes_other(const json_t *old, const json_t *now)
{
    const json_t *was = json_object_get(old, "taken"), *is = json_object_get(now, "taken");

    return was != is && !json_equal(was, is);
}

static bool compare(const json_t *old, const json_t *now, const json_t *old_target,
                    const json_t *target)
{
    bool rewritten = is_rewritten(old, now);
    const char *name;
    json_t *column;

    if (takes_other(old, now))
        return false;

    json_object_foreach(columns_of(now), name, column)
    {
        const json_t *before = json_object_get(columns_of(old), name);

        if (before && !keeps_column(before, column, rewritten))
            return false;
        if (before == NULL &&
            (rewritten || !keeps_new_name(name, column, columns_of(old), columns_of(old_target),
                                          columns_of(target))))
            return false;
    }
    return layout_keeps_types(old, now, old_target, target);
}

static json_t *parse(const char *text)
{
    return text ? json_loads(text, 0, NULL) : NULL;
}

bool layout_keeps_values(const char *old, const char *now, const char *old_target,
                         const char *target)
{
    json_t *o = parse(old);
    json_t *n = parse(now);
    json_t *was = parse(old_target);
    json_t *t = parse(target);
    bool keeps = o == NULL || (n != NULL && compare(o, n, was, t));

    json_decref(o);
    json_decref(n);
    json_decref(was);
    json_decref(t);
    return keeps;
}

bool layout_keeps_names(const char *old, const char *now, const char *source)
{
    json_t *o = parse(old);
    json_t *n = parse(now);
    json_t *s = parse(source);
    bool keeps = true;
    const char *name;
    json_t *column;

    json_object_foreach(columns_of(n), name, column)
    {
        const json_t *before = json_object_get(columns_of(o), name);

        if (before && json_object_get(columns_of(s), name))
            keeps &= json_equal(json_array_get(before, 0), json_array_get(column, 0));
    }
    json_decref(o);
    json_decref(n);
    json_decref(s);
    return keeps;
}

bool layout_is_same_table(const char *old, const char *now)
{
    json_t *o = parse(old);
    json_t *n = parse(now);
    const json_t *was = json_object_get(o, "oid"), *is = json_object_get(n, "oid");
    bool same = was == NULL || is == NULL || json_equal(was, is);

    json_decref(o);
    json_decref(n);
    return same;
}

bool layout_was_called(const char *old, const char *now, const char *name,
                       char was[LAYOUT_NAME_SIZE])
{
    json_t *o = parse(old), *n = parse(now);
    const json_t *number = json_array_get(json_object_get(columns_of(n), name), 0);
    const char *before = layout_is_same_table(old, now) ? name_of(columns_of(o), number) : NULL;
    bool renamed = before && strcmp(before, name) != 0;

    if (renamed)
        snprintf(was, LAYOUT_NAME_SIZE, "%s", before);
    json_decref(o);
    json_decref(n);
    return renamed;
}

bool layout_is_touched(const char *old, const char *now, const char *name)
{
    json_t *o = parse(old), *n = parse(now);
    const json_t *was = json_object_get(columns_of(o), name);
    const json_t *is = json_object_get(columns_of(n), name);
    bool touched = was && is && !json_equal(was, is);

    json_decref(o);
    json_decref(n);
    return touched;
}

bool layout_has_column(const char *layout, const char *name)
{
    json_t *l = parse(layout);
    bool has = json_object_get(columns_of(l), name) != NULL;

    json_decref(l);
    return has;
}
