/* ALTER TYPE changes the values of all rows and writes none.
 *
 * A label gets another name: rows at the target have the old one. Where the same was done there,
 * they are right again; but not where a label has got the name that another one had, or has again
 * the name that one has given up: between the two ends' changes, rows may have come under the one
 * and are taken for the other.
 *
 * An attribute of a composite comes: rows from before have NULL in it, at both ends. One goes: it
 * does at both ends. Rows that come between the two have too many or too few, and the target
 * refuses them. Only where one goes and another one comes it would not notice. */
#include "layout_types.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* jansson's loop wants to be given what may be changed. */
static json_t *loose(const json_t *j)
{
    return (json_t *)(uintptr_t)j;
}

/* What the layout says of one type: its labels, or its attributes. */
static json_t *part(const json_t *layout, const char *type, const char *which)
{
    return json_object_get(json_object_get(json_object_get(layout, "types"), type), which);
}

/* The number of the label, NULL: there is none. */
static const char *number_of(const json_t *labels, const char *label)
{
    const char *number;
    json_t *other;

    json_object_foreach(loose(labels), number, other)
    {
        if (strcmp(json_string_value(other), label) == 0)
            return number;
    }
    return NULL;
}

/* ------------------------------------------------------------------ before and now */

static bool keeps_label(const char *type, const char *was, const char *is, const json_t *ends[4])
{
    const json_t *labels[4];
    const char *number;

    for (int i = 0; i < 4; i++)
        labels[i] = part(ends[i], type, "labels");
    number = number_of(labels[2], was);
    return number && !number_of(labels[0], is) && !number_of(labels[1], was) &&
           !number_of(labels[3], was) && number_of(labels[3], is) &&
           strcmp(number_of(labels[3], is), number) == 0;
}

static bool keeps_labels(const char *type, const json_t *ends[4])
{
    const json_t *now = part(ends[1], type, "labels");
    const char *number;
    json_t *was;

    json_object_foreach(loose(part(ends[0], type, "labels")), number, was)
    {
        const json_t *is = json_object_get(now, number);

        if (is && !json_equal(was, is) &&
            !keeps_label(type, json_string_value(was), json_string_value(is), ends))
            return false;
    }
    return true;
}

static bool any_not_in(const json_t *some, const json_t *others)
{
    const char *number;
    json_t *one;

    json_object_foreach(loose(some), number, one)
    {
        if (json_object_get(others, number) == NULL)
            return true;
    }
    return false;
}

static bool keeps_attributes(const json_t *old, const json_t *now)
{
    return old == NULL || now == NULL || !any_not_in(old, now) || !any_not_in(now, old);
}

static bool keeps_types(const json_t *ends[4])
{
    const char *type;
    json_t *is;

    json_object_foreach(json_object_get(ends[1], "types"), type, is)
    {
        if (!keeps_labels(type, ends) ||
            !keeps_attributes(part(ends[0], type, "attributes"), json_object_get(is, "attributes")))
            return false;
    }
    return true;
}

bool layout_keeps_types(const json_t *old, const json_t *now, const json_t *old_target,
                        const json_t *target)
{
    const json_t *ends[] = {old, now, old_target, target};
    const json_t *other_way[] = {old_target, target, old, now};

    return keeps_types(ends) && keeps_types(other_way);
}

/* ------------------------------------------------------------------ both ends */

static void list_attributes(const json_t *attributes, char *text, size_t size)
{
    const char *number;
    json_t *one;
    size_t at = 0;

    text[0] = '\0';
    json_object_foreach(loose(attributes), number, one)
    {
        int n = snprintf(text + at, size - at, "%s%s", at ? ", " : "", json_string_value(one));

        at += (size_t)n < size - at ? (size_t)n : size - at - 1;
    }
}

bool layout_types_differ(const char *source, const char *target, char what[512], char remedy[512])
{
    json_t *s = source ? json_loads(source, 0, NULL) : NULL;
    json_t *t = target ? json_loads(target, 0, NULL) : NULL;
    char here[4096], there[4096];
    bool differ = false;
    const char *type;
    json_t *is;

    json_object_foreach(json_object_get(s, "types"), type, is)
    {
        const json_t *other = part(t, type, "attributes");

        if (differ || other == NULL || json_object_get(is, "attributes") == NULL)
            continue;
        list_attributes(json_object_get(is, "attributes"), here, sizeof here);
        list_attributes(other, there, sizeof there);
        differ = strcmp(here, there) != 0;
        if (!differ)
            continue;
        snprintf(what, 512, "type %s is (%.150s) at the source and (%.150s) at the target", type,
                 here, there);
        snprintf(remedy, 512,
                 "give it the same attributes in the same order: ALTER TYPE %s ADD ATTRIBUTE ..., "
                 "DROP ATTRIBUTE ..., RENAME ATTRIBUTE ...",
                 type);
    }
    json_decref(s);
    json_decref(t);
    return differ;
}

static bool find_renamed(const json_t *old, const json_t *now, const json_t *there,
                         const char *names[2])
{
    const char *number;
    json_t *was;

    json_object_foreach(loose(old), number, was)
    {
        const json_t *is = json_object_get(now, number);

        names[0] = json_string_value(was);
        names[1] = json_string_value(is);
        if (is && !json_equal(was, is) && !number_of(there, names[1]))
            return true;
    }
    return false;
}

/* The type that has a label, at the end of which `old` and `now` are, that got another name which
 * the other end does not know; NULL: none. */
static const char *find_relabelled(const json_t *old, const json_t *now, const json_t *there,
                                   const char *names[2])
{
    const char *type;
    json_t *is;

    json_object_foreach(json_object_get(now, "types"), type, is)
    {
        const json_t *labels = part(there, type, "labels");

        if (labels &&
            find_renamed(part(old, type, "labels"), json_object_get(is, "labels"), labels, names))
            return type;
    }
    return NULL;
}

bool layout_relabelled(const char *const layouts[4], char what[512], char remedy[512])
{
    static const char *const here[] = {"source", "target"};
    json_t *ends[4];
    const char *type = NULL, *names[2];

    for (int i = 0; i < 4; i++)
        ends[i] = layouts[i] ? json_loads(layouts[i], 0, NULL) : NULL;
    for (int i = 0; i < 2 && type == NULL; i++) {
        type = find_relabelled(ends[2 * i], ends[2 * i + 1], ends[3 - 2 * i], names);
        if (type == NULL)
            continue;
        snprintf(what, 512, "label '%s' of type %s is called '%s' at the %s", names[0], type,
                 names[1], here[i]);
        snprintf(remedy, 512, "at the %s: ALTER TYPE %s RENAME VALUE '%s' TO '%s'", here[1 - i],
                 type, names[0], names[1]);
    }
    for (int i = 0; i < 4; i++)
        json_decref(ends[i]);
    return type != NULL;
}
