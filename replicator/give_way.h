/* A statement of the application that needs a table for itself (ALTER TABLE, TRUNCATE, VACUUM FULL)
 * waits for whoever reads it, and all others queue behind; one that works CONCURRENTLY waits for
 * all that was begun before: while tables are copied, or a large batch is read, this looks once a
 * second whether that is us, and breaks off what is in the way. */
#ifndef GIVE_WAY_H
#define GIVE_WAY_H

#include "buf.h"
#include "job.h"

struct give_way {
    struct job job;
    double batch_at; /* steady_now when a batch gave way, 0: never */
    struct buf pids; /* of the sessions asked about, an array's text */
};

/* Prepares it for a sync, which must outlive it. */
void give_way_init(struct give_way *g, struct sync *s);
/* Starts it if there is something to watch, and it does not run; it ends by itself. */
void give_way_think(struct give_way *g);
void give_way_stop(struct give_way *g);
void give_way_fini(struct give_way *g);

#endif
