/* Finds the row for which a table stands still: reads what has changed of the table since its
 * position, as a batch does, and tries it at the target in a transaction that is rolled back,
 * halving each slice that fails. One search at a time in a sync, and at most three of a table until
 * it is in order again. */
#ifndef POISON_H
#define POISON_H

#include "apply.h"
#include "job.h"

struct poison_job {
    struct job job;
    struct sync *sync;
    struct apply apply;
    struct table *table; /* NULL: none in hand */
    enum apply_mode pass;
    PGresult **rows; /* read and not known to be good */
    int count;
    int size;
    size_t bytes;
    int slice;          /* rows of those that are being tried */
    int lower, upper;   /* the part of the slice that is tried now */
    int end;            /* one of lower .. end is refused */
    bool is_trying;     /* the target has not answered */
    bool is_back_due;   /* the last part failed: to be taken back first */
    bool is_read;       /* the source has sent everything */
    bool is_unreadable; /* or failed */
    PGresult *found;    /* the refused row */
    struct error said;  /* the target's words about the part that failed last */
    const char *cause;  /* and what is likely to be missing there; "" where that is not known */
    bool has_failed;    /* that part failed */
    const char *text;   /* the statement that makes the row readable (arena) */
};

void poison_init(struct poison_job *p, struct sync *s);
void poison_fini(struct poison_job *p);
/* Starts a search if a table waits for one. Cheap. */
void poison_start(struct poison_job *p);
/* Ends it at once and lets go of its table. */
void poison_stop(struct poison_job *p);

#endif
