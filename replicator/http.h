/* The HTTP server: a page for people, the status as JSON, metrics, and probes, on the daemon's
 * loop.
 *
 * Replication comes first. No turn is taken while a batch is looked for or brought, when a client
 * would make a change late; only where one batch follows the other without a break is there one
 * every 30 ms. Only so many connections, each of them for one request and only for so long; when
 * one more comes, the one that has kept us waiting longest goes, so that a probe is answered while
 * a thousand half-open connections are held against us. Whatever time a turn has taken is followed
 * by nineteen times as much rest: at most a twentieth of the loop's time is spent here, and no more
 * than a few requests at a time.
 */
#ifndef HTTP_H
#define HTTP_H

#include <ev.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "daemon.h"
#include "http_answer.h"
#include "list.h"

/* One connection. */
struct http_client {
    struct list in_http; /* oldest first */
    struct http *http;
    int fd;           /* libmicrohttpd's, to shut it down with */
    double since;     /* steady_now */
    bool is_answered; /* what is left is to send it */
    bool is_shut;     /* about to be closed */
};

struct http {
    struct daemon *daemon;
    struct MHD_Daemon *mhd; /* NULL: off */
    int fd;                 /* listens; -1: it does not */
    struct address address; /* where it does, or tries to */
    struct ev_io incoming;
    struct ev_io active;   /* libmicrohttpd's epoll */
    struct ev_timer rest;  /* ends a rest, or a wait */
    struct ev_timer watch; /* every second: deadlines, the next try to listen */
    struct ev_timer note;  /* adds to the histories */
    bool is_resting;
    double turned_at;    /* steady_now at the end of the last turn */
    bool has_complained; /* that it cannot listen */
    struct list clients; /* struct http_client */
    int client_count;
    int clients_max;
    int64_t dropped;       /* clients that took too long or were too many */
    struct list histories; /* struct history, one for each sync */
    struct http_kept kept[HTTP_ROUTES_MAX];
};

/* Listens as the daemon's configuration says. Where it cannot, it says so and goes on trying: the
 * syncs do not wait for it. */
struct http *http_new(struct daemon *d);
/* The daemon has another configuration now. */
void http_configure(struct http *h);
/* Closes everything and frees it; NULL is allowed. */
void http_free(struct http *h);

#endif
