/* One PostgreSQL connection on the loop: the only file that calls libpq's asynchronous functions.
 *
 * What is always true:
 * - the handler is called from the loop's callbacks only (on_readable, on_writable, on_later,
 *   on_deadline), and after each call the generation tells whether the connection was closed in it;
 * - `pending` mirrors what the server still owes us, so that the end of every statement and of
 *   every sync point is noticed, also in an aborted pipeline, where libpq makes up the results by
 *   itself and the socket never wakes: after each send in a pipeline we look once more, later;
 * - a turn of the loop delivers a bounded number of messages; the rest follows in the next turn. */
#include "conn.h"

#include <stdlib.h>
#include <string.h>

#include "conn_inside.h"
#include "list.h"
#include "mem.h"

enum {
    TURN_MESSAGES = 2000 /* delivered per turn and connection */
};

static void on_readable(struct ev_loop *loop, struct ev_io *w, int events);
static void on_writable(struct ev_loop *loop, struct ev_io *w, int events);
static void on_deadline(struct ev_loop *loop, struct ev_timer *w, int events);
static void on_later(struct ev_loop *loop, struct ev_timer *w, int events);

/* ------------------------------------------------------------------ events and time */

/* Tells the owner. False when the connection was closed or lost meanwhile. */
bool conn_tell(struct conn *c, const struct conn_message *m)
{
    unsigned generation = c->generation;

    c->handler(c, m);
    return c->generation == generation && !c->is_lost;
}

static bool tell_event(struct conn *c, enum conn_event event)
{
    struct conn_message m = {.event = event};

    return conn_tell(c, &m);
}

void conn_look_later(struct conn *c)
{
    if (!ev_is_active(&c->later)) {
        ev_timer_set(&c->later, 0., 0.);
        ev_timer_start(c->loop, &c->later);
    }
}

/* Starts the deadline anew, or stops it when nothing is awaited. */
void conn_renew_deadline(struct conn *c)
{
    ev_timer_stop(c->loop, &c->deadline);
    if (c->timeout_s <= 0 || c->reading_paused || c->copying_in)
        return;
    if (c->state == CONN_OPEN && c->pending.count == 0)
        return;
    ev_timer_set(&c->deadline, c->timeout_s, 0.);
    ev_timer_start(c->loop, &c->deadline);
}

/* The connection is of no more use: the owner hears of it from the loop. */
void conn_lose(struct conn *c, const char *what)
{
    char *said;

    if (c->is_lost || c->state == CONN_CLOSED)
        return;
    said = mem_strdup(c->pg ? PQerrorMessage(c->pg) : "");
    said[strcspn(said, "\n")] = '\0';
    error_clear(&c->error);
    error_set(&c->error, "%s: %s", c->label, what);
    conn_read_refusal(said, c->error.sqlstate);
    if (said[0])
        error_detail(&c->error, "%s", said);
    free(said);
    c->is_lost = true;
    ev_io_stop(c->loop, &c->readable);
    ev_io_stop(c->loop, &c->writable);
    ev_timer_stop(c->loop, &c->deadline);
    ev_timer_stop(c->loop, &c->silence);
    conn_look_later(c);
}

static void deliver_loss(struct conn *c)
{
    struct error e = c->error;
    struct conn_message m = {.event = CONN_LOST, .error = &e};

    conn_close(c);
    c->handler(c, &m);
}

/* ------------------------------------------------------------------ what is awaited */

static void pending_push(struct conn *c, enum conn_pending what)
{
    *(enum conn_pending *)ring_push(&c->pending) = what;
}

static bool pending_is(const struct conn *c, enum conn_pending what)
{
    const enum conn_pending *p = ring_first(&c->pending);

    return p && *p == what;
}

static void pending_pop(struct conn *c)
{
    ring_pop(&c->pending);
    c->head_has_result = false;
}

/* ------------------------------------------------------------------ sending */

void conn_flush_output(struct conn *c)
{
    int rc;

    conn_watch_silence(c);
    rc = PQflush(c->pg);
    if (rc < 0)
        conn_lose(c, "the connection broke while sending");
    else if (rc == 0)
        ev_io_stop(c->loop, &c->writable);
    else
        ev_io_start(c->loop, &c->writable);
}

