/* Values of options: one parser and one printer per type.
 *
 * Always true: an error never shows a text into which something was put for ${...}, nor a URL. */
#include "config_value.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "config_pattern.h"
#include "config_rules.h"
#include "config_url.h"
#include "words.h"

struct value_unit {
    const char *name;
    double size;
};

/* Rising sizes; printing takes the largest that leaves a whole number. */
static const struct value_unit byte_units[] = {
    {"", 1},         {"B", 1},       {"kB", 0x1p10},  {"KB", 0x1p10},
    {"KiB", 0x1p10}, {"MB", 0x1p20}, {"MiB", 0x1p20}, {"GB", 0x1p30},
    {"GiB", 0x1p30}, {"TB", 0x1p40}, {"TiB", 0x1p40}, {NULL, 0},
};
static const struct value_unit rate_units[] = {
    {"B/s", 1},        {"kB/s", 0x1p10}, {"KB/s", 0x1p10},  {"KiB/s", 0x1p10}, {"MB/s", 0x1p20},
    {"MiB/s", 0x1p20}, {"GB/s", 0x1p30}, {"GiB/s", 0x1p30}, {NULL, 0},
};
static const struct value_unit time_units[] = {
    {"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {NULL, 0},
};
static const struct value_unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct value_unit *units_of(enum option_type type)
{
    if (type == OPTION_BYTES)
        return byte_units;
    if (type == OPTION_RATE)
        return rate_units;
    return type == OPTION_DURATION ? time_units : no_units;
}

static const char *type_name(enum option_type type)
{
    switch (type) {
    case OPTION_BYTES:
        return "a size such as 256MB";
    case OPTION_RATE:
        return "a rate such as 50MB/s";
    case OPTION_DURATION:
        return "a duration such as 200ms, 5s, 10m or 1h";
    case OPTION_BOOL:
        return "true or false";
    case OPTION_NAME:
        return "a name of letters, digits, \"_\", \"-\" and \".\", at most 63";
    case OPTION_URL:
        return "a PostgreSQL URL or conninfo string";
    case OPTION_COMMAND:
        return "a program with its arguments";
    case OPTION_ADDRESS:
        return "none or address:port, with a numeric address: 127.0.0.1:8080, \"[::]:8080\"";
    case OPTION_PATH:
        return "the path of a file";
    case OPTION_INT:
    case OPTION_COUNT:
        return "a whole number";
    case OPTION_GROUP:
    case OPTION_DATABASES:
    case OPTION_SYNCS:
    case OPTION_DATABASE:
    case OPTION_WORD:
    case OPTION_ENUM:
    case OPTION_POLICY:
    case OPTION_POLICIES:
    case OPTION_PATTERNS:
    case OPTION_TEXTS:
    case OPTION_LISTS:
    case OPTION_RENAMES:
    case OPTION_REFRESH:
        break;
    }
    return "one of these";
}

static void *field(const struct config_option *o, void *base)
{
    return (char *)base + o->offset;
}

static bool fail_type(const struct config_option *o, const struct config_text *t, struct error *e)
{
    if (t->is_secret)
        return error_set(e, "%s: what was put in for ${...} is not %s", o->path,
                         type_name(o->type));
    return error_set(e, "%s: \"%s\" is not %s", o->path, t->text, type_name(o->type));
}

/* ---------------------------------------------------------------- numbers */

/* A number with a unit, in the unit's base. */
static bool parse_number(const char *text, const struct value_unit *units, double *n)
{
    char *rest;
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || digits > 18 || strchr("0123456789", text[0]) == NULL)
        return false;
    *n = strtod(text, &rest);
    if (rest != text + digits)
        return false;
    if (*n == 0 && *rest == '\0')
        return true; /* zero needs no unit */
    rest += strspn(rest, " ");
    for (; units->name != NULL; units++) {
        if (strcmp(rest, units->name) == 0) {
            *n *= units->size;
            return true;
        }
    }
    return false;
}

static void append_number(struct buf *b, double n, enum option_type type)
{
    const struct value_unit *units = units_of(type), *best = units;
    if (n == 0) {
        buf_text(b, "0");
        return;
    }
    for (const struct value_unit *u = units; u->name != NULL; u++) {
        double count = n / u->size;
        if (u->size > best->size && fabs(count - round(count)) < 1e-9 && count >= 1)
            best = u;
    }
    buf_printf(b, "%.15g%s", n / best->size, best->name);
}

