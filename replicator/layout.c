/* Three ways in which values change without a trigger being fired: columns trade their names, a
 * column is dropped and made again under its name, and ALTER TABLE .. TYPE .. USING rewrites the
 * table. A rewrite alone (VACUUM FULL) keeps them, and so does a touched column alone (a new name,
 * SET STATISTICS). */
#include "layout.h"

#include <jansson.h>
#include <string.h>

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

/* A new column: what rows from before have is written down at both ends, and is the same. */
static bool is_same_when_missing(const json_t *now, const json_t *target)
{
    return target && strcmp(text_at(now, 2), text_at(target, 2)) == 0;
}

static bool compare(const json_t *old, const json_t *now, const json_t *target)
{
    bool rewritten = is_rewritten(old, now);
    const char *name;
    json_t *column;

    json_object_foreach(json_object_get(now, "columns"), name, column)
    {
        const json_t *before = json_object_get(json_object_get(old, "columns"), name);

        if (before ? !keeps_column(before, column, rewritten)
                   : rewritten ||
                         !is_same_when_missing(
                             column, json_object_get(json_object_get(target, "columns"), name)))
            return false;
    }
    return true;
}

bool layout_keeps_values(const char *old, const char *now, const char *target)
{
    json_t *o = old ? json_loads(old, 0, NULL) : NULL;
    json_t *n = now ? json_loads(now, 0, NULL) : NULL;
    json_t *t = target ? json_loads(target, 0, NULL) : NULL;
    bool keeps = o == NULL || (n != NULL && compare(o, n, t));

    json_decref(o);
    json_decref(n);
    json_decref(t);
    return keeps;
}

bool layout_keeps_names(const char *old, const char *now)
{
    json_t *o = old ? json_loads(old, 0, NULL) : NULL;
    json_t *n = now ? json_loads(now, 0, NULL) : NULL;
    bool keeps = true;
    const char *name;
    json_t *column;

    json_object_foreach(json_object_get(n, "columns"), name, column)
    {
        const json_t *before = json_object_get(json_object_get(o, "columns"), name);

        keeps &= before == NULL || json_equal(json_array_get(before, 0), json_array_get(column, 0));
    }
    json_decref(o);
    json_decref(n);
    return keeps;
}
