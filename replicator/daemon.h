/* The daemon: the loop, the signals, the syncs. */
#ifndef DAEMON_H
#define DAEMON_H

#include <ev.h>

#include "config.h"
#include "hooks.h"
#include "list.h"
#include "notify.h"

struct http;
struct sync;

/* What the command line asks of it. */
struct daemon_wish {
    enum config_until until;
    bool is_standby; /* wait while another daemon holds a sync */
    bool is_copier;  /* only help with the copy of syncs that others lead */
};

struct daemon {
    struct ev_loop *loop;
    struct config *config;
    struct config *reloaded; /* ours, NULL until the first SIGHUP */
    const struct config_arguments *arguments;
    const char *only; /* the only sync to run, NULL: all */
    struct list syncs;
    struct http *http; /* what it shows of itself */
    double started_at; /* steady_now */
    enum config_until until;
    bool is_standby;
    bool is_copier;
    int exit_code;
    int signals; /* SIGTERM or SIGINT received */
    struct ev_signal term;
    struct ev_signal interrupt;
    struct ev_signal hangup;
    double leave_by;       /* steady_now when the last batch is not waited for any longer */
    struct ev_timer grace; /* ends the last batch */
    struct hooks hooks;
    struct notify notify;
    bool is_ending; /* only hooks are waited for */
};

/* Runs the syncs of a configuration (all, or only the one of that name) until told to stop, or
 * until every one has reached what the wish says. SIGHUP reads the configuration again, from the
 * same arguments; one that is wrong is reported and the old one stays. Answers the exit code. `c`
 * stays the caller's. */
int daemon_run(struct config *c, const struct config_arguments *arguments,
               const struct daemon_wish *wish);

/* Until the daemon listens to it, a SIGHUP would end the process: somebody has reloaded what he has
 * just started. It is kept from the start of the program (true) until daemon_run() lets it come. */
void daemon_keep_hangup(bool keep);

/* For the syncs: something has changed that may end the daemon. */
void daemon_consider(struct daemon *d);
/* The configuration names what the source does not have. */
void daemon_misconfigured(struct daemon *d, const struct error *e);
/* A copier has nothing left to do. */
void daemon_copier_over(struct daemon *d);
/* Another daemon holds the lock of a sync. */
void daemon_sync_held(struct daemon *d, struct sync *s);

#endif
