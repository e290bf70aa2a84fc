/* The initial copy: streams that take chunks from the ledger at the target, relay COPY from one
 * server to the other, and mark each chunk as done in the transaction that loads it.
 *
 * The copy needs no snapshot in common with the batches: whatever it reads after capture was
 * installed may be stale or twice, and the first catch-up puts it right. */
#ifndef COPY_H
#define COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "job.h"

struct sync;
struct table;

/* Bytes that all streams of a sync may still read now; filled again as time goes by. */
struct copy_rate {
    double allowance;
    double filled_at;
};

/* What is left is in the hands of other processes. */
struct copy_others {
    double since; /* steady_now when nothing was left to claim, and no part was ended since; 0: not
                     so */
    int done;     /* chunks, then */
    bool is_said;
};

struct copy_job {
    struct job job;
    struct sync *sync;
    struct ev_timer throttle; /* lets the source speak again */
    bool is_for_pieces;       /* copy_takes() */
    struct table *table;      /* whose chunk is in hand, NULL: none */
    int number;               /* of the chunk */
    const char *oid;          /* of what is read; arena, as all texts here */
    const char *filenode;     /* when the chunk was planned */
    const char *relation;     /* its name now, quoted */
    const char *lower;
    const char *upper;
    int64_t planned_bytes;
    int64_t bytes;
    int64_t rows;
    int64_t rows_sent; /* as the source has counted them, once it has */
    const char *output;
    const char *input;
    bool is_staged;     /* goes through a temporary table: copy_refused.c */
    bool is_parsed;     /* and its values as bytes */
    bool is_loading;    /* COPY is under way */
    const char *before; /* and then the statements around it */
    const char *after;
    const char *refused; /* keys of rows that the target refuses, JSON; NULL: none */
    const char *key_sql;
    const char *seen_lsn; /* of the source: what the snapshot sees was written before; NULL: of a
                             follower */
    bool is_source_open;  /* a transaction on the source is open */
    bool is_output_done;
    bool is_flushed;         /* what was read is on the source's disk */
    bool is_foreign;         /* the follower said last that it is none of the source */
    double follower_said_at; /* steady_now when it was waited for first, or that was last said; 0:
                                it is not */
    bool makes_key;          /* it holds table->is_indexing */
    bool is_key_only;        /* the table needs its key before this chunk can be loaded */
};

/* Keeps a snapshot of the source alive while the chunks of one table are read. */
struct snapshot_job {
    struct job job;
    struct table *table;
    char *name;      /* of the snapshot (malloc) */
    char *statement; /* that takes it on (malloc) */
};

/* A stream for the tables that copy_takes() gives to it. */
struct copy_job *copy_new(struct sync *s, bool is_for_pieces);
/* Where a follower is read, tables in one piece have a stream of their own, which reads the source:
 * a follower's snapshots cannot be compared with the source's transactions. */
bool copy_takes(const struct table *t, bool is_for_pieces);
void copy_free(struct copy_job *c);

/* So many bytes were read: how long whoever read them has to wait, because of copy.max_rate. */
double copy_rate_wait_s(struct sync *s, int64_t bytes);
/* For how long others have had in hand what is left, and have ended no part of it; 0: for no longer
 * than a silent network is believed. */
double copy_waits_for_others_s(const struct sync *s, double now);
/* Where the copy is read: the follower, or the source. */
const struct config_database *copy_source(const struct sync *s);
/* A process that only helps may copy chunks of the table now. */
bool copy_may_help(const struct table *t);
/* Begins to export a snapshot for a table: its name is in table->exported when it is there. */
void copy_hold_snapshot(struct table *t);
/* Lets go of the snapshot that a table's chunks share. */
void copy_release_snapshot(struct table *t);

#endif
