/* Which tables of the source `check` asks about: the patterns of the configuration, held against
 * those that are there. One that a person wrote and that means none is a mistake. */
#include "check_tables.h"

#include "check_merge.h"
#include "check_shape.h"
#include "config_rules.h"
#include "field.h"
#include "mem.h"
#include "shaping.h"

static bool *marks_for(struct arena *a, const struct config_patterns *p)
{
    return arena_alloc(a, sizeof(bool) * (size_t)(p->count + 1));
}

/* False, and the error. */
static bool is_unmatched(struct error *e, const char *pattern, const char *place)
{
    error_set(e, "the pattern %s matches no table of the source", pattern);
    error_hint(e, "%s",
               "Write it as schema.table, in the case of the database; a partition by its root.");
    error_place(e, "%s", place);
    return false;
}

/* False and the error when a pattern that a person wrote matched nothing. */
static bool all_matched(const struct config_patterns *p, const bool *used, struct error *e)
{
    for (int i = 0; i < p->count; i++)
        if (!used[i] && p->places[i] != NULL)
            return is_unmatched(e, p->texts[i], p->places[i]);
    return true;
}

/* The same for the rules about single tables. */
static bool rules_matched(const struct config_sync *c, const PGresult *r, struct error *e)
{
    const struct config_rule *rule = shaping_unused(c, r);

    return rule == NULL || is_unmatched(e, rule->pattern, rule->place);
}

/* Into the context: what the questions about it need. */
static void take_in(const struct config_sync *c, const PGresult *r, int row, json_t *context)
{
    const char *schema = field_text(r, row, "schema");
    const char *name = field_text(r, row, "name");
    bool is_foreign = field_text(r, row, "kind")[0] == 'f';

    if (!is_foreign)
        check_shape_filter(context, c, schema, name);
    check_merge_table(context, c, schema, name);
    json_array_append_new(json_object_get(context, is_foreign ? "foreign" : "source_oids"),
                          json_integer(field_int64(r, row, "oid")));
}

bool check_tables_choose(const struct config_sync *c, const PGresult *r, struct arena *a,
                         json_t *context, struct error *e)
{
    bool *included = marks_for(a, &c->include);
    bool *excluded = marks_for(a, &c->exclude);

    for (int i = 0; i < PQntuples(r); i++)
        if (config_takes_table_marking(c, field_text(r, i, "schema"), field_text(r, i, "name"),
                                       included, excluded))
            take_in(c, r, i, context);
    return all_matched(&c->include, included, e) && all_matched(&c->exclude, excluded, e) &&
           rules_matched(c, r, e);
}