/* The statement whose turn it is gives its rows one by one. */
static void ask_for_rows(struct conn *c)
{
    if (!PQsetSingleRowMode(c->pg))
        conn_lose(c, "rows cannot be had one by one");
}

/* After a statement was given to libpq. */
static void sent(struct conn *c, bool ok, enum conn_rows rows, double timeout_s)
{
    bool by_row = rows == CONN_ROWS_TEXT || rows == CONN_ROWS_BINARY;

    if (!ok) {
        conn_lose(c, "a statement could not be sent");
        return;
    }
    pending_push(c, by_row ? CONN_PENDING_ROWS : CONN_PENDING_STATEMENT);
    if (by_row && c->pending.count == 1)
        ask_for_rows(c);
    c->timeout_s = timeout_s;
    conn_renew_deadline(c);
    if (!c->in_pipeline)
        conn_flush_output(c);
}

static int result_format(enum conn_rows rows)
{
    return rows == CONN_BINARY || rows == CONN_ROWS_BINARY;
}

bool conn_can_send(const struct conn *c)
{
    return c->state == CONN_OPEN && !c->is_lost;
}

void conn_query(struct conn *c, const char *text, const struct params *p, enum conn_rows rows,
                double timeout_s)
{
    int ok;

    if (!conn_can_send(c))
        return;
    if (p == NULL && !c->in_pipeline && !result_format(rows))
        ok = PQsendQuery(c->pg, text); /* may hold several statements */
    else
        ok = PQsendQueryParams(c->pg, text, p ? p->count : 0, p ? p->types : NULL,
                               p ? p->values : NULL, p ? p->lengths : NULL, p ? p->formats : NULL,
                               result_format(rows));
    sent(c, ok == 1, rows, timeout_s);
}

void conn_prepare(struct conn *c, const char *name, const char *text, const struct params *types)
{
    if (!conn_can_send(c))
        return;
    sent(c, PQsendPrepare(c->pg, name, text, types ? types->count : 0, types ? types->types : NULL),
         CONN_TEXT, c->timeout_s);
}

void conn_execute_name(struct conn *c, const char *name, const struct params *p,
                       enum conn_rows rows, double timeout_s)
{
    if (!conn_can_send(c))
        return;
    sent(c,
         PQsendQueryPrepared(c->pg, name, p ? p->count : 0, p ? p->values : NULL,
                             p ? p->lengths : NULL, p ? p->formats : NULL, result_format(rows)),
         rows, timeout_s);
}

void conn_sync(struct conn *c)
{
    if (!conn_can_send(c))
        return;
    if (!PQpipelineSync(c->pg)) {
        conn_lose(c, "a sync point could not be sent");
        return;
    }
    pending_push(c, CONN_PENDING_SYNC);
    conn_renew_deadline(c);
    conn_flush_output(c);
    conn_look_later(c);
}

void conn_flush(struct conn *c)
{
    if (!conn_can_send(c))
        return;
    if (c->in_pipeline && PQsendFlushRequest(c->pg) != 1) {
        conn_lose(c, "a flush could not be asked for");
        return;
    }
    conn_flush_output(c);
    conn_look_later(c);
}

void conn_pipeline_begin(struct conn *c)
{
    c->in_pipeline = conn_can_send(c) && PQenterPipelineMode(c->pg);
    if (!c->in_pipeline)
        conn_lose(c, "pipeline mode could not be entered");
}

void conn_pipeline_end(struct conn *c)
{
    if (conn_can_send(c) && PQexitPipelineMode(c->pg))
        c->in_pipeline = false;
    else
        conn_lose(c, "pipeline mode could not be left");
}

/* ------------------------------------------------------------------ receiving */

