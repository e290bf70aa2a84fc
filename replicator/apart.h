/* Sequences of a two-way sync: each end gets values of its own, before the target takes writes, and
 * later those of new tables. See schema/071_two_way_sequence.sql. The same job keeps the record of
 * conflicts in order at both ends, since it comes by there. */
#ifndef APART_H
#define APART_H

#include "job.h"

struct apart_job {
    struct job job;
    char *sequences; /* as read at the source, or answered there (malloc) */
    char *answered;  /* the same at the target (malloc) */
    char *replays;   /* conflicts replayed at the target lately, for the source (malloc) */
    int fresh;       /* how many were not apart before, at both ends: if any, there may be more */
    bool is_done;    /* all of a first reading are apart, since it was started */
};

void apart_init(struct apart_job *a, struct sync *sync);
void apart_fini(struct apart_job *a);
/* Starts it, unless it runs. */
void apart_start(struct apart_job *a);
void apart_stop(struct apart_job *a);

#endif