static bool check_range(const struct config_option *o, double n, struct error *e)
{
    if (n >= o->min && n <= o->max)
        return true;
    struct buf low, high;
    buf_init(&low);
    buf_init(&high);
    append_number(&low, o->min, o->type);
    append_number(&high, o->max, o->type);
    error_set(e, "%s must be from %s to %s", o->path, low.data, high.data);
    buf_fini(&low);
    buf_fini(&high);
    return false;
}

static bool set_number(const struct config_option *o, void *to, const struct config_text *t,
                       struct error *e)
{
    double n;
    bool must_be_whole = o->type == OPTION_INT || o->type == OPTION_COUNT;
    if (!parse_number(t->text, units_of(o->type), &n) || (must_be_whole && n != floor(n)))
        return fail_type(o, t, e);
    if (!check_range(o, n, e))
        return false;
    if (o->type == OPTION_DURATION)
        *(double *)to = n;
    else if (o->type == OPTION_INT)
        *(int *)to = (int)n;
    else
        *(int64_t *)to = (int64_t)n;
    return true;
}

/* ---------------------------------------------------------------- words and names */

static bool set_bool(const struct config_option *o, bool *to, const struct config_text *t,
                     struct error *e)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", NULL};
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(t->text, words[i]) == 0) {
            *to = i % 2 == 1;
            return true;
        }
    }
    return fail_type(o, t, e);
}

/* The index of the text in the row's words; -1 and the error when it is none of them. */
static int find_word(const struct config_option *o, const struct config_text *t, struct error *e)
{
    struct buf known;
    for (int i = 0; o->words[i] != NULL; i++) {
        if (strcmp(t->text, o->words[i]) == 0)
            return i;
    }
    fail_type(o, t, e);
    buf_init(&known);
    for (int i = 0; o->words[i] != NULL; i++)
        buf_printf(&known, "%s%s", i > 0 ? ", " : "", o->words[i]);
    error_hint(e, "It can be: %s.", known.data);
    buf_fini(&known);
    return -1;
}

static bool set_enum(const struct config_option *o, int *to, const struct config_text *t,
                     struct error *e)
{
    int i = find_word(o, t, e);
    if (i < 0)
        return false;
    *to = i;
    return true;
}

/* A policy, or the name of a function in a schema. */
static bool set_policy(const struct config_option *o, const char **to, const struct config_text *t,
                       struct error *e)
{
    if (strchr(t->text, '.') == NULL && find_word(o, t, e) < 0) {
        error_hint(e, "%s",
                   "It can be: latest, source, target, skip, abort, or a function at the "
                   "target, as schema.name.");
        return false;
    }
    *to = t->text;
    return true;
}

