/* Shaping. A relation that is shaped looks like a smaller table to everything behind it: its
 * columns are the listed ones, its layout speaks of those only. The layout also says what was
 * taken, so that a table is copied again when that changes. */
#include "shaping.h"

#include <stdlib.h>
#include <string.h>

#include "config_rules.h"
#include "field.h"

/* ------------------------------------------------------------------ columns */

static bool is_listed(const struct config_rule *rule, const char *column)
{
    for (int i = 0; i < rule->count; i++)
        if (strcmp(rule->values[i], column) == 0)
            return true;
    return false;
}

static const char *first_missing(const struct relation *r, const struct config_rule *rule)
{
    for (int i = 0; i < rule->count; i++)
        if (relation_column(r, rule->values[i]) == NULL)
            return rule->values[i];
    return NULL;
}

static void note_trouble(struct arena *a, struct relation *r, const struct config_rule *rule)
{
    const char *missing = first_missing(r, rule);

    if (missing) {
        r->trouble =
            arena_printf(a, "tables.columns takes column \"%s\" of %s, which it does not have",
                         missing, r->label);
        r->trouble_hint = "mend tables.columns in the configuration, and start again";
    }
    for (int i = 0; i < r->key_count; i++)
        if (!is_listed(rule, r->key[i])) {
            r->trouble = arena_printf(a, "tables.columns leaves out \"%s\", a key column of %s",
                                      r->key[i], r->label);
            r->trouble_hint = "add it to tables.columns in the configuration, and start again";
        }
}

/* The listed ones keep their order; the others come last, out of everybody's sight. */
static void choose_columns(struct arena *a, struct relation *r, const struct config_rule *rule)
{
    struct column *chosen = arena_alloc(a, sizeof *chosen * (size_t)(r->all_count + 1));
    int listed = 0, travelling = 0, at = 0;

    note_trouble(a, r, rule);
    for (int i = 0; i < r->all_count; i++)
        if (is_listed(rule, r->columns[i].name)) {
            chosen[at++] = r->columns[i];
            listed++;
            travelling += i < r->column_count;
        }
    for (int i = 0; i < r->all_count; i++)
        if (!is_listed(rule, r->columns[i].name))
            chosen[at++] = r->columns[i];
    r->left_out_count = r->all_count - listed;
    r->columns = chosen;
    r->column_count = travelling;
    r->all_count = listed;
}

/* ------------------------------------------------------------------ layouts */

static json_t *taken(const struct relation *r)
{
    json_t *columns = json_array();

    for (int i = 0; r->left_out_count > 0 && i < r->all_count; i++)
        json_array_append_new(columns, json_string(r->columns[i].name));
    return json_pack("{s:o, s:s?}", "columns", columns, "where", r->where);
}

const char *shaping_layout(struct arena *a, const struct relation *r, const char *layout)
{
    json_t *doc = layout ? json_loads(layout, 0, NULL) : NULL;
    json_t *columns = json_object_get(doc, "columns");
    const char *shaped = layout;
    char *text;

    if (doc == NULL || (r->left_out_count == 0 && r->where == NULL)) {
        json_decref(doc);
        return layout;
    }
    for (int i = r->all_count; i < r->all_count + r->left_out_count; i++)
        json_object_del(columns, r->columns[i].name);
    json_object_set_new(doc, "taken", taken(r));
    text = json_dumps(doc, JSON_COMPACT);
    shaped = arena_strdup(a, text);
    free(text);
    json_decref(doc);
    return shaped;
}

/* ------------------------------------------------------------------ all of it */

/* Rows are told apart by their key when only a part of the table is taken. */
static void note_keyless(struct arena *a, struct relation *r, const struct config_sync *c)
{
    if (r->key_count > 0 && !config_patterns_match(&c->whole, r->schema, r->name, NULL))
        return;
    r->trouble = arena_printf(
        a, "only a part of %s is to be taken, but it is not followed by a key", r->label);
    r->trouble_hint = "give it a primary key, and take it out of tables.whole; or take it out of "
                      "tables.columns and tables.where";
}

static void shape(struct arena *a, struct relation *r, const struct config_sync *c)
{
    const struct config_rule *columns = config_rules_find(&c->columns, r->schema, r->name);
    const struct config_rule *where = config_rules_find(&c->where, r->schema, r->name);

    config_rename(&c->rename, a, r->schema, r->name, &r->target_schema, &r->target_name);
    r->target_label = catalog_label(a, r->target_schema, r->target_name);
    if (columns)
        choose_columns(a, r, columns);
    r->where = where ? where->values[0] : NULL;
    if (columns || where)
        note_keyless(a, r, c);
    r->layout = shaping_layout(a, r, r->layout);
}

bool shaping_wants(const struct config_sync *c, const struct relation *r)
{
    return config_takes_table(c, r->schema, r->name);
}

static int compare_target_names(const struct relation *a, const struct relation *b)
{
    int by_schema = strcmp(a->target_schema, b->target_schema);

    return by_schema ? by_schema : strcmp(a->target_name, b->target_name);
}

static int compare_targets(const void *a, const void *b)
{
    const struct relation *x = *(struct relation *const *)a, *y = *(struct relation *const *)b;
    int by_name = compare_target_names(x, y);

    return by_name ? by_name : (x > y) - (x < y);
}

/* Two tables of the sync that would become one: the first of them by name goes on. */
static void note_collisions(struct catalog *source, const struct config_sync *c)
{
    struct relation **wanted =
        arena_alloc(source->arena, sizeof *wanted * (size_t)(source->count + 1));
    int count = 0;

    for (int i = 0; i < source->count; i++)
        if (shaping_wants(c, &source->relations[i]))
            wanted[count++] = &source->relations[i];
    qsort(wanted, (size_t)count, sizeof *wanted, compare_targets);
    for (int first = 0, i = 1; i < count; i++) {
        if (compare_target_names(wanted[first], wanted[i]) != 0) {
            first = i;
            continue;
        }
        wanted[i]->trouble =
            arena_printf(source->arena, "%s and %s have the same name at the target",
                         wanted[first]->label, wanted[i]->label);
        wanted[i]->trouble_hint = "mend tables.rename in the configuration, and start again";
    }
}

void shaping_apply(struct catalog *source, const struct config_sync *c)
{
    if (source == NULL)
        return;
    if (c->rename.count == 0 && c->columns.count == 0 && c->where.count == 0)
        return;
    for (int i = 0; i < source->count; i++)
        shape(source->arena, &source->relations[i], c);
    if (c->rename.count > 0)
        note_collisions(source, c);
}

static bool means_any(const struct config_rule *rule, bool is_rename, const PGresult *r)
{
    const char *pattern = rule->pattern;
    struct config_patterns one = {.count = 1, .texts = &pattern};

    for (int i = 0; i < PQntuples(r); i++) {
        const char *schema = field_text(r, i, "schema"), *table = field_text(r, i, "name");

        if (is_rename ? config_rename_means(rule, schema, table)
                      : config_patterns_match(&one, schema, table, NULL))
            return true;
    }
    return false;
}

const struct config_rule *shaping_unused(const struct config_sync *c, const PGresult *r)
{
    const struct config_rules *all[] = {&c->rename, &c->columns, &c->where, &c->counters};

    for (int k = 0; k < 4; k++)
        for (int i = 0; i < all[k]->count; i++)
            if (!means_any(&all[k]->rules[i], k == 0, r))
                return &all[k]->rules[i];
    return NULL;
}
