/* Copies the large objects of the source, at the beginning and when somebody asks.
 *
 * A job with both connections and one stream. No trigger fires for large objects, so what happens
 * to them after they were copied is not followed: status says so. They keep their numbers, because
 * rows refer to them by these.
 *
 * Memory does not grow with them: pieces of a few megabytes travel, and each is committed at the
 * target together with the note of it (schema/090_large_object.sql), so that what is killed goes on
 * where it was. One object is read in one snapshot as long as nothing breaks. */
#ifndef LARGE_OBJECT_H
#define LARGE_OBJECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "job.h"

enum { LARGE_OBJECT_PARTS = 6 }; /* the arrays that large_objects_read.sql gives */

struct large_object_job {
    struct job job;
    bool is_over;    /* all that were there at the beginning are copied, or none is to be */
    bool is_settled; /* and those that came while the tables were copied */
    /* For status. */
    int64_t seen; /* at the source, and their bytes */
    int64_t seen_bytes;
    int64_t copied; /* by the latest copy */
    int64_t bytes;
    int64_t here; /* at the target when the latest copy had ended, and not there */
    int64_t refused;
    bool is_copying;
    bool has_ended; /* the latest copy */
    /* What is asked for. */
    int64_t request;   /* its row in rebeco.command; 0: nothing */
    const char *scope; /* "all" or "new" */
    /* The copy that goes on. */
    int64_t first; /* the page: numbers from first to last */
    int64_t last;
    bool has_more;       /* pages after this one */
    struct buf oids;     /* that are to be read, a binary array */
    int64_t next_oid;    /* what is read next; behind `last`: nothing of this page */
    int64_t next_place;  /* where in it */
    int64_t piece_bytes; /* of the pieces in hand */
    struct buf parts[LARGE_OBJECT_PARTS]; /* these, binary arrays */
};

/* A job for `sync`, which must outlive it; starts nothing. */
struct large_object_job *large_object_new(struct sync *sync);
/* Starts it when there is something to do: called whenever the sync thinks. */
void large_object_think(struct large_object_job *o);
/* Ends it at once. */
void large_object_stop(struct large_object_job *o);
void large_object_free(struct large_object_job *o);
/* Somebody asks for a copy: `scope` is "all" or "new" and must outlive the job. The request is
 * answered in its row when the copy has ended. False when another one is being served. */
bool large_object_ask(struct large_object_job *o, int64_t request, const char *scope);
/* For status: counts, state, and that they are not followed. */
json_t *large_object_tree(const struct large_object_job *o);

#endif