/* PQgetResult gave NULL: a statement has ended, or nothing. False to stop looking. */
static bool statement_ended(struct conn *c)
{
    if (c->pending.count == 0 || !c->head_has_result)
        return false;
    pending_pop(c);
    if (c->in_pipeline) {
        if (pending_is(c, CONN_PENDING_ROWS))
            ask_for_rows(c);
        return true;
    }
    conn_renew_deadline(c);
    tell_event(c, CONN_DONE);
    return false;
}

/* The server has reached a sync point. */
static bool sync_reached(struct conn *c)
{
    pending_pop(c);
    if (pending_is(c, CONN_PENDING_ROWS))
        ask_for_rows(c);
    conn_renew_deadline(c);
    return tell_event(c, CONN_DONE);
}

/* Hands over one result; false to stop looking for now. */
static bool take_result(struct conn *c, PGresult *r)
{
    struct conn_message m = {.event = CONN_RESULT, .result = r};

    c->head_has_result = true;
    switch (PQresultStatus(r)) {
    case PGRES_PIPELINE_SYNC:
        return sync_reached(c);
    case PGRES_COPY_IN:
        conn_copy_begin(c);
        conn_renew_deadline(c);
        tell_event(c, CONN_COPY_IN);
        return false;
    case PGRES_COPY_OUT:
        c->copying_out = true;
        return tell_event(c, CONN_COPY_OUT);
    default:
        return conn_tell(c, &m);
    }
}

/* While data is sent, a server only answers to say that it has had enough of it. */
static bool still_copies_in(struct conn *c, PGresult *r)
{
    if (r && PQresultStatus(r) == PGRES_COPY_IN) {
        PQclear(r);
        return true;
    }
    c->copying_in = false;
    return false;
}

/* One thing that has arrived, whatever it is. False when there is nothing more to take now. */
static bool take_one(struct conn *c, int *budget)
{
    PGresult *r;
    bool more, is_row;

    if (c->copying_out && !conn_take_copy_data(c, budget))
        return false;
    if (c->pending.count == 0 || PQisBusy(c->pg))
        return false;
    r = PQgetResult(c->pg);
    --*budget;
    if (c->copying_in && still_copies_in(c, r))
        return false;
    if (r == NULL)
        return statement_ended(c) || (c->in_pipeline && c->pending.count > 0 && !PQisBusy(c->pg));
    is_row = PQresultStatus(r) == PGRES_SINGLE_TUPLE;
    more = take_result(c, r);
    PQclear(r);
    return more && (!is_row || tell_event(c, CONN_BETWEEN));
}

static void take_notifications(struct conn *c)
{
    PGnotify *n;

    while ((n = PQnotifies(c->pg)) != NULL) {
        struct conn_message m = {.event = CONN_NOTIFY, .channel = n->relname, .payload = n->extra};
        bool alive = conn_tell(c, &m);

        PQfreemem(n);
        if (!alive)
            return;
    }
}

/* Hands over what has arrived, as much as one turn may. */
static void take_all(struct conn *c)
{
    unsigned generation = c->generation;
    int budget = TURN_MESSAGES;

    while (c->generation == generation && !c->is_lost && !c->reading_paused && budget > 0 &&
           take_one(c, &budget))
        ;
    if (c->generation != generation || c->is_lost)
        return;
    if (budget <= 0)
        conn_look_later(c);
    take_notifications(c);
}

/* ------------------------------------------------------------------ connecting */

void conn_watch_socket(struct conn *c, int events)
{
    int fd = PQsocket(c->pg);

    ev_io_stop(c->loop, &c->readable);
    ev_io_stop(c->loop, &c->writable);
    ev_io_set(&c->readable, fd, EV_READ);
    ev_io_set(&c->writable, fd, EV_WRITE);
    if (events & EV_READ)
        ev_io_start(c->loop, &c->readable);
    if (events & EV_WRITE)
        ev_io_start(c->loop, &c->writable);
}

static void connected(struct conn *c)
{
    c->state = CONN_OPEN;
    c->timeout_s = 0;
    conn_renew_deadline(c);
    PQsetErrorVerbosity(c->pg, PQERRORS_DEFAULT);
    if (PQsetnonblocking(c->pg, 1) != 0) {
        conn_lose(c, "the connection cannot be used without blocking");
        return;
    }
    conn_watch_socket(c, EV_READ);
    tell_event(c, CONN_READY);
}

