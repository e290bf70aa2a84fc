/* One PostgreSQL connection on the loop. conn.c is the only file that calls libpq's asynchronous
 * functions; nothing here ever blocks (but for name resolution, which libpq does by itself).
 *
 * What a connection tells its owner comes as events through one handler, always from the loop and
 * never from inside one of the functions below. Errors of statements come as results whose status
 * is PGRES_FATAL_ERROR; trouble with the connection itself comes as CONN_LOST, once, after which
 * the connection is closed and may be opened again. */
#ifndef CONN_H
#define CONN_H

#include <ev.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "login.h"
#include "ring.h"
#include "sql.h"

enum conn_event {
    CONN_READY,   /* connected, statements may be sent */
    CONN_RESULT,  /* one result, or one row of a statement sent with CONN_ROWS */
    CONN_BETWEEN, /* after such a row: its memory is free again */
    CONN_DONE,    /* outside a pipeline: the statement has ended; inside: a sync point is reached */
    CONN_COPY_OUT,  /* the server sends COPY data now: CONN_COPY_DATA events follow */
    CONN_COPY_IN,   /* the server waits for COPY data: conn_copy_put() may be called */
    CONN_COPY_DATA, /* some bytes of COPY data, one row or the header */
    CONN_ROOM,      /* what was to be sent has been sent, after conn_is_full() said true */
    CONN_NOTIFY,    /* a notification for a channel that this connection listens to */
    CONN_LOST       /* connecting failed, or the connection broke, or a deadline passed */
};

/* What a handler gets; everything is borrowed and valid during the call only. */
struct conn_message {
    enum conn_event event;
    PGresult *result;          /* CONN_RESULT */
    const char *data;          /* CONN_COPY_DATA */
    int len;                   /* bytes of data */
    const char *channel;       /* CONN_NOTIFY */
    const char *payload;       /* CONN_NOTIFY */
    const struct error *error; /* CONN_LOST */
};

struct conn;
typedef void conn_handler(struct conn *c, const struct conn_message *m);

/* Parameters of a statement; text unless said otherwise. Values are borrowed until the call that
 * sends them returns. Start with params_clear(), reuse at will, end with params_fini(). */
struct params {
    int count;
    int size;
    const char **values;
    int *lengths;
    int *formats;
    Oid *types;
    char (*numbers)[24]; /* room for params_int */
};

void params_clear(struct params *p);
void params_fini(struct params *p);
/* A text parameter; NULL is SQL's NULL. */
void params_text(struct params *p, const char *value);
void params_int(struct params *p, int64_t value);
void params_bool(struct params *p, bool value);
/* Bytes in the binary format of the type. */
void params_binary(struct params *p, const void *bytes, int len, Oid type);

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_OPEN };

/* What was sent and not answered yet. */
enum conn_pending { CONN_PENDING_STATEMENT, CONN_PENDING_ROWS, CONN_PENDING_SYNC };

struct conn {
    enum conn_state state;
    struct ev_loop *loop;
    const char *label; /* "source", "target", "follower": for errors and log lines */
    conn_handler *handler;
    void *owner; /* the handler's */
    PGconn *pg;
    struct ev_io readable;
    struct ev_io writable;
    struct ev_timer deadline; /* runs while something is awaited */
    struct ev_timer later;    /* delivers what must not be delivered from inside a call */
    struct ev_timer silence;  /* looks whether what was sent is acknowledged: conn_silence.c */
    double heard_at;          /* steady_now when the network was last known to be there */
    double timeout_s;         /* 0: no limit for what is awaited now */
    const struct config_database *database; /* what it connects to */
    double network_timeout_s;
    struct login *login; /* NULL until the first time */
    bool is_second_try;  /* the login was refused once, and is asked for again */
    struct error error;  /* why the connection was lost */
    bool is_lost;        /* CONN_LOST is on its way */
    bool in_pipeline;
    bool reading_paused;
    bool owes_room; /* the owner was told that the connection is full */
    bool copying_in;
    struct buf gathered; /* COPY data that no message was made of yet: conn_copy.c */
    bool copying_out;
    unsigned generation;         /* counts closes: to notice one inside a handler */
    struct ring pending;         /* enum conn_pending: what is awaited */
    bool head_has_result;        /* the oldest statement has given a result */
    const struct sql **prepared; /* what is prepared here, by conn_execute */
    int prepared_count;
    int prepared_size;
};

