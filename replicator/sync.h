/* One sync: its state in memory, and the jobs that work on it.
 *
 * Everything here is rebuilt from the two databases at every start; nothing that matters lives
 * only here. Read anywhere, write in sync.c. */
#ifndef SYNC_H
#define SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "catalog.h"
#include "config.h"
#include "job.h"
#include "list.h"

struct daemon;

/* In the order in which a sync goes through them. */
enum sync_phase {
    SYNC_STARTING, /* connecting, finding out where we stand */
    SYNC_SCHEMA,   /* the schema is copied */
    SYNC_CAPTURE,  /* capture is installed, table by table */
    SYNC_COPY,     /* the initial copy runs */
    SYNC_CATCH_UP, /* towards the first consistent state */
    SYNC_FINISH,   /* indexes, constraints, foreign keys, triggers at the target */
    SYNC_FOLLOW    /* every change is applied as it comes */
};

struct sync {
    struct list in_daemon;
    struct daemon *daemon;
    const struct config_sync *config;
    const char *name;
    const char *source_url;
    const char *target_url;
    enum sync_phase phase;
    bool is_paused;     /* by a person */
    bool is_consistent; /* the target shows exactly one committed state of the source */
    int64_t owner;      /* our fencing token */
    struct catalog *catalog;
    struct list jobs; /* struct job, those that run now */
};

/* The phase's word, as in status and in rebeco.sync.phase. */
const char *sync_phase_name(enum sync_phase p);

#endif
