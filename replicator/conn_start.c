/* The beginning and the worst of a connection: its parameters, and a server's error as a person is
 * told it. */
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "conn.h"
#include "sqlstate.h"

enum { PARAMETERS_MAX = 64 /* of a connection string, ours included */ };

struct parameters {
    int count;
    const char *keywords[PARAMETERS_MAX + 1];
    const char *values[PARAMETERS_MAX + 1];
};

/* Ours unless the user's string has it. */
static void add_parameter(struct parameters *p, const char *keyword, const char *value)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->keywords[i], keyword) == 0)
            return;
    if (p->count < PARAMETERS_MAX) {
        p->keywords[p->count] = keyword;
        p->values[p->count++] = value;
    }
}

PGconn *conn_start(const char *url, const char *password, double timeout_s)
{
    struct parameters p = {0};
    char idle[16], interval[16];
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    PGconn *pg;

    if (options == NULL) /* let libpq say what is wrong with it */
        return PQconnectStart(url);
    snprintf(idle, sizeof idle, "%d", timeout_s >= 3 ? (int)(timeout_s / 3) : 1);
    snprintf(interval, sizeof interval, "%d", timeout_s >= 6 ? (int)(timeout_s / 6) : 1);
    if (password)
        add_parameter(&p, "password", password);
    for (PQconninfoOption *o = options; o->keyword; o++)
        if (o->val)
            add_parameter(&p, o->keyword, o->val);
    add_parameter(&p, "keepalives", "1");
    add_parameter(&p, "keepalives_idle", idle);
    add_parameter(&p, "keepalives_interval", interval);
    add_parameter(&p, "keepalives_count", "4");
    add_parameter(&p, "fallback_application_name", "rebeco");
    add_parameter(&p, "client_encoding", "UTF8");
    pg = PQconnectStartParams(p.keywords, p.values, 0);
    PQconninfoFree(options);
    return pg;
}

/* ------------------------------------------------------------------ what libpq takes */

/* PQconninfoParse() knows the names of options and none of their values: an sslmode that does not
 * exist is refused by what begins to connect. So that is done, with hosts that are no folder for a
 * socket; the values are looked at first. */
#define NOWHERE "/dev/null"

static int count_hosts(const PQconninfoOption *parts)
{
    int n = 1;

    for (const PQconninfoOption *p = parts; p->keyword; p++) {
        bool is_host = strcmp(p->keyword, "host") == 0 || strcmp(p->keyword, "hostaddr") == 0;
        int here = 1;

        for (const char *s = is_host && p->val ? p->val : ""; *s; s++)
            here += *s == ',';
        n = here > n ? here : n;
    }
    return n;
}

static PGconn *start_nowhere(const PQconninfoOption *parts)
{
    struct parameters p = {0};
    struct buf hosts;
    PGconn *pg;

    buf_init(&hosts);
    for (int i = count_hosts(parts); i > 0; i--)
        buf_printf(&hosts, "%s%s", NOWHERE, i > 1 ? "," : "");
    add_parameter(&p, "host", hosts.data);
    add_parameter(&p, "password", "-"); /* so that no password file is looked for */
    for (const PQconninfoOption *o = parts; o->keyword; o++)
        if (o->val && strcmp(o->keyword, "hostaddr") != 0)
            add_parameter(&p, o->keyword, o->val);
    pg = PQconnectStartParams(p.keywords, p.values, 0);
    buf_fini(&hosts);
    return pg;
}

/* Its words about a value come before those about a server. */
static bool is_about_value(const char *words)
{
    static const char *const starts[] = {"invalid ", "could not match ", "weak sslmode ",
                                         "sslmode value ", NULL};

    for (int i = 0; starts[i]; i++)
        if (strncmp(words, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

bool conn_takes(const char *url, char *why, size_t size)
{
    PQconninfoOption *parts = PQconninfoParse(url, NULL);
    PGconn *pg = parts ? start_nowhere(parts) : NULL;
    const char *words = pg && PQstatus(pg) == CONNECTION_BAD ? PQerrorMessage(pg) : "";
    bool is_taken = !is_about_value(words);

    snprintf(why, size, "%s", is_taken ? "" : words);
    PQfinish(pg);
    PQconninfoFree(parts);
    return is_taken;
}

const char conn_search_path_hint[] =
    "Rebeco's sessions have no search_path, like pg_restore's. Give the function one where it is "
    "missed: ALTER FUNCTION ... SET search_path = the schemas that it needs.";

void conn_ignore_notice(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

/* A function of the application's looks for something by a name without a schema. */
static bool needs_search_path(const char *state, const char *context)
{
    static const char plpgsql[] = "PL/pgSQL function ", sql[] = "SQL function ";
    bool is_plpgsql = context && strncmp(context, plpgsql, sizeof plpgsql - 1) == 0;
    bool is_sql = context && strncmp(context, sql, sizeof sql - 1) == 0;

    if (!state || !sqlstate_is_of_name(state))
        return false;
    return is_sql || (is_plpgsql && strncmp(context + sizeof plpgsql - 1, "rebeco.", 7) != 0);
}

void conn_result_error(const struct conn *c, const PGresult *r, struct error *e)
{
    const char *what = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(r, PG_DIAG_MESSAGE_HINT);
    const char *context = PQresultErrorField(r, PG_DIAG_CONTEXT);
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);

    error_clear(e);
    error_set(e, "%s: %s", c->label, what ? what : PQresultErrorMessage(r));
    if (detail || context)
        error_detail(e, "%s%s%s", detail ? detail : "", detail && context ? "; " : "",
                     context ? context : "");
    if (needs_search_path(state, context))
        error_hint(e, "%s", conn_search_path_hint);
    else if (hint)
        error_hint(e, "%s", hint);
    if (state)
        snprintf(e->sqlstate, sizeof e->sqlstate, "%s", state);
}
