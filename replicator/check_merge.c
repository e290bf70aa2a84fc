/* Merging, as `check` sees it: the counters' names go into the question; the source knows the
 * columns. The daemon asks its own question: lead_merge.c. */
#include "check_merge.h"

#include "config_rules.h"

static void add_counters(json_t *context, const struct config_rule *rule, const char *schema,
                         const char *name)
{
    json_t *counters = json_object_get(context, "counters");
    json_t *columns = json_array();

    if (counters == NULL) {
        counters = json_array();
        json_object_set_new(context, "counters", counters);
    }
    for (int i = 0; i < rule->count; i++)
        json_array_append_new(columns, json_string(rule->values[i]));
    json_array_append_new(
        counters, json_pack("{s:s, s:s, s:o}", "schema", schema, "name", name, "columns", columns));
}

void check_merge_table(json_t *context, const struct config_sync *c, const char *schema,
                       const char *name)
{
    const struct config_rule *rule = config_rules_find(&c->counters, schema, name);

    if (rule && c->mode == CONFIG_TWO_WAY)
        add_counters(context, rule, schema, name);
}
