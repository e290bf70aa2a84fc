/* `run --role copier`: a process that only helps with the initial copy of a sync that another one
 * leads. It installs nothing, holds no lock and decides nothing; it takes chunks from the ledger.
 */
#ifndef COPIER_H
#define COPIER_H

#include "job.h"

struct catalog;
struct sync;

struct copier {
    struct job job;
    struct sync *sync;
    struct catalog *catalogs[JOB_SIDES]; /* read, until both are */
    const char *known_source;            /* arena: the leader's, as system/database */
    const char *snapshot_ids;            /* arena: arrays for the statement that makes statements */
    const char *snapshot_names;
    double read_at;      /* steady_now when tables and catalogs were read */
    bool has_read;       /* they are known */
    bool is_stale;       /* they must be read again, when no chunk is in hand */
    bool is_over;        /* there is nothing left to copy */
    const char *waiting; /* what is waited for, as it was said last; NULL: nothing */
};

struct copier *copier_new(struct sync *s);
void copier_start(struct copier *c);
void copier_free(struct copier *c);
/* A stream has ended or failed: is there more to do? */
void copier_think(struct copier *c);
void copier_stream_failed(struct copier *c, const struct error *e);

#endif
