/* Values of options: from text into the configuration's structs, and back into text. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "buf.h"
#include "config_option.h"

/* A value as it stands in a file, after ${...} was replaced. */
struct config_text {
    const char *text;     /* owned by the configuration's arena, or literal */
    const char *place;    /* file:line:column; NULL for a default */
    const char *template; /* of what holds ${file:...}: the text as it stands; else NULL */
    bool is_secret;       /* something was put in for ${...}: errors do not show the text */
};

/* Replaces ${VAR}, ${file:/path} and $${ in `raw` (which has no '\0' inside) and puts the result
 * into `t`. False and the error when a variable is not set or a file cannot be read. */
bool config_value_expand(const char *raw, struct config_text *t, struct arena *a, struct error *e);
/* Sets the row's field in the struct at `base`; for a list, appends one item. Not for
 * OPTION_DATABASE, which needs to know all databases, and not for groups. False and the error (with
 * its place) when the text is no such value. */
bool config_value_set(const struct config_option *o, void *base, const struct config_text *t,
                      struct arena *a, struct error *e);
/* Appends a pattern and its policy. False and the error when either is none. */
bool config_value_add_policy(const struct config_option *o, struct config_sync *s,
                             const struct config_text *pattern, const struct config_text *policy,
                             struct arena *a, struct error *e);
/* Empties a list's field, before its items are added. */
void config_value_empty(const struct config_option *o, void *base);
/* Sets the default, which the row has. */
void config_value_default(const struct config_option *o, void *base, struct arena *a);
/* Appends the field's value as it would stand in a file, secrets replaced by ***. Appends nothing
 * for groups and for what is not set. */
void config_value_print(const struct config_option *o, const void *base, struct buf *b);
/* Appends a text as a YAML (and JSON) string in double quotes. */
void config_value_quote(struct buf *b, const char *s);
/* Whether items of the row stand in a list. */
bool config_value_is_list(const struct config_option *o);

#endif
