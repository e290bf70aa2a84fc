/* URLs of databases: which libpq takes, and how they are shown. */
#include "config_url.h"

#include <libpq-fe.h>
#include <string.h>

#include "config_value.h"
#include "conn.h"

static bool values_are_good(const char *url, const char *path, const char *type, struct error *e)
{
    char why[256];

    if (conn_takes(url, why, sizeof why))
        return true;
    error_set(e, "%s is not %s: %.*s", path, type, (int)strcspn(why, ":\"\n"), why);
    error_hint(e, "%s",
               "What is behind the ? of a URL is spelled as in the documentation of libpq, "
               "for example sslmode=require.");
    return false;
}

bool config_url_check(const char *url, const char *path, const char *type, struct error *e)
{
    PQconninfoOption *parts = url[0] != '\0' ? PQconninfoParse(url, NULL) : NULL;

    if (parts == NULL) { /* libpq's own words quote parts of what they could not read */
        error_set(e, "%s is not %s", path, type);
        error_hint(e,
                   "It is %s. Special characters in a user name or password of a URL are "
                   "written as %%40 for @, %%2F for /, %%3A for :, %%25 for %%, %%3F for ?.",
                   url[0] == '\0' ? "empty" : "not shown here, because it may hold a password");
        return false;
    }
    PQconninfoFree(parts);
    return values_are_good(url, path, type, e);
}

/* libpq marks what nobody may see with dispchar "*". */
static bool is_secret(const PQconninfoOption *p)
{
    return p->dispchar[0] == '*' || strstr(p->keyword, "password") != NULL ||
           strstr(p->keyword, "secret") != NULL;
}

/* A conninfo value, in quotes where it needs them. */
static void append_conninfo(struct buf *b, const char *s)
{
    bool is_plain = *s != '\0' && strpbrk(s, " '\\\t\n\r\v\f") == NULL;
    if (is_plain) {
        buf_text(b, s);
        return;
    }
    buf_text(b, "'");
    for (; *s != '\0'; s++)
        buf_printf(b, *s == '\'' || *s == '\\' ? "\\%c" : "%c", *s);
    buf_text(b, "'");
}

/* As a conninfo string, whatever the form was: only so is it sure what is a password. */
void config_url_print(struct buf *b, const char *url)
{
    struct buf text;
    PQconninfoOption *parts = PQconninfoParse(url, NULL);
    if (parts == NULL)
        return; /* it was parsed when it was set: only memory can be short here */
    buf_init(&text);
    buf_text(&text, "");
    for (PQconninfoOption *p = parts; p->keyword != NULL; p++) {
        if (p->val == NULL)
            continue;
        buf_printf(&text, "%s%s=", text.len > 0 ? " " : "", p->keyword);
        append_conninfo(&text, is_secret(p) ? "***" : p->val);
    }
    PQconninfoFree(parts);
    config_value_quote(b, text.data);
    buf_fini(&text);
}
