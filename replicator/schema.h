/* Copying the schema: pg_dump and pg_restore of a fitting version, as child processes.
 *
 * Two stages. SCHEMA_PRE brings what tables need before they can be filled: schemas, extensions,
 * types, functions, tables, sequences, defaults, views. SCHEMA_POST brings the rest once the data
 * is consistent: indexes, constraints, foreign keys, triggers, rules, policies, statistics, in
 * parallel; keys that are there already stay. Nothing at the target is dropped or changed; what it
 * has is left alone, so a stage may be started again at any time, also after a kill -9 in the
 * middle.
 *
 * What could not be created stands in rebeco.problem (kind "schema") in the server's words, and is
 * taken back when it is there at a later run of its stage. */
#ifndef SCHEMA_H
#define SCHEMA_H

#include <ev.h>
#include <stdbool.h>

#include "error.h"
#include "job.h"

struct sync;
struct schema_copy;

enum schema_stage {
    SCHEMA_PRE,  /* decides by the option `schema` whether anything is copied at all */
    SCHEMA_POST, /* does nothing when the schema is not copied by us; does SCHEMA_PRE first when
                    that was begun and did not end */
};

/* The stage is over: everything that can be created is there. Called from the loop; may start the
 * next stage or free the copy. While a stage cannot get on - no fitting pg_dump, a server that is
 * away, a target that has some of the tables - it tries again and again, and the handler is not
 * called; schema_copy_trouble() says why. */
typedef void schema_handler(struct schema_copy *s);

/* Makes one for a sync whose row in rebeco.sync exists; starts nothing. `sync` must outlive it. */
struct schema_copy *schema_copy_new(struct ev_loop *loop, struct sync *sync, schema_handler *done,
                                    void *owner);
/* `trouble` is called, from the loop, when only a person can help; trying goes on. */
void schema_copy_on_trouble(struct schema_copy *s, schema_handler *trouble);
/* Stops it and frees it; NULL is allowed. Not from inside one of its jobs' steps. */
void schema_copy_free(struct schema_copy *s);
/* Starts a stage; none may be running, but one that was started early, which goes on. */
void schema_copy_start(struct schema_copy *s, enum schema_stage stage);
/* SCHEMA_POST is due in a moment: reads the source's schema already, and touches nothing that a
 * batch or the copy needs. Until schema_copy_start() it does not count as running, and its troubles
 * as none. */
void schema_copy_start_early(struct schema_copy *s);
/* None is running or was started early, and the schema is copied by us, as SCHEMA_PRE found. */
bool schema_copy_may_start_early(const struct schema_copy *s);
/* Ends it at once, with its processes; the handler is not called. May be started again. */
void schema_copy_stop(struct schema_copy *s);
bool schema_copy_is_running(const struct schema_copy *s);
/* Foreign keys are being added at the target, or about to be: no round of a batch may begin. */
bool schema_copy_holds_batches(const struct schema_copy *s);
void *schema_copy_owner(const struct schema_copy *s);

/* Why the running stage cannot get on; NULL when it can. `needs_person` is set to whether it never
 * will by itself; may be NULL. */
const struct error *schema_copy_trouble(const struct schema_copy *s, bool *needs_person);
/* What goes on, for status: "pg_dump", "pg_restore"; "" when none runs. And how many objects are
 * done of how many to do, while pg_restore runs; else 0. */
const char *schema_copy_step(const struct schema_copy *s);
void schema_copy_progress(struct schema_copy *s, int *done, int *todo);

#endif
