/* Shaping, as `check` sees it: on the JSON that goes from one end's question to the other's. The
 * rules are those of shaping.c, which does the same for the daemon. */
#include "check_shape.h"

#include <stdio.h>
#include <string.h>

#include "catalog.h"
#include "config_rules.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static bool is_listed(const struct config_rule *rule, const char *name)
{
    for (int i = 0; i < rule->count; i++)
        if (strcmp(rule->values[i], name) == 0)
            return true;
    return false;
}

static bool has_column(const json_t *columns, const char *name)
{
    size_t i;
    json_t *column;

    json_array_foreach(columns, i, column)
    {
        if (strcmp(text_of(column, "name"), name) == 0)
            return true;
    }
    return false;
}

static void report_list(struct check_report *report, const struct config_rule *rule,
                        const json_t *relation)
{
    const json_t *columns = json_object_get(relation, "columns");
    char object[160], detail[256];
    size_t i;
    json_t *key;

    snprintf(object, sizeof object, "%s.%s", text_of(relation, "schema"),
             text_of(relation, "name"));
    for (int k = 0; k < rule->count; k++) {
        if (has_column(columns, rule->values[k]))
            continue;
        snprintf(detail, sizeof detail, "there is no column \"%s\"", rule->values[k]);
        check_report_add(report, JOB_SOURCE, "column-list", object, detail);
    }
    json_array_foreach(json_object_get(relation, "key"), i, key)
    {
        if (is_listed(rule, json_string_value(key)))
            continue;
        snprintf(detail, sizeof detail, "the key column \"%s\" is left out",
                 json_string_value(key));
        check_report_add(report, JOB_SOURCE, "column-list", object, detail);
    }
}

static void report_keyless(struct check_report *report, const struct config_sync *c,
                           const json_t *relation)
{
    const char *schema = text_of(relation, "schema"), *name = text_of(relation, "name");
    char object[160];

    if (!config_rules_find(&c->columns, schema, name) &&
        !config_rules_find(&c->where, schema, name))
        return;
    if (json_array_size(json_object_get(relation, "key")) > 0 &&
        !config_patterns_match(&c->whole, schema, name, NULL))
        return;
    snprintf(object, sizeof object, "%s.%s", schema, name);
    check_report_add(report, JOB_SOURCE, "column-list", object,
                     "only a part is to be taken, but it is not followed by a key");
}

/* In a two-way sync what was changed is always told by its key. */
static void report_whole(struct check_report *report, const struct config_sync *c,
                         const json_t *relation)
{
    const char *schema = text_of(relation, "schema"), *name = text_of(relation, "name");
    char object[160];

    if (c->mode != CONFIG_TWO_WAY || !config_patterns_match(&c->whole, schema, name, NULL))
        return;
    snprintf(object, sizeof object, "%s.%s", schema, name);
    check_report_add(report, JOB_SOURCE, "two-way-no-key", object, "it is in tables.whole");
}

/* What is left out, and needs a value, would be in the way of every row of a table that is made as
 * the source's. */
static void drop_columns(const struct config_rule *rule, json_t *relation)
{
    json_t *columns = json_object_get(relation, "columns"), *required = json_array();

    for (size_t i = json_array_size(columns); i-- > 0;) {
        const json_t *column = json_array_get(columns, i);

        if (is_listed(rule, text_of(column, "name")))
            continue;
        if (json_is_true(json_object_get(column, "needs_value")))
            json_array_append_new(required, json_string(text_of(column, "name")));
        json_array_remove(columns, i);
    }
    json_object_set_new(relation, "required", required);
}

/* Of two tables that would become one, the first goes on (see shaping.c). */
static void report_collision(struct check_report *report, json_t *taken, const char *from,
                             const char *to)
{
    const char *other = json_string_value(json_object_get(taken, to));
    char detail[400];

    if (other == NULL) {
        json_object_set_new(taken, to, json_string(from));
        return;
    }
    snprintf(detail, sizeof detail, "%s would be %s at the target, and so would %s", from, to,
             other);
    check_report_add(report, JOB_SOURCE, "same-target", from, detail);
}

void check_shape_relations(struct check_report *report, const struct config_sync *c,
                           json_t *relations)
{
    struct arena *a = arena_new();
    json_t *taken = json_object();
    size_t i;
    json_t *relation;

    json_array_foreach(relations, i, relation)
    {
        const char *schema = text_of(relation, "schema"), *name = text_of(relation, "name");
        const struct config_rule *rule = config_rules_find(&c->columns, schema, name);
        const char *to_schema, *to_name;

        report_keyless(report, c, relation);
        report_whole(report, c, relation);
        if (rule) {
            report_list(report, rule, relation);
            drop_columns(rule, relation);
        }
        json_object_set_new(
            relation, "fires",
            json_boolean(config_patterns_match(&c->fire_triggers, schema, name, NULL)));
        config_rename(&c->rename, a, schema, name, &to_schema, &to_name);
        to_schema = arena_strdup(a, to_schema);
        to_name = arena_strdup(a, to_name);
        if (c->rename.count > 0)
            report_collision(report, taken, catalog_label(a, schema, name),
                             catalog_label(a, to_schema, to_name));
        json_object_set_new(relation, "schema", json_string(to_schema));
        json_object_set_new(relation, "name", json_string(to_name));
    }
    json_decref(taken);
    arena_free(a);
}

void check_shape_filter(json_t *context, const struct config_sync *c, const char *schema,
                        const char *name)
{
    const struct config_rule *rule = config_rules_find(&c->where, schema, name);
    json_t *filters = json_object_get(context, "filters");

    if (rule == NULL)
        return;
    if (filters == NULL) {
        filters = json_array();
        json_object_set_new(context, "filters", filters);
    }
    json_array_append_new(filters, json_pack("{s:s, s:s, s:s}", "schema", schema, "name", name,
                                             "where", rule->values[0]));
}
