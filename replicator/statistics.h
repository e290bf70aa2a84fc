/* Statistics for the target's planner: a copied table has none until somebody runs ANALYZE, and the
 * first queries after a switch would be planned blindly.
 *
 * A job on a connection of its own, begun when the target follows with its whole schema, so that
 * nothing waits for it: it analyzes one table after the other, those that have no statistics. What
 * is done is told by the target's catalogs: a restart goes on with what is missing. A table that
 * somebody has locked is passed over and tried again a few times; what could not be analyzed then,
 * or may not be by our role, is said, and nothing else comes of it. */
#ifndef STATISTICS_H
#define STATISTICS_H

#include "job.h"

struct statistics_row {
    const char *label;
    const char *statement;
};

struct statistics_job {
    struct job job;
    bool is_over; /* nothing is left to be done, until a table is copied */
    int passes;   /* over what is missing, in this start */
    /* The pass that goes on: in the job's arena. */
    struct statistics_row *rows;
    int count;
    int next;
    int missing;         /* when the first pass began */
    int forbidden;       /* besides: our role may not */
    const char *example; /* of what is left; NULL: none */
};

/* Prepares the job for `sync`, whose loop, configuration and addresses must outlive it. */
void statistics_init(struct statistics_job *s, struct sync *sync);
/* Begins, unless it runs or is over. Call it while the sync follows. */
void statistics_start(struct statistics_job *s);
/* A table has been copied: there may be something to do again. */
void statistics_table_copied(struct statistics_job *s);
/* Ends it at once; the server notices within a second (before 14: at its next answer). */
void statistics_stop(struct statistics_job *s);
/* Stops it and frees what it owns (not the struct itself). */
void statistics_fini(struct statistics_job *s);

#endif
