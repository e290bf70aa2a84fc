/* The rules about single tables, as read from a file, and which of them counts for a table. Pure.
 */
#include "config_rules.h"

#include <string.h>

#include "config_value.h"

/* ------------------------------------------------------------------ making */

struct config_rule *config_rules_add(struct config_rules *r, const char *pattern, const char *place,
                                     struct arena *a)
{
    struct config_rule *grown = arena_alloc(a, sizeof *grown * (size_t)(r->count + 1));

    if (r->count > 0)
        memcpy(grown, r->rules, sizeof *grown * (size_t)r->count);
    r->rules = grown;
    grown[r->count] = (struct config_rule){.pattern = pattern, .place = place};
    return &grown[r->count++];
}

void config_rule_say(struct config_rule *r, const char *value, struct arena *a)
{
    const char **grown = arena_alloc(a, sizeof *grown * (size_t)(r->count + 1));

    if (r->count > 0)
        memcpy(grown, r->values, sizeof *grown * (size_t)r->count);
    r->values = grown;
    grown[r->count++] = value;
}

/* ------------------------------------------------------------------ renaming */

/* The inside of double quotes, behind the first: "" is one of them. NULL when they do not end. */
static const char *read_quoted(const char *s, char *out)
{
    for (; *s; s++) {
        if (*s == '"' && *++s != '"') {
            *out = '\0';
            return s;
        }
        *out++ = *s;
    }
    return NULL;
}

/* One part of a name, without its quotes, into `out` (as long as the text and one more). NULL when
 * it is none; else what follows. A bare * is a part by itself. */
static const char *read_part(const char *s, char *out, bool *is_any)
{
    size_t len = strcspn(s, ".");

    *is_any = len == 1 && *s == '*';
    if (*s == '"') {
        s = read_quoted(s + 1, out);
        return *out == '\0' ? NULL : s;
    }
    if (len == 0 || (!*is_any && strcspn(s, "*?\"") < len))
        return NULL;
    memcpy(out, s, len);
    out[len] = '\0';
    return s + len;
}

/* schema.table or schema.*; the parts live in `a`. */
static bool read_name(const char *text, struct arena *a, const char **schema, const char **table)
{
    char *first = arena_alloc(a, strlen(text) + 1);
    char *second = arena_alloc(a, strlen(text) + 1);
    bool is_any;
    const char *rest = read_part(text, first, &is_any);

    if (rest == NULL || is_any || *rest != '.')
        return false;
    rest = read_part(rest + 1, second, &is_any);
    *schema = first;
    *table = is_any ? NULL : second;
    return rest && *rest == '\0';
}

bool config_rename_check(const char *from, const char *to, struct error *e)
{
    struct arena *a = arena_new();
    const char *schema, *table, *to_schema, *to_table;
    bool ok = read_name(from, a, &schema, &table) && read_name(to, a, &to_schema, &to_table) &&
              (table == NULL) == (to_table == NULL);

    arena_free(a);
    if (ok)
        return true;
    error_set(e, "%s: %s is no renaming of a table or a schema", from, to);
    error_hint(e, "%s",
               "Write \"shop.item\": \"store.thing\" or \"shop.*\": \"store.*\"; names with "
               "dots or wildcards in double quotes.");
    return false;
}

bool config_rename_means(const struct config_rule *r, const char *schema, const char *table)
{
    struct arena *a = arena_new();
    const char *from_schema, *from_table;
    bool means = read_name(r->pattern, a, &from_schema, &from_table) &&
                 strcmp(from_schema, schema) == 0 &&
                 (from_table == NULL || strcmp(from_table, table) == 0);

    arena_free(a);
    return means;
}

void config_rename(const struct config_rules *r, struct arena *a, const char *schema,
                   const char *table, const char **to_schema, const char **to_table)
{
    *to_schema = schema;
    *to_table = table;
    for (int i = 0; i < r->count; i++) {
        if (!config_rename_means(&r->rules[i], schema, table))
            continue;
        read_name(r->rules[i].values[0], a, to_schema, to_table);
        if (*to_table == NULL)
            *to_table = table;
        return;
    }
}

/* ------------------------------------------------------------------ finding and printing */

const struct config_rule *config_rules_find(const struct config_rules *r, const char *schema,
                                            const char *table)
{
    for (int i = 0; i < r->count; i++) {
        struct config_patterns one = {.count = 1, .texts = &r->rules[i].pattern};

        if (config_patterns_match(&one, schema, table, NULL))
            return &r->rules[i];
    }
    return NULL;
}

static void print_list(const char *const *texts, int count, struct buf *b)
{
    buf_text(b, "[");
    for (int i = 0; i < count; i++) {
        buf_text(b, i > 0 ? ", " : "");
        config_value_quote(b, texts[i]);
    }
    buf_text(b, "]");
}

void config_patterns_print(const struct config_patterns *p, struct buf *b)
{
    print_list(p->texts, p->count, b);
}

void config_rules_print(const struct config_rules *r, bool is_list, struct buf *b)
{
    for (int i = 0; i < r->count; i++) {
        buf_text(b, i > 0 ? ", " : "{");
        config_value_quote(b, r->rules[i].pattern);
        buf_text(b, ": ");
        if (is_list)
            print_list(r->rules[i].values, r->rules[i].count, b);
        else
            config_value_quote(b, r->rules[i].values[0]);
    }
    buf_text(b, r->count > 0 ? "}" : "");
}