static bool set_name(const struct config_option *o, const char **to, const struct config_text *t,
                     struct error *e)
{
    size_t good = strspn(t->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-.");
    if (good == 0 || good > 63 || t->text[good] != '\0')
        return fail_type(o, t, e);
    *to = t->text;
    return true;
}

static bool set_url(const struct config_option *o, struct config_database *d,
                    const struct config_text *t, struct error *e)
{
    if (!config_url_check(t->text, o->path, type_name(o->type), e))
        return false;
    d->url = t->text;
    d->url_template = t->template;
    return true;
}

/* Everybody can read a process's arguments, so no secret goes there. */
static bool set_command(const struct config_option *o, const char **to, const struct config_text *t,
                        struct arena *a, struct error *e)
{
    struct error why;
    error_clear(&why);
    if (t->is_secret) {
        error_set(e, "%s cannot hold ${...}: the arguments of a program are no secret", o->path);
        error_hint(e, "It has our environment: let it read the variable or the file by itself.");
        return false;
    }
    if (words_split(a, t->text, &why) == NULL) {
        error_set(e, "%s is not %s: %s", o->path, type_name(o->type), why.what);
        return false;
    }
    *to = t->text;
    return true;
}

static bool set_address(const struct config_option *o, const char **to, const struct config_text *t,
                        struct error *e)
{
    struct address a;
    if (strcmp(t->text, "none") != 0 && !address_parse(t->text, &a))
        return fail_type(o, t, e);
    *to = t->text;
    return true;
}

static bool set_path(const struct config_option *o, const char **to, const struct config_text *t,
                     struct error *e)
{
    if (t->text[0] == '\0')
        return fail_type(o, t, e);
    *to = t->text;
    return true;
}

/* ---------------------------------------------------------------- lists */

static void add_pattern(struct config_patterns *p, const struct config_text *t, struct arena *a)
{
    bool is_full = (p->count & (p->count - 1)) == 0; /* at 0, 1, 2, 4, 8, ... */
    if (is_full) {
        size_t size = (size_t)(p->count > 0 ? p->count * 2 : 1);
        const char **texts = arena_alloc(a, size * sizeof *texts);
        const char **places = arena_alloc(a, size * sizeof *places);
        for (int i = 0; i < p->count; i++) {
            texts[i] = p->texts[i];
            places[i] = p->places[i];
        }
        p->texts = texts;
        p->places = places;
    }
    p->texts[p->count] = t->text;
    p->places[p->count] = t->place;
    p->count++;
}

static bool add_refresh(const struct config_option *o, struct config_sync *s,
                        const struct config_text *t, struct error *e)
{
    int i = find_word(o, t, e);
    if (i == 0)
        s->matview_initial = true;
    else if (i == 1)
        s->matview_on_change = true;
    return i >= 0;
}

bool config_value_add_policy(const struct config_option *o, struct config_sync *s,
                             const struct config_text *pattern, const struct config_text *policy,
                             struct arena *a, struct error *e)
{
    int n = s->conflict_tables.count;
    const char **policies = arena_alloc(a, sizeof *policies * (size_t)(n + 1));
    for (int i = 0; i < n; i++)
        policies[i] = s->conflict_policies[i];
    bool is_pattern = config_pattern_check(pattern->text, e);
    if (!is_pattern || !set_policy(o, &policies[n], policy, e)) {
        error_place(e, "%s", is_pattern ? policy->place : pattern->place);
        return false;
    }
    s->conflict_policies = policies;
    add_pattern(&s->conflict_tables, pattern, a);
    return true;
}

bool config_value_is_list(const struct config_option *o)
{
    return o->type == OPTION_PATTERNS || o->type == OPTION_REFRESH;
}

void config_value_empty(const struct config_option *o, void *base)
{
    if (o->type == OPTION_PATTERNS) {
        struct config_patterns *p = field(o, base);
        p->count = 0;
    } else {
        struct config_sync *s = base;
        s->matview_initial = false;
        s->matview_on_change = false;
        s->matview_every_s = 0;
    }
}

/* ---------------------------------------------------------------- set */

static bool set_field(const struct config_option *o, void *base, const struct config_text *t,
                      struct arena *a, struct error *e)
{
    void *to = field(o, base);
    switch (o->type) {
    case OPTION_NAME:
        return set_name(o, to, t, e);
    case OPTION_URL:
        return set_url(o, to, t, e);
    case OPTION_COMMAND:
        return set_command(o, to, t, a, e);
    case OPTION_ADDRESS:
        return set_address(o, to, t, e);
    case OPTION_PATH:
        return set_path(o, to, t, e);
    case OPTION_BOOL:
        return set_bool(o, to, t, e);
    case OPTION_INT:
    case OPTION_COUNT:
    case OPTION_BYTES:
    case OPTION_RATE:
    case OPTION_DURATION:
        return set_number(o, to, t, e);
    case OPTION_ENUM:
        return set_enum(o, to, t, e);
    case OPTION_REFRESH:
        return add_refresh(o, base, t, e);
    case OPTION_POLICY:
        return set_policy(o, to, t, e);
    case OPTION_WORD:
        if (find_word(o, t, e) < 0)
            return false;
        *(const char **)to = t->text;
        return true;
    case OPTION_PATTERNS:
        if (!config_pattern_check(t->text, e))
            return false;
        add_pattern(to, t, a);
        return true;
    case OPTION_GROUP:
    case OPTION_DATABASES:
    case OPTION_SYNCS:
    case OPTION_POLICIES:
    case OPTION_DATABASE:
    case OPTION_TEXTS:
    case OPTION_LISTS:
    case OPTION_RENAMES:
        break;
    }
    abort(); /* a bug: these are not set from one text */
}

bool config_value_set(const struct config_option *o, void *base, const struct config_text *t,
                      struct arena *a, struct error *e)
{
    if (set_field(o, base, t, a, e))
        return true;
    if (t->place != NULL)
        error_place(e, "%s", t->place);
    return false;
}

void config_value_default(const struct config_option *o, void *base, struct arena *a)
{
    struct config_text t = {.text = o->standard};
    struct error e;
    error_clear(&e);
    if (config_value_is_list(o))
        config_value_empty(o, base);
    if (config_value_is_list(o) && t.text[0] == '\0')
        return;
    if (!config_value_set(o, base, &t, a, &e)) {
        error_print(&e);
        abort(); /* a bug: the table's default is not a value of its type */
    }
}

/* ---------------------------------------------------------------- print */

void config_value_quote(struct buf *b, const char *s)
{
    json_t *string = json_string(s);
    char *text = string != NULL ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    buf_text(b, text != NULL ? text : "\"(not valid UTF-8)\"");
    free(text);
    json_decref(string);
}

static void append_policies(struct buf *b, const struct config_sync *s)
{
    for (int i = 0; i < s->conflict_tables.count; i++) {
        buf_text(b, i > 0 ? ", " : "{");
        config_value_quote(b, s->conflict_tables.texts[i]);
        buf_printf(b, ": %s", s->conflict_policies[i]);
    }
    if (s->conflict_tables.count > 0)
        buf_text(b, "}");
}

static void append_refresh(struct buf *b, const struct config_sync *s)
{
    const char *between = "";
    buf_text(b, "[");
    if (s->matview_initial) {
        buf_text(b, "initial");
        between = ", ";
    }
    if (s->matview_on_change) {
        buf_printf(b, "%son-change", between);
        between = ", ";
    }
    if (s->matview_every_s > 0) {
        buf_printf(b, "%s{every: ", between);
        append_number(b, s->matview_every_s, OPTION_DURATION);
        buf_text(b, "}");
    }
    buf_text(b, "]");
}

static void append_string(struct buf *b, const char *s)
{
    if (s != NULL)
        config_value_quote(b, s);
}

void config_value_print(const struct config_option *o, const void *base, struct buf *b)
{
    const void *from = (const char *)base + o->offset;
    switch (o->type) {
    case OPTION_NAME:
    case OPTION_ADDRESS:
    case OPTION_PATH:
    case OPTION_COMMAND:
        append_string(b, *(const char *const *)from);
        break;
    case OPTION_URL:
        if (((const struct config_database *)from)->url != NULL)
            config_url_print(b, ((const struct config_database *)from)->url);
        break;
    case OPTION_DATABASE:
        if (*(struct config_database *const *)from != NULL)
            append_string(b, (*(struct config_database *const *)from)->name);
        break;
    case OPTION_BOOL:
        buf_text(b, *(const bool *)from ? "true" : "false");
        break;
    case OPTION_INT:
        append_number(b, *(const int *)from, o->type);
        break;
    case OPTION_COUNT:
    case OPTION_BYTES:
    case OPTION_RATE:
        append_number(b, (double)*(const int64_t *)from, o->type);
        break;
    case OPTION_DURATION:
        append_number(b, *(const double *)from, o->type);
        break;
    case OPTION_WORD:
    case OPTION_POLICY:
        buf_text(b, *(const char *const *)from);
        break;
    case OPTION_POLICIES:
        append_policies(b, base);
        break;
    case OPTION_ENUM:
        buf_text(b, o->words[*(const int *)from]);
        break;
    case OPTION_PATTERNS:
        config_patterns_print(from, b);
        break;
    case OPTION_TEXTS:
    case OPTION_RENAMES:
    case OPTION_LISTS:
        config_rules_print(from, o->type == OPTION_LISTS, b);
        break;
    case OPTION_REFRESH:
        append_refresh(b, base);
        break;
    case OPTION_GROUP:
    case OPTION_DATABASES:
    case OPTION_SYNCS:
        break;
    }
}
