/* Rules about single tables: a mapping from a pattern to what is said about the tables it means.
 *
 * tables.rename, tables.columns, tables.where and conflict.counters are such mappings. Of several
 * that mean a table the first counts. */
#ifndef CONFIG_RULES_H
#define CONFIG_RULES_H

#include <stdbool.h>

#include "buf.h"
#include "config.h"

struct config_rule {
    const char *pattern; /* as in config.h; of tables.rename: a name, or schema.* */
    const char *place;   /* file:line:column, for errors */
    int count;
    const char **values; /* what is said: one text, or the items of a list */
};

/* Adds an empty rule; the strings live as long as `a`. */
struct config_rule *config_rules_add(struct config_rules *r, const char *pattern, const char *place,
                                     struct arena *a);
void config_rule_say(struct config_rule *r, const char *value, struct arena *a);
/* Do both sides of a renaming make sense? False and the error. */
bool config_rename_check(const char *from, const char *to, struct error *e);
/* The rule about a table, NULL when there is none. */
const struct config_rule *config_rules_find(const struct config_rules *r, const char *schema,
                                            const char *table);
/* How the table is called at the target: by the first rule that means it, else as it is. */
void config_rename(const struct config_rules *r, struct arena *a, const char *schema,
                   const char *table, const char **to_schema, const char **to_table);
/* Does the rule of a renaming mean the table? */
bool config_rename_means(const struct config_rule *r, const char *schema, const char *table);
/* Appends them as they would stand in a file; nothing when there are none. */
void config_rules_print(const struct config_rules *r, bool is_list, struct buf *b);
/* The same for a list of patterns. */
void config_patterns_print(const struct config_patterns *p, struct buf *b);

#endif
