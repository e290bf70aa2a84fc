/* Connecting: finds out the URL and the password, hands them to libpq, and once more when the
 * server refuses them and they may have changed meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conn_inside.h"
#include "mem.h"

enum { SQLSTATE_LEN = 5 };

/* Of what libpq says of a server's refusal, for a person; its SQLSTATE is taken out of the text.
 * The word before it may be in any language: "FATAL:  28P01: password authentication failed". */
void conn_read_refusal(char *said, char sqlstate[6])
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (char *s = strstr(said, ":  "); s; s = strstr(s + 1, ":  ")) {
        if (strspn(s + 3, letters) != SQLSTATE_LEN || strncmp(s + 8, ": ", 2) != 0)
            continue;
        memcpy(sqlstate, s + 3, SQLSTATE_LEN);
        sqlstate[SQLSTATE_LEN] = '\0';
        memmove(s + 2, s + 10, strlen(s + 10) + 1);
        return;
    }
}

static void lose_with(struct conn *c, const struct error *e)
{
    conn_lose(c, e->what);
    error_detail(&c->error, "%s", e->detail);
    error_hint(&c->error, "%s", e->hint);
}

/* What a person can do who sees that a connection was refused, by the beginning of the SQLSTATE. */
static const char *refusal_hint(const char *sqlstate)
{
    static const struct {
        const char *starts, *hint;
    } rows[] = {
        {"28", "The server refuses the user or the password: check both in the URL, or where else "
               "the password comes from (password_command, PGPASSWORD, libpq's password file)."},
        {"3D", "The server has no such database: its name is the last part of the URL."},
        {"53", "The server has no connection left: end some, or raise its limit."},
        {"57P03", "It starts, or shuts down: wait."},
        {"", "Check the URL, that the server runs, and that it can be reached from this machine."},
    };
    size_t i = 0;

    while (strncmp(sqlstate, rows[i].starts, strlen(rows[i].starts)) != 0)
        i++;
    return rows[i].hint;
}

/* libpq's words for it are in whatever language. */
static bool lacks_descriptors(void)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    bool lacks = fd < 0 && errno == EMFILE;

    if (fd >= 0)
        close(fd);
    return lacks;
}

/* A server that asks for a password that we do not have refuses us as well: libpq says so itself,
 * without a SQLSTATE. */
static void lose_refused(struct conn *c)
{
    bool lacks_password = c->pg && PQconnectionNeedsPassword(c->pg);

    if (c->is_lost)
        return;
    conn_lose(c, "cannot connect");
    if (lacks_password && c->error.sqlstate[0] == '\0')
        memcpy(c->error.sqlstate, "28P01", SQLSTATE_LEN + 1);
    error_hint(&c->error, "%s",
               lacks_descriptors() ? "This process may open no more files: raise its limit "
                                     "(ulimit -n, LimitNOFILE= of a unit)."
                                   : refusal_hint(c->error.sqlstate));
}

/* What is needed is known: libpq connects. */
static void begin(struct conn *c)
{
    struct login *l = c->login;

    if (error_is_set(&l->error)) {
        lose_with(c, &l->error);
        return;
    }
    c->pg = conn_start(l->url, l->password, c->network_timeout_s);
    login_clear(l);
    if (c->pg == NULL || PQstatus(c->pg) == CONNECTION_BAD) {
        lose_refused(c);
        return;
    }
    PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE); /* for the SQLSTATE of a refusal */
    PQsetNoticeReceiver(c->pg, conn_ignore_notice, NULL);
    c->timeout_s = c->network_timeout_s;
    conn_renew_deadline(c);
    conn_watch_socket(c, EV_WRITE);
}

static void login_ended(struct login *l)
{
    begin(l->owner);
}

static void look_up(struct conn *c)
{
    if (login_start(c->login, c->database, c->network_timeout_s))
        begin(c);
}

void conn_open(struct conn *c, const struct config_database *d, double network_timeout_s)
{
    c->state = CONN_CONNECTING;
    c->is_lost = false;
    c->is_second_try = false;
    c->database = d;
    c->network_timeout_s = network_timeout_s;
    if (c->login == NULL) {
        c->login = mem_alloc(sizeof *c->login);
        login_init(c->login, c->loop, login_ended, c);
    }
    look_up(c);
}

/* Class 28 is what a server says of a login; a proxy in between may have words of its own. */
static bool is_login_refused(const struct conn *c)
{
    char *said = mem_strdup(PQerrorMessage(c->pg));
    char sqlstate[6] = "";

    conn_read_refusal(said, sqlstate);
    free(said);
    return strncmp(sqlstate, "28", 2) == 0 || PQconnectionUsedPassword(c->pg);
}

void conn_refused(struct conn *c)
{
    if (c->is_second_try || !login_may_change(c->database) || !is_login_refused(c)) {
        lose_refused(c);
        return;
    }
    c->is_second_try = true;
    ev_io_stop(c->loop, &c->readable);
    ev_io_stop(c->loop, &c->writable);
    ev_timer_stop(c->loop, &c->deadline);
    PQfinish(c->pg);
    c->pg = NULL;
    look_up(c);
}
