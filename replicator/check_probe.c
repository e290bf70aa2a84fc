/* Is there a real server session at the other end of each connection?
 *
 * What is always true: all connections are open at the same time, and a round starts when every
 * connection has answered the last one, so that a pooler has every chance to hand a session on. */
#include "check_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"

static void fail(struct check_probe *p, const struct error *e)
{
    if (!p->is_failed)
        p->error = *e;
    p->is_failed = true;
    ev_break(p->loop, EVBREAK_ONE);
}

static void start_round(struct check_probe *p)
{
    struct params none = {0};

    p->waiting = CHECK_PROBE_CONNECTIONS;
    for (int i = 0; i < CHECK_PROBE_CONNECTIONS; i++)
        conn_query(&p->connections[i].conn, sql_check_endpoint.text, &none, CONN_TEXT,
                   p->timeout_s);
}

static void answered(struct check_probe *p)
{
    if (--p->waiting > 0)
        return;
    if (++p->round == CHECK_PROBE_ROUNDS)
        ev_break(p->loop, EVBREAK_ONE);
    else
        start_round(p);
}

/* One row: pid, server. */
static void take_answer(struct check_probe_connection *c, const PGresult *r)
{
    struct check_probe *p = c->probe;
    const char *server;

    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1) {
        struct error e;

        conn_result_error(&c->conn, r, &e);
        fail(p, &e);
        return;
    }
    server = field_text(r, 0, "server");
    c->pids[p->round] = field_int(r, 0, "pid");
    if (c->server[0] && strcmp(c->server, server) != 0)
        p->differs = true;
    snprintf(c->server, sizeof c->server, "%s", server);
}

static void on_event(struct conn *conn, const struct conn_message *m)
{
    struct check_probe_connection *c = conn->owner;
    struct check_probe *p = c->probe;

    if (p->is_failed)
        return;
    if (m->event == CONN_LOST) {
        fail(p, m->error);
    } else if (m->event == CONN_READY) {
        c->announced_pid = PQbackendPID(conn->pg);
        if (--p->waiting == 0)
            start_round(p);
    } else if (m->event == CONN_RESULT) {
        take_answer(c, m->result);
    } else if (m->event == CONN_DONE) {
        answered(p);
    }
}

static bool session_changes(const struct check_probe_connection *c)
{
    for (int i = 1; i < CHECK_PROBE_ROUNDS; i++)
        if (c->pids[i] != c->pids[0])
            return true;
    return false;
}

static bool shares_session(const struct check_probe_connection *a,
                           const struct check_probe_connection *b)
{
    for (int i = 0; i < CHECK_PROBE_ROUNDS; i++)
        for (int k = 0; k < CHECK_PROBE_ROUNDS; k++)
            if (a->pids[i] == b->pids[k])
                return true;
    return false;
}

/* Different servers have sessions of the same number, so this is asked of one server only. */
static bool is_shared_out(const struct check_probe *p)
{
    for (int i = 0; i < CHECK_PROBE_CONNECTIONS; i++) {
        if (session_changes(&p->connections[i]))
            return true;
        for (int k = 0; k < i; k++)
            if (shares_session(&p->connections[i], &p->connections[k]))
                return true;
    }
    return false;
}

static void judge(struct check_probe *p)
{
    bool announced = true;

    for (int i = 0; i < CHECK_PROBE_CONNECTIONS; i++) {
        const struct check_probe_connection *c = &p->connections[i];

        if (strcmp(c->server, p->connections[0].server) != 0)
            p->differs = true;
        if (c->announced_pid != c->pids[0])
            announced = false;
    }
    if (p->differs)
        check_report_add(p->report, p->side, "load-balanced", "the address",
                         "different servers answered at the same address");
    else if (is_shared_out(p))
        check_report_add(p->report, p->side, "pooler-transaction", "the address",
                         "connections that were open at the same time got the same session");
    else if (!announced)
        check_report_add(p->report, p->side, "pooler", "the address",
                         "the session is not the one that was announced when connecting");
}

bool check_probe_run(struct check_probe *p, struct ev_loop *loop, struct check_report *report,
                     enum job_side side, const struct config_database *d, double network_timeout_s,
                     struct error *e)
{
    memset(p, 0, sizeof *p);
    p->report = report;
    p->side = side;
    p->loop = loop;
    p->timeout_s = network_timeout_s;
    p->waiting = CHECK_PROBE_CONNECTIONS;
    for (int i = 0; i < CHECK_PROBE_CONNECTIONS; i++) {
        struct check_probe_connection *c = &p->connections[i];

        c->probe = p;
        conn_init(&c->conn, loop, side == JOB_SOURCE ? "source" : "target", on_event, c);
        conn_open(&c->conn, d, network_timeout_s);
    }
    ev_run(loop, 0);
    for (int i = 0; i < CHECK_PROBE_CONNECTIONS; i++)
        conn_fini(&p->connections[i].conn);
    if (p->is_failed)
        *e = p->error;
    else
        judge(p);
    return !p->is_failed;
}
