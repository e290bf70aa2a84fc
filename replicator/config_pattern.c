/* Patterns for tables. A pattern is read one symbol at a time; a symbol is a literal byte or one of
 * the two wildcards, so that quotes need no second form of the pattern. Pure. */
#include "config_pattern.h"

#include <stddef.h>

#include "config.h"

enum pattern_kind {
    PATTERN_BYTE, /* this byte */
    PATTERN_MANY, /* "*" */
    PATTERN_ONE,  /* "?" */
    PATTERN_DOT,  /* between the two parts */
    PATTERN_END,
    PATTERN_OPEN /* the end, inside quotes */
};

struct pattern_symbol {
    enum pattern_kind kind;
    char byte;
};

struct pattern_reader {
    const char *at;
    bool is_quoted;
};

static struct pattern_symbol next_quoted(struct pattern_reader *r);

static struct pattern_symbol next(struct pattern_reader *r)
{
    if (r->is_quoted)
        return next_quoted(r);
    char c = *r->at;
    if (c == '\0')
        return (struct pattern_symbol){PATTERN_END, c};
    r->at++;
    if (c == '"') {
        r->is_quoted = true;
        return next_quoted(r);
    }
    enum pattern_kind kind = c == '*'   ? PATTERN_MANY
                             : c == '?' ? PATTERN_ONE
                             : c == '.' ? PATTERN_DOT
                                        : PATTERN_BYTE;
    return (struct pattern_symbol){kind, c};
}

/* Inside quotes "" is one quote, and a single one ends them. */
static struct pattern_symbol next_quoted(struct pattern_reader *r)
{
    char c = *r->at;
    if (c == '\0')
        return (struct pattern_symbol){PATTERN_OPEN, c};
    r->at++;
    if (c != '"')
        return (struct pattern_symbol){PATTERN_BYTE, c};
    if (*r->at == '"') {
        r->at++;
        return (struct pattern_symbol){PATTERN_BYTE, c};
    }
    r->is_quoted = false;
    return next(r);
}

bool config_pattern_check(const char *pattern, struct error *e)
{
    struct pattern_reader r = {.at = pattern};
    int parts = 1;
    size_t in_part = 0;
    struct pattern_symbol s;
    while ((s = next(&r)).kind != PATTERN_END) {
        if (s.kind == PATTERN_OPEN)
            return error_set(e, "the pattern %s has a quote that is not closed", pattern);
        if (s.kind != PATTERN_DOT) {
            in_part++;
            continue;
        }
        if (in_part == 0)
            break;
        parts++;
        in_part = 0;
    }
    if (parts == 2 && in_part > 0)
        return true;
    error_set(e, "the pattern %s is not of the form schema.table", pattern);
    error_hint(e,
               "Write public.orders, public.* or *.orders; a name with a dot in it, or with * or "
               "? in it, in double quotes: public.\"a.b\".");
    return false;
}

/* Steps over one character of UTF-8. */
static const char *skip_character(const char *s)
{
    s++;
    while (((unsigned char)*s & 0xC0) == 0x80)
        s++;
    return s;
}

/* Matches the part of a pattern at `*r` against a whole name; on success `*r` is behind the part's
 * end. The usual two-finger walk: on a mismatch the last "*" takes one character more. */
static bool match_part(struct pattern_reader *r, const char *name)
{
    struct pattern_reader at = *r, after_many = *r;
    const char *taken = NULL; /* up to where the last "*" reaches */
    for (;;) {
        struct pattern_symbol s = next(&at);
        bool is_end = s.kind == PATTERN_DOT || s.kind == PATTERN_END || s.kind == PATTERN_OPEN;
        if (s.kind == PATTERN_MANY) {
            after_many = at;
            taken = name;
        } else if (is_end && *name == '\0') {
            *r = at;
            return true;
        } else if (s.kind == PATTERN_ONE && *name != '\0') {
            name = skip_character(name);
        } else if (s.kind == PATTERN_BYTE && *name == s.byte && *name != '\0') {
            name++;
        } else if (taken != NULL && *taken != '\0') {
            taken = skip_character(taken);
            name = taken;
            at = after_many;
        } else {
            return false;
        }
    }
}

bool config_pattern_match(const char *pattern, const char *schema, const char *table)
{
    struct pattern_reader r = {.at = pattern};
    return match_part(&r, schema) && match_part(&r, table);
}

bool config_patterns_match(const struct config_patterns *p, const char *schema, const char *table,
                           bool *used)
{
    bool is_match = false;
    for (int i = 0; i < p->count; i++) {
        if (!config_pattern_match(p->texts[i], schema, table))
            continue;
        is_match = true;
        if (used == NULL)
            return true;
        used[i] = true;
    }
    return is_match;
}
