/* Keeps the sequences of the target ahead of those of the source.
 *
 * A job that asks the source, every sequences.interval, whether any sequence has changed; when one
 * has, all of them are read in one statement and those of the target that are behind are moved in
 * one, by sequences.headroom steps beyond the source's. What the values are is decided in SQL
 * (schema/020_sequence.sql); a target's sequence never goes back below what anybody has used of it.
 * Sequences that cannot be kept in step are rows of rebeco.problem, kind "sequence", and do not
 * disturb the others. */
#ifndef SEQUENCE_H
#define SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "job.h"

struct sequence_job;
typedef void sequence_done(struct sequence_job *s, void *arg);

struct sequence_job {
    struct job job;
    /* Of the last whole reading, for status. */
    int seen;         /* sequences of the sync */
    int moved;        /* of these at the target */
    int troubled;     /* rows of rebeco.problem */
    double synced_at; /* steady_now when it ended; 0: there was none yet */
    /* For who waits: rounds so far, and the last of them that has ended well. */
    uint64_t rounds_begun;
    uint64_t rounds_done;
    /* The round that runs. */
    bool is_exact;
    bool serves_request;
    bool wants_whole; /* the next one is due now, and reads everything */
    bool is_whole;
    double began_at;
    char glance[64];       /* what the source answered now, */
    char known_glance[64]; /* and when the target was last brought in step; empty: never */
    struct buf tables;     /* the sync's tables at the source, an array of oids as text */
    struct buf sequences;  /* what was read at the source: JSON */
    /* What sequence_sync_now() asked for; NULL: nothing. */
    sequence_done *done;
    void *done_arg;
    bool done_exact;
};

/* Prepares the job for `sync`, whose loop, configuration and addresses must outlive it. */
void sequence_init(struct sequence_job *s, struct sync *sync);
/* From now on, and first at once. Needs the sync's row and its tables' rows at the target. */
void sequence_start(struct sequence_job *s);
/* A round is due now, and reads everything at the source after this call: the one with the number
 * rounds_begun + 1. Without effect while the job does not run. */
void sequence_wake(struct sequence_job *s);
/* Ends it at once; what was asked of it is forgotten, and `done` is not called. */
void sequence_stop(struct sequence_job *s);
/* Stops it and frees what it owns (not the struct itself). */
void sequence_fini(struct sequence_job *s);
/* Reads everything at the source after this call, brings the target in step, and then calls `done`
 * from the loop; starts the job if it does not run. As long as that fails it is tried again, so the
 * caller minds its own deadline. One request at a time: asking again before `done` replaces it.
 *
 * exact: without head-room, for a source that stands still. What our head-room has put before is
 * taken back, but nothing that others have used at the target. The next round of the interval puts
 * the head-room back: stop the job when the source's values are to stay. */
void sequence_sync_now(struct sequence_job *s, bool exact, sequence_done *done, void *arg);

#endif
