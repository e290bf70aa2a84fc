/* Hooks: commands of the user that are told what happens, as JSON on their standard input. They run
 * one after the other, never in the way of anything, and what they do changes nothing here. */
#ifndef HOOKS_H
#define HOOKS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "child.h"
#include "list.h"

struct daemon;
struct sync;
struct table;

/* In the order of the options. */
enum hook_event {
    HOOK_COPIED,   /* every table is copied */
    HOOK_IN_SYNC,  /* the target follows in a consistent state */
    HOOK_DRIFT,    /* the two ends of a table no longer fit */
    HOOK_LAG,      /* the target is further behind than the limit */
    HOOK_CONFLICT, /* rows of a two-way sync were changed at both ends, and it was decided who wins
                    */
    HOOK_ERROR,    /* a table cannot be applied, or the sync cannot go on without a person */
    HOOK_STOPPED,  /* the daemon ends */
    HOOK_EVENTS
};

/* What was told of a sync, so that it is told once each time. */
struct hook_marks {
    bool was_copying;
    bool is_in_sync;
    bool is_lagging;
    bool is_stopped;
    int64_t conflicts_told;
    double conflicts_at; /* steady_now when conflicts were last told */
};

struct hooks {
    struct daemon *daemon;
    struct list waiting; /* what is still to be told */
    int count;
    struct child child; /* tells one */
    struct ev_timer look;
    struct ev_timer patience; /* at the end */
};

void hooks_init(struct hooks *h, struct daemon *d);
/* Begins, or goes on after another configuration was read. */
void hooks_start(struct hooks *h);
void hooks_fini(struct hooks *h);
/* Tells that the daemon ends, and waits until all is told, twice hooks.timeout at most. */
void hooks_finish(struct hooks *h, int exit_code);

/* A table was paused just now. */
void hooks_table_paused(const struct table *t);
/* Something may have changed that is told. */
void hooks_look(struct sync *s);
/* The sync is about to be freed: tells what was kept back. */
void hooks_sync_ends(struct sync *s);

#endif
