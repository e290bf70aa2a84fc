/* Refreshes the materialized views of the target.
 *
 * A job on a connection of its own, so that batches go on meanwhile. It runs when something is due
 * and closes its connection in between. A run reads what materialized views there are, in the order
 * of their dependencies (also through views and functions), and refreshes those that are due, one
 * after the other: CONCURRENTLY where the server can do that, so that readers are not held up.
 *
 * What fails is a row of rebeco.problem, kind "matview", is tried again with growing pauses, and
 * does not stop the others. When each was refreshed is kept at the target, in rebeco.matview, so
 * that a restart does not refresh everything again. */
#ifndef MATVIEW_H
#define MATVIEW_H

#include <stdbool.h>

#include "buf.h"
#include "job.h"
#include "list.h"

struct matview {
    struct list in_job;
    char *relid;         /* its oid at the target, as text */
    char *label;         /* schema.name, quoted where needed */
    char *refresh;       /* the statements that refresh it */
    bool is_refreshed;   /* by us, ever */
    bool has_changed;    /* a table below has changed since */
    bool is_due;         /* in this run */
    bool is_listed;      /* in the reading that is taken in */
    double refreshed_at; /* steady_now when the last refresh began */
    double took_s;       /* that refresh; 0: not known */
    int failures;        /* in a row */
    double retry_at;     /* steady_now; counts while failures > 0 */
};

struct matview_job {
    struct job job;
    struct list views;   /* struct matview, in the order of their dependencies */
    bool is_on;          /* between start and stop */
    struct ev_timer due; /* starts the next run */
    double started_at;   /* steady_now of matview_start() */
    double listed_at;    /* steady_now of the last reading; 0: none yet */
    /* For status. */
    int count;
    int failing;
    /* Ids of tables that have changed since the last run took them: one bit each. */
    unsigned char *changed;
    int changed_size; /* bytes */
    bool has_changes;
    bool has_taken;          /* they are in changed_text, and no reading has told whom they touch */
    struct buf changed_text; /* an array of ids as text */
    /* The refresh that runs. */
    struct matview *current;
    double began_at;
    struct error failure; /* why it failed; empty: it did not */
};

/* Prepares the job for `sync`, whose loop, configuration and addresses must outlive it. */
void matview_init(struct matview_job *m, struct sync *sync);
/* From now on as configured: initially (those that we never refreshed), on a schedule, on change.
 * Call it at the first consistent state, and at each start after it. */
void matview_start(struct matview_job *m);
/* Ends it at once. */
void matview_stop(struct matview_job *m);
/* Stops it and frees what it owns (not the struct itself). */
void matview_fini(struct matview_job *m);
/* Rows of the table with that id (rebeco.sync_table.id) have changed at the target. Cheap: a batch
 * calls it for each table, after its commit. Nothing when refresh on change is not configured. */
void matview_table_changed(struct matview_job *m, int table_id);

#endif