static void poll_connecting(struct conn *c)
{
    switch (PQconnectPoll(c->pg)) {
    case PGRES_POLLING_READING:
        conn_watch_socket(c, EV_READ);
        break;
    case PGRES_POLLING_WRITING:
        conn_watch_socket(c, EV_WRITE);
        break;
    case PGRES_POLLING_OK:
        connected(c);
        break;
    case PGRES_POLLING_FAILED:
        conn_refused(c);
        break;
    case PGRES_POLLING_ACTIVE:
        break;
    }
}

/* ------------------------------------------------------------------ the loop's callbacks */

static void on_readable(struct ev_loop *loop, struct ev_io *w, int events)
{
    struct conn *c = container_of(w, struct conn, readable);

    (void)loop;
    (void)events;
    if (c->state == CONN_CONNECTING) {
        poll_connecting(c);
        return;
    }
    if (!PQconsumeInput(c->pg)) {
        conn_lose(c, "the connection broke");
        return;
    }
    conn_renew_deadline(c);
    take_all(c);
}

static void on_writable(struct ev_loop *loop, struct ev_io *w, int events)
{
    struct conn *c = container_of(w, struct conn, writable);

    (void)loop;
    (void)events;
    if (c->state == CONN_CONNECTING) {
        poll_connecting(c);
        return;
    }
    conn_flush_output(c);
    if (!c->is_lost && !ev_is_active(&c->writable) && c->owes_room) {
        c->owes_room = false;
        tell_event(c, CONN_ROOM);
    }
}

static void on_deadline(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct conn *c = container_of(w, struct conn, deadline);

    (void)loop;
    (void)events;
    conn_lose(c, c->state == CONN_CONNECTING ? "no answer while connecting"
                                             : "no answer within the time limit");
}

static void on_later(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct conn *c = container_of(w, struct conn, later);

    (void)loop;
    (void)events;
    if (c->is_lost)
        deliver_loss(c);
    else if (c->state == CONN_OPEN)
        take_all(c);
}

/* ------------------------------------------------------------------ life */

void conn_init(struct conn *c, struct ev_loop *loop, const char *label, conn_handler *handler,
               void *owner)
{
    memset(c, 0, sizeof *c);
    c->loop = loop;
    c->label = label;
    c->handler = handler;
    c->owner = owner;
    ring_init(&c->pending, sizeof(enum conn_pending));
    ev_init(&c->readable, on_readable);
    ev_init(&c->writable, on_writable);
    ev_init(&c->deadline, on_deadline);
    ev_init(&c->later, on_later);
    conn_silence_init(c);
}

void conn_close(struct conn *c)
{
    ev_io_stop(c->loop, &c->readable);
    ev_io_stop(c->loop, &c->writable);
    ev_timer_stop(c->loop, &c->deadline);
    ev_timer_stop(c->loop, &c->later);
    ev_timer_stop(c->loop, &c->silence);
    if (c->login)
        login_clear(c->login);
    if (c->pg)
        PQfinish(c->pg);
    c->pg = NULL;
    c->state = CONN_CLOSED;
    c->generation++;
    c->is_lost = false;
    c->in_pipeline = false;
    c->reading_paused = false;
    c->owes_room = false;
    c->copying_in = false;
    c->copying_out = false;
    c->head_has_result = false;
    c->timeout_s = 0;
    buf_fini(&c->gathered);
    ring_clear(&c->pending);
    c->prepared_count = 0;
}

void conn_fini(struct conn *c)
{
    conn_close(c);
    if (c->login)
        login_fini(c->login);
    free(c->login);
    c->login = NULL;
    ring_fini(&c->pending);
    free(c->prepared);
    c->prepared = NULL;
    c->prepared_size = 0;
}

bool conn_is_open(const struct conn *c)
{
    return c->state == CONN_OPEN && !c->is_lost;
}

int conn_backend_pid(const struct conn *c)
{
    return c->pg ? PQbackendPID(c->pg) : 0;
}
