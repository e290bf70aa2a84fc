/* Finding out how to log in. Secrets are overwritten as soon as they were used, and are in no
 * error: not even what could not be read as a URL is shown. */
#include "login.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_value.h"
#include "mem.h"
#include "words.h"

enum { PASSWORD_MAX = 65536, VARIABLES = 4 };

/* ------------------------------------------------------------------ the URL */

static void forget(char **secret)
{
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

static bool is_url(const char *text)
{
    PQconninfoOption *parts = text[0] ? PQconninfoParse(text, NULL) : NULL;

    PQconninfoFree(parts);
    return parts != NULL;
}

/* The text is expanded again into an arena of its own, which does not outlive this. */
static void read_url(struct login *l, const struct config_database *d)
{
    struct arena *a = arena_new();
    struct config_text t = {.text = ""};

    if (config_value_expand(d->url_template, &t, a, &l->error)) {
        if (is_url(t.text))
            l->url = mem_strdup(t.text);
        else
            error_set(&l->error, "what ${file:...} gives for the URL of %s is not one",
                      d->name ? d->name : "the follower");
    }
    if (error_is_set(&l->error))
        error_hint(&l->error, "The file was good when the daemon started. It is read again.");
    if (t.text)
        explicit_bzero((char *)(uintptr_t)t.text, strlen(t.text));
    arena_free(a);
}

/* ------------------------------------------------------------------ the password */

static void take_password(struct login *l)
{
    const struct buf *out = &l->child.output;
    size_t len = out->len > 0 ? strcspn(out->data, "\r\n") : 0;

    if (!child_is_success(&l->child)) {
        child_error(&l->child, &l->error, "the password command failed");
        error_hint(&l->error,
                   "Run it by hand, as the same user. It is run again for the next try.");
    } else if (len == 0 || l->child.is_cut) {
        error_set(&l->error, "the password command wrote no password");
        error_hint(&l->error, "It must write it as the first line of its standard output.");
    } else {
        l->password = mem_alloc(len + 1);
        memcpy(l->password, out->data, len);
    }
    if (out->len > 0)
        explicit_bzero(out->data, out->len);
}

static void on_ended(struct child *c)
{
    struct login *l = c->owner;

    take_password(l);
    l->ended(l);
}

/* The command may need to know for whom the password is. */
static void set_variables(struct arena *a, const char *url, const char **environment)
{
    static const char *const names[VARIABLES][2] = {
        {"host", "PGHOST"}, {"port", "PGPORT"}, {"user", "PGUSER"}, {"dbname", "PGDATABASE"}};
    PQconninfoOption *parts = PQconninfoParse(url, NULL);

    for (PQconninfoOption *p = parts; p && p->keyword; p++)
        for (int i = 0; i < VARIABLES; i++)
            if (p->val && strcmp(p->keyword, names[i][0]) == 0)
                *environment++ = arena_printf(a, "%s=%s", names[i][1], p->val);
    *environment = NULL;
    PQconninfoFree(parts);
}

static bool run_command(struct login *l, const struct config_database *d, double timeout_s)
{
    struct arena *a = arena_new();
    const char *environment[VARIABLES + 1];
    struct child_program p = {.environment = environment,
                              .files = {-1, -1},
                              .output_file = -1,
                              .timeout_s = timeout_s,
                              .output_max = PASSWORD_MAX};
    bool is_started;

    set_variables(a, l->url, environment);
    p.arguments = words_split(a, d->password_command, &l->error);
    p.path = p.arguments ? words_program(a, p.arguments[0], &l->error) : NULL;
    is_started = p.path && child_start(&l->child, &p, &l->error);
    arena_free(a);
    return is_started;
}

/* ------------------------------------------------------------------ life */

bool login_start(struct login *l, const struct config_database *d, double timeout_s)
{
    login_clear(l);
    if (d->url_template)
        read_url(l, d);
    else
        l->url = mem_strdup(d->url);
    if (error_is_set(&l->error) || d->password_command == NULL)
        return true;
    return !run_command(l, d, timeout_s);
}

bool login_may_change(const struct config_database *d)
{
    return d->url_template || d->password_command;
}

void login_init(struct login *l, struct ev_loop *loop, login_handler *ended, void *owner)
{
    memset(l, 0, sizeof *l);
    l->loop = loop;
    l->ended = ended;
    l->owner = owner;
    child_init(&l->child, loop, on_ended, l);
}

void login_clear(struct login *l)
{
    child_stop(&l->child);
    forget(&l->url);
    forget(&l->password);
    error_clear(&l->error);
}

void login_fini(struct login *l)
{
    login_clear(l);
    child_fini(&l->child);
}