/* How rows come back. */
enum conn_rows {
    CONN_TEXT = 0,       /* one text result */
    CONN_BINARY = 1,     /* one binary result */
    CONN_ROWS_TEXT = 2,  /* CONN_RESULT per row, text */
    CONN_ROWS_BINARY = 3 /* CONN_RESULT per row, binary */
};

/* Prepares the struct for use; opens nothing. `label` must outlive the connection. */
void conn_init(struct conn *c, struct ev_loop *loop, const char *label, conn_handler *handler,
               void *owner);
/* Closes and forgets everything. */
void conn_fini(struct conn *c);
/* Starts connecting, with what files and the password command say now; `d` must outlive the
 * connection. `network_timeout_s` bounds the password command, the connecting itself and how long a
 * silent network is believed (conn_silence.c); a server that takes its time is no silent network.
 * CONN_READY or CONN_LOST follows. The connection must be closed. */
void conn_open(struct conn *c, const struct config_database *d, double network_timeout_s);
/* Only the first step of it, for conn.c: libpq's handle, with our parameters where the user's
 * string has none. */
PGconn *conn_start(const char *url, const char *password, double timeout_s);
/* Whether libpq takes the values in a URL that it can parse; nobody is contacted. When not, `why`
 * gets its words, which may quote what it does not take. */
bool conn_takes(const char *url, char *why, size_t size);
/* The receiver of notices: they are not for us. */
void conn_ignore_notice(void *arg, const PGresult *r);
/* Closes at once, without an event. Allowed at any time, also inside the handler. */
void conn_close(struct conn *c);
bool conn_is_open(const struct conn *c);
/* The server process that was connected to, as it was said when connecting; 0 when closed. */
int conn_backend_pid(const struct conn *c);

/* Sends one statement. Its results come as CONN_RESULT, then CONN_DONE (in a pipeline: after
 * conn_sync). `p` may be NULL. `timeout_s` bounds the wait for progress, 0 for none. A statement
 * that cannot be sent makes the connection lost. */
void conn_query(struct conn *c, const char *text, const struct params *p, enum conn_rows rows,
                double timeout_s);
/* The same for a file of sql/, which is prepared on first use and then executed. Only in a
 * pipeline; outside it is sent as it stands. */
void conn_execute(struct conn *c, const struct sql *sql, const struct params *p,
                  enum conn_rows rows, double timeout_s);
/* Inside a pipeline: prepares `text` under `name`; its result comes as CONN_RESULT. */
void conn_prepare(struct conn *c, const char *name, const char *text, const struct params *types);
/* Inside or outside a pipeline: executes what conn_prepare() prepared. */
void conn_execute_name(struct conn *c, const char *name, const struct params *p,
                       enum conn_rows rows, double timeout_s);

/* Pipeline mode; only while idle. Statements sent up to a sync fail or succeed as one unless they
 * hold their own BEGIN. */
void conn_pipeline_begin(struct conn *c);
void conn_pipeline_end(struct conn *c);
/* Marks a sync point and flushes: CONN_DONE comes when the server has reached it. */
void conn_sync(struct conn *c);
/* Sends what is buffered without a sync point; the server need not answer yet. */
void conn_flush(struct conn *c);

/* COPY IN: sends bytes, the last of them when it is ended; ends it (with an error text to make the
 * server abort it). */
void conn_copy_put(struct conn *c, const char *data, int len);
void conn_copy_end(struct conn *c, const char *abort_reason);
/* There is unsent data: stop sending until CONN_ROOM. Asking arms that event. */
bool conn_is_full(struct conn *c);
/* Stops and restarts reading from the server, for back-pressure. */
void conn_pause_reading(struct conn *c);
void conn_resume_reading(struct conn *c);

/* What to do when a function of the application's finds nothing by a name without a schema. */
extern const char conn_search_path_hint[];
/* Fills `e` from a result in error, as "<label>: <what the server said>" with detail, hint and
 * SQLSTATE. */
void conn_result_error(const struct conn *c, const PGresult *r, struct error *e);

#endif
