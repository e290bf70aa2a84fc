/* What the table of options prints: the effective configuration and the sample. */
#include <stdio.h>
#include <string.h>

#include "config_option.h"
#include "config_value.h"
#include "config_yaml.h"

enum { PRINT_WIDTH = 80, PRINT_INDENT = 2 };

struct printer {
    struct buf *out;
    bool is_sample;  /* with examples for what is not set */
    bool is_comment; /* with each option's help above it */
};

static void indent(const struct printer *p, int columns)
{
    buf_printf(p->out, "%*s", columns, "");
}

/* A text as comment lines, broken between words. */
static void print_comment(const struct printer *p, const char *text, int columns)
{
    size_t width = (size_t)(PRINT_WIDTH - columns - 2);
    while (*text != '\0') {
        size_t n = strlen(text);
        if (n > width) {
            n = width;
            while (n > 0 && text[n] != ' ')
                n--;
        }
        indent(p, columns);
        buf_printf(p->out, "# %.*s\n", (int)n, text);
        text += n;
        text += strspn(text, " ");
    }
}

/* The value as a file would have it; empty when it is not set. */
static void value_text(const struct printer *p, const struct config_option *o, const void *base,
                       struct buf *value)
{
    const void *from = (const char *)base + o->offset;
    buf_text(value, "");
    const char *url = o->type == OPTION_URL ? ((const struct config_database *)from)->url : NULL;
    if (p->is_sample && url != NULL)
        config_value_quote(value, url); /* ${...}, not a URL */
    else
        config_value_print(o, base, value);
}

static void print_value(const struct printer *p, const struct config_option *o, const void *base,
                        int columns)
{
    size_t len;
    const char *key = config_option_key(o, &len);
    struct buf value;
    buf_init(&value);
    value_text(p, o, base, &value);
    bool is_set = value.len > 0;
    if (!is_set && p->is_sample && o->example != NULL && o->example[0] == '{')
        buf_text(&value, o->example);
    else if (!is_set && p->is_sample && o->example != NULL)
        config_value_quote(&value, o->example);
    if (value.len > 0) {
        indent(p, columns);
        buf_printf(p->out, "%s%.*s: %s\n", is_set ? "" : "# ", (int)len, key, value.data);
    }
    buf_fini(&value);
}

static void print_group(const struct printer *p, const struct config_option *parent,
                        const void *base, int columns);

/* Comments stand at the first one only. */
static void print_databases(const struct printer *p, const struct config_option *o,
                            const struct config *c)
{
    struct printer q = *p;
    buf_text(p->out, list_is_empty(&c->databases) ? "databases: {}\n" : "databases:\n");
    for (struct list *i = c->databases.next; i != &c->databases; i = i->next) {
        const struct config_database *d = container_of(i, struct config_database, in_config);
        indent(p, PRINT_INDENT);
        config_value_quote(p->out, d->name);
        buf_text(p->out, ":\n");
        print_group(&q, o, d, 2 * PRINT_INDENT);
        q.is_comment = false;
    }
}

static void print_syncs(const struct printer *p, const struct config_option *o,
                        const struct config *c)
{
    buf_text(p->out, "syncs:\n");
    for (struct list *i = c->syncs.next; i != &c->syncs; i = i->next) {
        size_t start = p->out->len;
        print_group(p, o, container_of(i, struct config_sync, in_config), 2 * PRINT_INDENT);
        p->out->data[start + PRINT_INDENT] = '-'; /* in the first line's indentation */
    }
}

static void print_option(const struct printer *p, const struct config_option *o, const void *base,
                         int columns)
{
    size_t len;
    const char *key = config_option_key(o, &len);
    if (o->type == OPTION_DATABASES) {
        print_databases(p, o, base);
    } else if (o->type == OPTION_SYNCS) {
        print_syncs(p, o, base);
    } else if (o->type == OPTION_GROUP) {
        indent(p, columns);
        buf_printf(p->out, "%.*s:\n", (int)len, key);
        print_group(p, o, base, columns + PRINT_INDENT);
    } else {
        print_value(p, o, base, columns);
    }
}

static void print_group(const struct printer *p, const struct config_option *parent,
                        const void *base, int columns)
{
    for (const struct config_option *o = config_options; o->path != NULL; o++) {
        if (!config_option_is_child(o, parent))
            continue;
        if (p->is_comment && columns == 0)
            buf_text(p->out, "\n");
        if (p->is_comment)
            print_comment(p, o->help, columns);
        print_option(p, o, base, columns);
    }
}

void config_print(const struct config *c)
{
    struct buf out;
    struct printer p = {.out = &out};
    buf_init(&out);
    buf_text(&out, "# The effective configuration. Passwords are not shown.\n");
    print_group(&p, NULL, c, 0);
    fputs(out.data, stdout);
    buf_fini(&out);
}

/* ---------------------------------------------------------------- the sample */

/* A configuration of two databases and one sync in which everything else has its default. */
static struct config *sample(void)
{
    struct config *c = config_new();
    struct config_database *source = config_yaml_add_database(c, "source");
    struct config_database *target = config_yaml_add_database(c, "target");
    struct config_sync *s = config_yaml_add_sync(c);
    source->url = "${SOURCE_URL}";
    target->url = "${TARGET_URL}";
    s->source = source;
    s->target = target;
    return c;
}

void config_print_sample(void)
{
    struct buf out;
    struct printer p = {.out = &out, .is_sample = true, .is_comment = true};
    struct config *c = sample();
    buf_init(&out);
    buf_text(&out, "# Every option of Rebeco with its default. What is left out has this default; "
                   "an\n# unknown key is an error. Printed by `rebeco config sample`.\n");
    print_group(&p, NULL, c, 0);
    fputs(out.data, stdout);
    buf_fini(&out);
    config_free(c);
}
