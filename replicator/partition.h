/* Partitions that were dropped: their rows go at the other end, too (schema/109_partition.sql). */
#ifndef PARTITION_H
#define PARTITION_H

#include "job.h"
#include "sync.h"

/* The partition in hand of a table that stands still for it, and a page of its keys (malloc). */
struct partition_page {
    int64_t id;
    char *name;
    char *bounds;
    char *columns;
    char *after;
    char *keys;
    char *last;
    bool has_failed;
    double next_try; /* steady_now */
};

void partition_page_fini(struct partition_page *p);

/* The source knows whether keys are owed; one that follows stands still then. */
void partition_take_note(struct table *t, bool owes);
/* A table of which a page of keys can be logged now; NULL: there is none. */
struct table *partition_next(struct sync *s);

/* The leading job's steps. Before a table goes on: are keys owed? */
void partition_bind_gone(struct job *j, struct params *p);
enum job_next partition_take_gone(struct job *j, PGresult *r);
/* A page: which partition, its keys, the log. They are about lead->table. */
enum job_next partition_take_next(struct job *j, PGresult *r);
void partition_bind_keys(struct job *j, struct params *p);
enum job_next partition_take_keys(struct job *j, PGresult *r);
void partition_bind_log(struct job *j, struct params *p);
enum job_next partition_take_logged(struct job *j, PGresult *r);
enum job_next partition_event(struct job *j, enum job_side side, const struct conn_message *m);

#endif
